/*
 * The master's part of the futex service (see dqemu/futex.h): which nodes are interested in
 * an address, who holds its lease, and the wakes that cross nodes. It knows no waiter: they
 * are queued at their nodes.
 *
 * Node 0. Messages come on the loop; a mutex lets other threads name legacy waiters. Nothing
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
 * REGISTER, REVOKED, WAKE by a node, WOKEN for the master. The signature is that of
 * dq_futex_master_fn. -EPROTO if no such message can come now; the state is unchanged.
 */
int dq_futex_master_message(void *fm, int from, unsigned type, const struct dq_msg_futex *m);

/*
 * Threads of the master that wait in the host kernel on addr since before the cluster was
 * engaged: nobody gets the lease of addr, each wake on addr comes to the master, and
 * `legacy_wake` wakes them too (it returns how many; called under the mutex, mostly on the
 * loop: it must not block nor call this module). Any thread; does not block. Before other
 * nodes take part, or a wake that is under way may miss them.
 */
void dq_futex_master_legacy(struct dq_futex_master *fm, uint64_t addr);
void dq_futex_master_set_legacy_wake(struct dq_futex_master *fm,
                                     uint32_t (*legacy_wake)(void *arg, uint64_t addr,
                                                             uint32_t count, uint32_t bitset),
                                     void *arg);

/* Addresses known here. Any thread. */
size_t dq_futex_master_addresses(struct dq_futex_master *fm);

/*
 * The process's own: on node 0, after dq_futex_init() (of which it takes the same ops) and
 * before the first message.
 */
void dq_futex_master_open(int nodes, const struct dq_futex_ops *ops, void *ctx);
void dq_futex_legacy(uint64_t addr);
void dq_futex_set_legacy_wake(uint32_t (*legacy_wake)(void *arg, uint64_t addr, uint32_t count,
                                                      uint32_t bitset),
                              void *arg);

#endif
