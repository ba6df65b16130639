/*
 * The guest program, as far as the launcher looks at it: that it can run here, and which node
 * program runs it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROGRAM_H
#define DQ_PROGRAM_H

/*
 * The name of PROGRAM's instruction set ("aarch64"). Ends the process with one line and the
 * status 126 or 127 if PROGRAM is not a program that this build runs.
 */
const char *dq_program_isa(const char *path);

/*
 * The same for a program that is open for reading as `fd`, which stays the caller's; `path` is its name
 * for the user.
 */
const char *dq_program_isa_of(const char *path, int fd);

/*
 * The set whose node program is asked for lists ("-cpu help") when there is no PROGRAM: the first
 * that has one here.
 */
const char *dq_program_default_isa(void);

/*
 * The path of the node program for `isa`: beside this program (a build tree), or in
 * ../libexec/dqemu (an installation). Ends the process with one line if there is none.
 */
char *dq_program_node_binary(const char *isa);

/* The same for who goes on without: NULL if there is none. */
char *dq_program_find_node_binary(const char *isa);

/*
 * Runs the node program to ask which build it is of; blocks until it has said so. NULL, with a clause
 * in *why, if it cannot. Both are the caller's to g_free().
 */
char *dq_program_node_build(const char *path, char **why);

/* Ends the process with one line unless this file, which the user named, is one of this build. */
void dq_program_check_node_binary(const char *path);

#endif
