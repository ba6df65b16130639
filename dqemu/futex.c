/*
 * The process's own node of the futex service (dqemu/futex_node.h), and the waiting for the
 * master's answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/futex_node.h"

#include "dqemu/assert.h"
#include "dqemu/node.h"
#include "dqemu/split.h"

/* The process's own. Set before there are other threads that use it. */
static struct dq_futex_node *self;

void dq_futex_init(const struct dq_futex_ops *ops, void *ctx)
{
    dq_assert(!self);
    self = dq_futex_node_new(&dq_futex_limits, ops, ctx);
}

void dq_futex_enter(struct dq_futex_waiter *w, uint64_t addr, uint32_t bitset)
{
    struct dq_futex_request r;

    if (!dq_futex_node_enter(self, w, addr, bitset, &r)) {
        dq_futex_request_wait(&r);
    }
}

/* The page that the word is on, or the granule of a split one. */
static void let_go(uint64_t addr)
{
    bool crosses;

    dq_pager_let_go((dq_split_any() ? dq_split_redirect(addr, 4, &crosses) : addr) >> DQ_PAGE_BITS);
}

bool dq_futex_commit(struct dq_futex_waiter *w)
{
    struct dq_futex_request r;

    if (dq_futex_node_commit(self, w, &r)) {
        /* a requeue may change it at any time; either word's page will do */
        let_go(__atomic_load_n(&w->addr, __ATOMIC_RELAXED));
        return true;
    }
    dq_futex_request_wait(&r);
    return false;
}

bool dq_futex_leave(struct dq_futex_waiter *w)
{
    return dq_futex_node_leave(self, w);
}

uint32_t dq_futex_wake(uint64_t addr, uint32_t count, uint32_t bitset)
{
    struct dq_futex_request r;

    if (!dq_futex_node_wake(self, addr, count, bitset, &r)) {
        let_go(addr); /* who is woken elsewhere will want it */
        dq_futex_request_wait(&r);
    }
    return r.woken;
}

void dq_futex_requeue_begin(struct dq_futex_requeue *q, uint64_t addr, uint64_t to)
{
    if (!dq_futex_node_requeue_begin(self, q, addr, to)) {
        dq_futex_request_wait(&q->r);
    }
}

bool dq_futex_requeue_commit(struct dq_futex_requeue *q, uint32_t wakes, uint32_t moves)
{
    if (!dq_futex_node_requeue_commit(self, q, wakes, moves)) {
        dq_futex_request_wait(&q->r);
    }
    return q->done;
}

void dq_futex_requeue_cancel(struct dq_futex_requeue *q)
{
    if (!dq_futex_node_requeue_cancel(self, q)) {
        dq_futex_request_wait(&q->r);
    }
}

int dq_futex_message(int from, unsigned type, const struct dq_msg_futex *m)
{
    return dq_futex_node_message(self, from, type, m);
}

void dq_futex_set_master(dq_futex_master_fn *message, void *ctx)
{
    dq_futex_node_set_master(self, message, ctx);
}

/* The queues may be in the middle of a change by a thread that the child has not: left behind. */
void dq_futex_forked(void)
{
    self = NULL;
}
