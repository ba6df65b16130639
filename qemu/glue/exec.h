/*
 * Programs that the guest executes: run by an emulator, in place of this one.
 *
 * With execve() the process becomes the node program for the new program's instruction set, with the
 * emulator's options and one node: the same process, with its id, descriptors, folder, ignored signals
 * and mask. What is no program of ours the kernel executes itself. On every node but slaves, with one
 * node too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_EXEC_H
#define DQEMU_EXEC_H

/* main(), first thing: what was handed to this emulator, and what it will hand on. */
void dq_exec_init(char **argv);

/* main(), in place of open(): the program to load; a descriptor, or -1 with errno. */
int dq_exec_open(const char *path);
/* main(), in place of realpath(): where that program lies. */
char *dq_exec_realpath(const char *path, char *resolved);
/* main(): the guest's environment: this one, or another in its place. Takes over and gives strings. */
char **dq_exec_environ(char **environment);
/* main(): the program has been loaded. */
void dq_exec_loaded(void);

/*
 * do_execv(), in place of execve() and execveat() (`at`), whose arguments these are: returns like them
 * only if it fails (-1, errno), or because of a signal, as safe_syscall() does. name: the guest's word
 * for the program; file: the same, or the guest's own file where that is meant.
 */
int dq_exec(int dirfd, const char *name, const char *file, char **argv, char **envp, int flags,
            bool at);

#endif
