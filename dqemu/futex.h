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
 * A requeue compares, wakes and moves in one step, too:
 *
 *      dq_futex_requeue_begin(&q, addr, to);
 *      do {
 *          if (*word != value) {
 *              dq_futex_requeue_cancel(&q);
 *              return -EAGAIN;
 *          }
 *      } while (!dq_futex_requeue_commit(&q, wakes, moves));
 *      return q.r.woken + q.r.moved;
 *
 * A comparison without the first call would not do: whoever waits for a newer value between
 * the comparison and the move would be moved along, and a wake meant for him finds nobody.
 * So the waiters of addr stay put from begin to commit: who was there is moved or woken; who
 * has read the word and is about to sleep waits for the end, and reads again; wakes on addr
 * take their turn after it. Alone on its node (it has the lease), the requeue holds nobody
 * up: it notices in the end whether anything happened since it began, and if so holds, and
 * has the word read again.
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
    uint64_t addr; /* a requeue changes it, under the locks of both queues */
    /* The queue's, under its lock: */
    struct dq_futex_waiter *next, *prev;
    uint32_t look; /* whether the word has been read since the last wake */
};

/* A question to the master; the asker's, until `word` is 1. */
struct dq_futex_request {
    uint32_t word;         /* 0: the answer has not come; for the host's futex */
    uint32_t woken, moved; /* the result */
    uint64_t addr;
    uint32_t count, bitset, moves;
    /* The shard's, under its lock: */
    uint64_t cookie;
    unsigned answer; /* the message that is the answer */
    bool look_here;  /* the queue here has its turn after the other nodes */
    struct dq_futex_request *next;
};

/* A requeue under way. The requester's; the result is in `r`. */
struct dq_futex_requeue {
    struct dq_futex_request r;
    uint64_t to;
    uint64_t version; /* of the address, if it is not held */
    bool held, done;
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
 * The word had the expected value: from now on wakes count w. False: a wake or a requeue came
 * since dq_futex_enter() or the last commit; read the word again. Blocks while a requeue of
 * another thread compares.
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

/*
 * Move waiters of `addr` to the queue of `to`: from then on they are woken as waiters of
 * `to`, and of no other address. May block for a round trip through the other nodes. Then
 * the caller compares the word (if it wants to), and must commit or cancel: others wait.
 */
void dq_futex_requeue_begin(struct dq_futex_requeue *q, uint64_t addr, uint64_t to);
/*
 * Wake up to `wakes` waiters and move up to `moves` of the rest, on any node; how many of
 * each is in q->r. False: nothing is done, compare again (once at most). May block as above.
 */
bool dq_futex_requeue_commit(struct dq_futex_requeue *q, uint32_t wakes, uint32_t moves);
void dq_futex_requeue_cancel(struct dq_futex_requeue *q);

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
