/*
 * Slow motion: the guest threads of each node, and they alone, under a CPU bandwidth quota, so
 * that many nodes on few processors scale as many slow machines with a core to spare for
 * communication would. Needs the cgroup v1 cpu controller, which places single threads, and root.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_SLOW_H
#define BENCH_SLOW_H

#include <stdbool.h>

struct slow;

/*
 * For one run. NULL and *why when it cannot be. node_dir: where node.sh leaves the pids. copies: of
 * plain QEMU, whose main thread is the guest's.
 */
struct slow *slow_open(int nodes, unsigned period_us, bool copies, const char *node_dir,
                       char **why);
/* Places threads that are new; to be called all the time while the nodes run. */
void slow_tick(struct slow *s);
/* How many nodes had at least one guest thread under the quota. */
int slow_nodes(const struct slow *s);
/* After the run: removes the groups. */
void slow_close(struct slow *s);

/* Such that `nodes` of them leave one processor's worth. */
unsigned slow_period_us(int nodes);
#define SLOW_QUOTA_US 1000

#endif
