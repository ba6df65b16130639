/*
 * The master's part of the futex service (see dqemu/futex.h): which nodes are interested in
 * an address, who holds its lease, and the wakes that cross nodes. It knows no waiter: they
 * are queued at their nodes.
 *
 * Node 0. Messages come on the loop; a mutex lets other threads ask for the size. Nothing
 * blocks: a state machine that sends and is called back (the simulator runs the same code).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MASTER_FUTEX_H
#define DQ_MASTER_FUTEX_H

#include <stddef.h>
#include <stdint.h>

#include "dqemu/futex.h"

struct dq_futex_master;

struct dq_futex_master *dq_futex_master_new(int nodes, const struct dq_futex_ops *ops, void *ctx);
void dq_futex_master_free(struct dq_futex_master *fm);

/*
 * REGISTER, REVOKED; WAKE, HOLD, MOVE by a node; WOKEN, HELD, MOVED for the master. As a
 * dq_futex_master_fn. -EPROTO if no such message can come now; the state is unchanged.
 */
int dq_futex_master_message(void *fm, int from, unsigned type, const struct dq_msg_futex *m);

/* Addresses known here. Any thread. */
size_t dq_futex_master_addresses(struct dq_futex_master *fm);

/*
 * The process's own: on node 0, after dq_futex_init() (of which it takes the same ops) and
 * before the first message.
 */
void dq_futex_master_open(int nodes, const struct dq_futex_ops *ops, void *ctx);

#endif
