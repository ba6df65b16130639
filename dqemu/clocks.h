/*
 * One notion of time for the guest: on every node, the clocks that the master's kernel has.
 *
 * Nodes that share a kernel (and a time namespace in it) read the same clocks anyway: they find
 * out at the start by one question to the master, and everything here is out of the way. A slave
 * with another kernel keeps asking the master for its time, and follows it (clock.h):
 *
 *   MONOTONIC, MONOTONIC_RAW   each follows the master's clock of the same name
 *   REALTIME, BOOTTIME         MONOTONIC and the master's distance from it, as last heard
 *   the coarse clocks          as the fine ones, on all nodes, the master included: the ticks
 *                              of several kernels would not come at the same time
 *
 * When somebody sets the master's realtime clock, it tells the others at once. Until they have
 * heard, at most as long as a message takes, they show the old time.
 *
 * A slave asks a few times in a row at the start, then ever more seldom, in the end once a second,
 * and not at all while it has no guest threads. A thread that then arrives waits for a few
 * answers.
 *
 * Threads: reading is for any thread, without locks; it takes about as long as two readings of
 * the host's clock. The rest as said below.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CLOCKS_H
#define DQ_CLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Before there is a loop. 0 or -errno. */
int dq_clocks_start(void);

/* On a slave, once the loop runs: compare clocks with the master. Blocks until that is done. */
void dq_clocks_meet(void);

/* TIME_ASK, TIME; on the loop. 0, or -EPROTO: not to this node, or not now. */
int dq_clocks_message(int from, unsigned type, const void *body);

/*
 * Some node has clocks of its own. Any thread. Changes at most once, to true, before
 * a guest thread runs on that node.
 */
bool dq_clocks_differ(void);

/*
 * The guest's time on this node, in ns. False: the clocks do not differ, or this is none of those
 * above (but of processor time, or TAI). Any thread, never blocks. Async-signal-safe.
 */
bool dq_clocks_read(clockid_t clock, int64_t *ns);
/* Is it one of them? */
bool dq_clocks_know(clockid_t clock);

/* On a slave: a guest thread comes, before it runs; blocks if need be. It is gone: never blocks. */
void dq_clocks_enter(void);
void dq_clocks_leave(void);

/* Call fn() on the loop when the guest's realtime clock was set. Once, before the loop runs. */
void dq_clocks_on_set(void (*fn)(void));

/* On a slave, on the loop: the end comes. A word for the verbose log. */
void dq_clocks_ending(void);

/* In a forked child (of the master): its clocks are the kernel's. */
void dq_clocks_forked(void);

#endif
