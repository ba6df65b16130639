/*
 * Futexes over all nodes, hierarchical: each node queues its own waiters per guest address;
 * the master (master/futex.h) knows which nodes are interested in an address. A node that is
 * alone in its interest holds the lease: its wakes need no message.
 *
 * Order that makes it right (memory is sequentially consistent): a waiter is queued here and
 * its node registered at the master BEFORE it reads the word; a waker stores the word BEFORE
 * it looks for waiters. Either the waiter sees the new value or the waker finds the waiter.
 *
 * A waiter that has not read the word yet must not use up a wake: it may find that it need
 * not sleep, and the thread that should have been woken sleeps on. So a wake passes over it,
 * and it reads the word again. A wait is:
 *
 *      dq_futex_enter(&w, addr, bitset);
 *      do {
 *          if (*word != value) {
 *              dq_futex_leave(&w);
 *              return -EAGAIN;
 *          }
 *      } while (!dq_futex_commit(&w));
 *      sleep on w.word while it is 0, until woken, a signal or the time limit;
 *      return dq_futex_leave(&w) ? 0 : -EINTR or -ETIMEDOUT;
 *
 * The reading may wait for a page: no lock is held. The outcome is the kernel's own: compare
 * and sleep are one step for every wake, on any node.
 *
 * All functions but the message handlers are called by guest threads (and proxies); those
 * that may ask the master block, and hold no lock meanwhile. The wait for the master's
 * answer is not interruptible; the answer comes at once, or the run ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_FUTEX_H
#define DQ_FUTEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

struct dq_futex_waiter {
    uint32_t word; /* 0: waiting, 1: woken. The sleeper waits on it with the host's futex. */
    uint32_t bitset;
    uint64_t addr;
    /* The queue's, under its lock: */
    struct dq_futex_waiter *next, *prev;
    uint32_t look; /* whether the word has been read since the last wake */
};

/* How the service reaches other nodes; any thread, never blocks (dq_node_send). */
struct dq_futex_ops {
    void (*send)(void *ctx, int to, unsigned type, const struct dq_msg_futex *m);
};
/* Once, before any other call. send() must deliver to this node too, later and in order. */
void dq_futex_init(const struct dq_futex_ops *ops, void *ctx);

/*
 * Queue `w` for `addr` (the caller then reads the word, and commits or leaves).
 * w is the caller's, and must live until dq_futex_leave(). May block for one round trip.
 */
void dq_futex_enter(struct dq_futex_waiter *w, uint64_t addr, uint32_t bitset);
/*
 * The word had the expected value: from now on wakes count w. False: a wake came since
 * dq_futex_enter() or the last commit; read the word again. Does not block.
 */
bool dq_futex_commit(struct dq_futex_waiter *w);
/*
 * Take w out of its queue. True: it had been woken (the wake counted it; report success);
 * never without a commit. Does not block.
 */
bool dq_futex_leave(struct dq_futex_waiter *w);

/*
 * Wake up to `count` waiters of `addr` whose bitset meets `bitset`, on any node. How many.
 * UINT32_MAX or INT32_MAX: all of them. May block for a round trip through the other nodes.
 */
uint32_t dq_futex_wake(uint64_t addr, uint32_t count, uint32_t bitset);

/* FUTEX_* messages, on the loop. -EPROTO if no such message can come now. */
int dq_futex_message(int from, unsigned type, const struct dq_msg_futex *m);

/*
 * Node 0: what takes the messages that are for the master (dq_futex_master_open() sets it).
 * Before the first message.
 */
typedef int dq_futex_master_fn(void *ctx, int from, unsigned type, const struct dq_msg_futex *m);
void dq_futex_set_master(dq_futex_master_fn *message, void *ctx);

/* In a forked child: forget everything. Nothing but dq_futex_init() may be called after it. */
void dq_futex_forked(void);

#endif
