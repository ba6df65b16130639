/*
 * A root directory of the guest's own (dqemu-launch --root, deploy/root.h): the way in, and out again for
 * the next emulator.
 *
 * An emulator is a program of the host, whose libraries are not in the guest's root. So it starts with the
 * host's, goes in when it opens the guest's program, and back for the moment in which it becomes the
 * emulator of a program that the guest executes. That needs CAP_SYS_CHROOT, which it has in the user
 * namespace of the run and keeps to itself: permitted, but not effective, and nothing that the guest sees
 * or can make use of.
 *
 * Guest threads and proxies of the master, and forked children; with one node, too. On slaves, and
 * without such a root, none of them does anything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_ROOT_H
#define DQEMU_ROOT_H

#include <stdbool.h>

/*
 * Takes --dqemu-root=FD[,FOLDER] out of argv[1]: descriptors of the root, and of the working directory in
 * it if the one at hand is not that. While there are no threads of the guest.
 */
void dq_root_args(int *argc, char **argv);

/* Go in, and close them. Ends the process with one line if that cannot be. */
void dq_root_enter(void);

/* Is there one? */
bool dq_root_exists(void);

/*
 * execve(): the guest's root, to be handed to the next emulator and closed by the caller: a descriptor
 * that stays open over an exec, or -1 with errno. dq_root_leave(): this thread goes back to the host's
 * root; false with errno: it could not, and nothing has changed. dq_root_return(): execve() has failed.
 * From the first dq_root_leave() on a thread's working directory and umask are its own, when execve()
 * fails as well: in between no other thread of the guest may see the host's files.
 */
int dq_root_descriptor(void);
bool dq_root_leave(int fd);
void dq_root_return(int fd);

/*
 * Around a system call: one that changes the thread's user. He who is no longer root keeps that capability
 * hidden, as everybody else does.
 */
void dq_root_call_begin(int num);
void dq_root_call_end(int num);

/* A line of /proc/self/status: what the guest is to see instead, to be freed; NULL: the line. */
char *dq_root_status(const char *line);
bool dq_root_is_hidden(void);

#endif
