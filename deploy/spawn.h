/*
 * Starting the process of a node: its descriptors, process group, arguments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SPAWN_H
#define DQ_SPAWN_H

#include <sys/types.h>

struct dq_launch;

/*
 * Start node `node` with `control` as its end of the control channel. Node 0 has all that the
 * launcher was started with; the others have no input, write to stderr, and are in process
 * groups of their own. Each is killed when the launcher dies. The pid, or -1 with errno.
 * A program that cannot be executed reports that through the control channel.
 */
pid_t dq_spawn_node(const struct dq_launch *launch, int node, int control);

/*
 * Let go of what only the guest should hold now: stdin, stdout, and all descriptors that the
 * launcher was started with, so that a reader sees the end when the guest closes its own.
 */
void dq_spawn_release(void);

#endif
