/*
 * --root: node 0 with a root directory of its own, and what is mounted in it.
 *
 * The tree is a directory of the user's, with /proc, /dev, /sys and /tmp of this machine and the volumes
 * mounted in it: in a mount namespace of its own, which goes with the last process of the run. An
 * ordinary user makes that in a user namespace, in which he has his own uid and gid.
 *
 * Node 0 starts in that namespace with the root of the launcher, because its program and libraries are
 * there, and goes into the other when it opens PROGRAM (qemu/glue/root.c). No other process is concerned.
 *
 * One thread. Blocks as opening files does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_ROOT_H
#define DQ_ROOT_H

#include <limits.h>
#include <stdbool.h>

struct dq_options;

struct dq_volume {
    char *from, *to; /* absolute */
    bool read_only;
};

/* Descriptors are close-on-exec; -1: none. */
struct dq_root {
    int users, mounts;   /* the namespaces; -1: this process is in there */
    int outside, folder; /* the launcher's root and working directory, as they are in there */
    int inside, wdir; /* the root of PROGRAM, and its working directory; wdir -1: this process's */
    int program;      /* PROGRAM, for reading */
    char path[PATH_MAX]; /* PROGRAM in that root */
};

/* SRC[:DST[:ro]]. False, with a clause for the user in *why, if it is something else. */
bool dq_volume_read(const char *text, struct dq_volume *volume, char **why);

/*
 * Makes the tree, as the options say, and looks for PROGRAM in it if there is one. Nothing of it is seen
 * outside, but for directories and files that the tree lacked to mount things on. Ends the process with
 * one line if that cannot be, with nothing left. Lives as long as the process.
 */
const struct dq_root *dq_root_make(const struct dq_options *options);

/*
 * The same where this launcher has been started by a program in such a root, for one of its own
 * (--cluster-children): it is in the namespaces, and has that root as options->root_fd.
 */
const struct dq_root *dq_root_inherit(const struct dq_options *options);

/*
 * In the process that is to become node 0: go into the namespaces, and see to it that the program that it
 * becomes can change its root and finds `inside` and `wdir` open. 0 or -errno.
 */
int dq_root_enter(const struct dq_root *root);

/* A file in that root, as PROGRAM names it, for reading: a descriptor, or -1 with errno. */
int dq_root_open(const struct dq_root *root, const char *path);

#endif
