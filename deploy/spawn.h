/*
 * Starting the process of a node on this machine: by the launcher, or by an agent for it.
 *
 * One thread; fork() and exec() only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SPAWN_H
#define DQ_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct dq_launch;
struct dq_root;

struct dq_spawn {
    int node;
    char *const *wrap;          /* words, %n in them is the node's number; or NULL */
    const char *binary;         /* the node program */
    char *const *arguments;     /* of the emulator, then PROGRAM and its arguments */
    char *const *environment;   /* NAME=VALUE to add; or NULL */
    const char *folder;         /* working directory if it exists; NULL: this one */
    const struct dq_root *root; /* that the program is to have, if this is node 0; or NULL */
    const sigset_t *signals;    /* blocked in the node */
    int control;                /* its end of the control channel */
    int words;                  /* what becomes its stderr; -1: ours */
    int share, shares;          /* which of so many equal parts of the processors; shares 0: all */
};

/* One of `shares` equal parts of `count` processors: those from `from` up to, without, `to`. */
struct dq_share {
    int from, to;
};
struct dq_share dq_spawn_share(int share, int shares, int count);

/*
 * What follows the node program on its command line: a list of the caller's, to g_free(); the words
 * themselves belong to `launch`.
 */
char **dq_spawn_arguments(const struct dq_launch *launch, int node);

/*
 * Start a node's process. Node 0 keeps descriptors, terminal and group; the others have none of
 * them. What goes wrong in the child is reported through the control channel. The pid, or -1 with
 * errno.
 */
pid_t dq_spawn_node(const struct dq_spawn *spawn);

/*
 * Let go of the standard descriptors but stderr, and of all that were inherited: they are node
 * 0's now, and a pipe that the launcher held open would never end for its reader.
 */
void dq_spawn_release(void);

#endif
