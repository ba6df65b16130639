/*
 * One node's part of the futex service as an object, and its steps without the blocking:
 * what dqemu/futex.h is made of, and what tests and the simulator drive (many nodes in one
 * process, on one thread if need be).
 *
 * Any thread; nothing here blocks but a shard's short lock, which is the lowest of its node
 * but for the transport's own (two shards are locked in the order of their places). It is
 * held across ops->send() so that a node's statements about one address (registered, not
 * interested any more) leave in the order they were made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_FUTEX_NODE_H
#define DQ_FUTEX_NODE_H

#include "dqemu/futex.h"

struct dq_futex_node;

struct dq_futex_limits {
    unsigned shards; /* queues are spread over so many locks */
    unsigned idle;   /* addresses per shard that stay registered though nobody waits */
    unsigned streak; /* wakes served here in a row while other nodes are interested */
};
extern const struct dq_futex_limits dq_futex_limits; /* the product's */

struct dq_futex_node *dq_futex_node_new(const struct dq_futex_limits *limits,
                                        const struct dq_futex_ops *ops, void *ctx);
/* Nobody waits and nothing is asked any more. */
void dq_futex_node_free(struct dq_futex_node *n);
void dq_futex_node_set_master(struct dq_futex_node *n, dq_futex_master_fn *message, void *ctx);

/* True: done, r is unused. False: done when r->word is 1. */
bool dq_futex_node_enter(struct dq_futex_node *n, struct dq_futex_waiter *w, uint64_t addr,
                         uint32_t bitset, struct dq_futex_request *r);
/* True: committed, r is unused. False: read again, once r->word is 1. */
bool dq_futex_node_commit(struct dq_futex_node *n, struct dq_futex_waiter *w,
                          struct dq_futex_request *r);
bool dq_futex_node_leave(struct dq_futex_node *n, struct dq_futex_waiter *w);
/* The result is in r->woken: at once if true, else when r->word is 1. */
bool dq_futex_node_wake(struct dq_futex_node *n, uint64_t addr, uint32_t count, uint32_t bitset,
                        struct dq_futex_request *r);
/* Each: true: done. False: done when q->r.word is 1. */
bool dq_futex_node_requeue_begin(struct dq_futex_node *n, struct dq_futex_requeue *q, uint64_t addr,
                                 uint64_t to);
/* The result is in q->r if q->done; else compare and commit again. */
bool dq_futex_node_requeue_commit(struct dq_futex_node *n, struct dq_futex_requeue *q,
                                  uint32_t wakes, uint32_t moves);
bool dq_futex_node_requeue_cancel(struct dq_futex_node *n, struct dq_futex_requeue *q);
int dq_futex_node_message(struct dq_futex_node *n, int from, unsigned type,
                          const struct dq_msg_futex *m);

/* Wait for r->word. Blocks; holds nothing. */
void dq_futex_request_wait(struct dq_futex_request *r);

/* Addresses known here. Takes every shard's lock in turn. */
size_t dq_futex_node_addresses(struct dq_futex_node *n);

#endif
