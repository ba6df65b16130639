/*
 * Was a signal for the whole process group, or for the launcher alone? The kernel does not say, and
 * node 0, which is of the same group, must get each signal once. So a second process of the group
 * does nothing but notice its signals: what was for the group has come there as well.
 *
 * The kernel gives a group's signal to the youngest process first, so the witness, younger than the
 * launcher, has it before the launcher has. Nodes are younger than both.
 *
 * SIGSTOP to the group stops the launcher as well, which can no longer stop the nodes that are not of the
 * group. So the witness has a parent outside of it, to whom the kernel tells that the witness has stopped, or
 * goes on: then the nodes do.
 *
 * One thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_WITNESS_H
#define DQ_WITNESS_H

#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

/* Before any node is started, with all signals blocked. 0 or -errno. */
int dq_witness_start(void);

/*
 * Has the witness had the signal that came to this process? Each of them is told once. Blocks for
 * the witness, which answers at once; false if it does not within a second.
 */
bool dq_witness_saw(const struct signalfd_siginfo *info);

/* A process of this machine that stops and goes on with the group. Not after the run has ended. */
void dq_witness_follow(pid_t node);

void dq_witness_end(void);

#endif
