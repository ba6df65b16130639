/*
 * The master's part of the futex service.
 *
 * Requests on one address are served one after another, in the order they came; each is at
 * most one round of questions to other nodes, which they answer at once:
 *
 *  request     | asks                                                 | answers
 *  REGISTER    | the holder of the lease, if another: REVOKE          | REGISTERED
 *  WAKE        | the interested nodes but the requester (it has looked| WOKEN
 *              | or will look at its own queue), one after another    |
 *              | until enough are woken; all at once if all shall be  |
 *  legacy()    | the holder of the lease: REVOKE                      | -
 *
 * Invariant: a lease is held only by the one interested node, and never with legacy waiters.
 * A node that says DQ_FUTEX_IDLE is not interested from then on; if it waits again it sends
 * a new REGISTER after that, which takes its turn.
 *
 * Why no wake is lost: a waiter's node is in `interested` before REGISTERED is sent, hence
 * before the waiter reads the word. A WAKE that is served earlier comes from a store that
 * the waiter sees. One that is served later reaches its node. A wake that stays local at
 * another node was made under a lease, hence before that node's REVOKED, hence (again) its
 * store before the read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/futex.h"

#include <errno.h>
#include <pthread.h>

#include <glib.h>

#include "dqemu/assert.h"

enum op_kind { OP_REGISTER, OP_WAKE, OP_LEGACY };

struct op {
    enum op_kind kind;
    int from;
    uint64_t cookie; /* the requester's */
    uint32_t count, woken, bitset;
    uint64_t asked;   /* our cookie; 0: not started */
    uint64_t pending; /* nodes that owe an answer */
    uint64_t left;    /* nodes to ask yet */
};

struct address {
    uint64_t addr;
    uint64_t interested; /* a bit per node */
    bool lease;          /* the one interested node wakes without us */
    bool legacy;
    int turn;   /* where the next WAKE begins to ask */
    GQueue ops; /* struct op; the first is being served */
};

struct dq_futex_master {
    /* Guards everything; held across ops->send() and legacy_wake(). Below every other lock. */
    pthread_mutex_t lock;
    int nodes;
    const struct dq_futex_ops *ops;
    void *ctx;
    GHashTable *addresses; /* by addr */
    uint64_t cookie;       /* the last one used */
    uint32_t (*legacy_wake)(void *arg, uint64_t addr, uint32_t count, uint32_t bitset);
    void *legacy_arg;
};

static uint64_t bit(int node)
{
    return 1ull << node;
}

static struct address *find(struct dq_futex_master *fm, uint64_t addr)
{
    return g_hash_table_lookup(fm->addresses, &addr);
}

static struct address *find_or_add(struct dq_futex_master *fm, uint64_t addr)
{
    struct address *a = find(fm, addr);

    if (!a) {
        a = g_new0(struct address, 1);
        a->addr = addr;
        g_queue_init(&a->ops);
        g_hash_table_insert(fm->addresses, &a->addr, a);
    }
    return a;
}

static void free_address(void *p)
{
    struct address *a = p;

    g_queue_clear_full(&a->ops, g_free);
    g_free(a);
}

static void send(struct dq_futex_master *fm, int to, unsigned type, uint64_t addr, uint64_t cookie,
                 uint32_t count, uint32_t bitset)
{
    struct dq_msg_futex m = {.addr = addr, .cookie = cookie, .count = count, .bitset = bitset};

    fm->ops->send(fm->ctx, to, type, &m);
}

static bool wakes_all(const struct op *op)
{
    return op->count >= INT32_MAX;
}

static uint32_t rest(const struct op *op)
{
    return wakes_all(op) ? UINT32_MAX : op->count - op->woken;
}

static void start(struct dq_futex_master *fm, struct address *a, struct op *op)
{
    op->asked = DQ_FUTEX_BY_MASTER | ++fm->cookie;
    if (op->kind == OP_WAKE) {
        op->left = a->interested & ~bit(op->from);
        if (a->legacy && fm->legacy_wake) {
            op->woken = fm->legacy_wake(fm->legacy_arg, a->addr, rest(op), op->bitset);
            dq_assert(op->woken <= op->count);
        }
    } else if (a->lease) {
        op->left = a->interested;
    }
}

static void ask(struct dq_futex_master *fm, struct address *a, struct op *op, int node)
{
    op->left &= ~bit(node);
    op->pending |= bit(node);
    if (op->kind == OP_WAKE) {
        a->turn = (node + 1) % fm->nodes;
        send(fm, node, DQ_MSG_FUTEX_WAKE, a->addr, op->asked, rest(op), op->bitset);
    } else {
        send(fm, node, DQ_MSG_FUTEX_REVOKE, a->addr, op->asked, 0, 0);
    }
}

/* Ask who is to be asked now. True: the request is served. */
static bool step(struct dq_futex_master *fm, struct address *a, struct op *op)
{
    int first = a->turn;

    for (int i = 0; i < fm->nodes && op->left; i++) {
        int node = (first + i) % fm->nodes;

        if (op->kind == OP_WAKE && !wakes_all(op) && (op->pending || op->woken == op->count)) {
            break;
        }
        if (op->left & bit(node)) {
            ask(fm, a, op, node);
        }
    }
    return !op->pending;
}

static void answer(struct dq_futex_master *fm, struct address *a, const struct op *op)
{
    uint64_t me = op->kind == OP_LEGACY ? 0 : bit(op->from);

    if (op->kind == OP_REGISTER) {
        a->interested |= me;
        a->lease = a->interested == me && !a->legacy;
        send(fm, op->from, DQ_MSG_FUTEX_REGISTERED, a->addr, op->cookie, a->lease, 0);
    } else if (op->kind == OP_WAKE) {
        bool alone = a->interested == me && !a->legacy;

        a->lease |= alone;
        send(fm, op->from, DQ_MSG_FUTEX_WOKEN, a->addr, op->cookie, op->woken,
             alone ? DQ_FUTEX_ALONE : 0);
    }
}

/* Go on with the requests of `a` as far as possible; it is gone then if nobody needs it. */
static void advance(struct dq_futex_master *fm, struct address *a)
{
    struct op *op;

    while ((op = g_queue_peek_head(&a->ops))) {
        if (!op->asked) {
            start(fm, a, op);
        }
        if (!step(fm, a, op)) {
            return;
        }
        answer(fm, a, op);
        g_free(g_queue_pop_head(&a->ops));
    }
    if (!a->interested && !a->legacy) {
        g_hash_table_remove(fm->addresses, &a->addr);
    }
}

static void request(struct dq_futex_master *fm, enum op_kind kind, int from,
                    const struct dq_msg_futex *m)
{
    struct address *a = find_or_add(fm, m->addr);
    struct op *op = g_new0(struct op, 1);

    op->kind = kind;
    op->from = from;
    op->cookie = m->cookie;
    op->count = m->count;
    op->bitset = m->bitset;
    g_queue_push_tail(&a->ops, op);
    if (a->ops.length == 1) {
        advance(fm, a);
    }
}

static void lose_interest(struct address *a, int node)
{
    if (a->interested & bit(node)) {
        a->interested &= ~bit(node);
        a->lease = false;
    }
}

/* The request being served, if it waits for this answer. */
static struct op *asked(struct address *a, int from, const struct dq_msg_futex *m, bool wake)
{
    struct op *op = a ? g_queue_peek_head(&a->ops) : NULL;

    return op && op->asked == m->cookie && (op->pending & bit(from)) &&
                   (op->kind == OP_WAKE) == wake
               ? op
               : NULL;
}

static int registering(struct dq_futex_master *fm, int from, const struct dq_msg_futex *m)
{
    struct address *a = find(fm, m->addr);

    if (a && (a->interested & bit(from))) {
        return -EPROTO;
    }
    request(fm, OP_REGISTER, from, m);
    return 0;
}

static int woken(struct dq_futex_master *fm, int from, const struct dq_msg_futex *m)
{
    struct address *a = find(fm, m->addr);
    struct op *op = asked(a, from, m, true);

    if (!op || m->count > rest(op)) {
        return -EPROTO;
    }
    op->woken += m->count;
    op->pending &= ~bit(from);
    if (m->bitset & DQ_FUTEX_IDLE) {
        lose_interest(a, from);
    }
    advance(fm, a);
    return 0;
}

static int revoked(struct dq_futex_master *fm, int from, const struct dq_msg_futex *m)
{
    struct address *a = find(fm, m->addr);
    struct op *op = asked(a, from, m, false);

    if (op) {
        op->pending &= ~bit(from);
        a->lease = false;
    } else if (!a || m->cookie || !(a->interested & bit(from)) || !(m->bitset & DQ_FUTEX_IDLE)) {
        return -EPROTO;
    }
    if (m->bitset & DQ_FUTEX_IDLE) {
        lose_interest(a, from);
    }
    advance(fm, a);
    return 0;
}

static int dispatch(struct dq_futex_master *fm, int from, unsigned type,
                    const struct dq_msg_futex *m)
{
    switch (type) {
    case DQ_MSG_FUTEX_REGISTER:
        return registering(fm, from, m);
    case DQ_MSG_FUTEX_REVOKED:
        return revoked(fm, from, m);
    case DQ_MSG_FUTEX_WAKE:
        request(fm, OP_WAKE, from, m);
        return 0;
    case DQ_MSG_FUTEX_WOKEN:
        return woken(fm, from, m);
    default:
        return -EPROTO;
    }
}

int dq_futex_master_message(void *p, int from, unsigned type, const struct dq_msg_futex *m)
{
    struct dq_futex_master *fm = p;
    int ret;

    pthread_mutex_lock(&fm->lock);
    ret = dispatch(fm, from, type, m);
    pthread_mutex_unlock(&fm->lock);
    return ret;
}

void dq_futex_master_legacy(struct dq_futex_master *fm, uint64_t addr)
{
    struct dq_msg_futex m = {.addr = addr};
    struct address *a;

    pthread_mutex_lock(&fm->lock);
    a = find_or_add(fm, addr);
    if (!a->legacy) {
        a->legacy = true;
        request(fm, OP_LEGACY, 0, &m);
    }
    pthread_mutex_unlock(&fm->lock);
}

static gboolean without_legacy(gpointer key, gpointer value, gpointer unused)
{
    struct address *a = value;

    (void)key;
    (void)unused;
    a->legacy = false;
    return !a->interested && !a->ops.length;
}

void dq_futex_master_set_legacy_wake(struct dq_futex_master *fm,
                                     uint32_t (*legacy_wake)(void *arg, uint64_t addr,
                                                             uint32_t count, uint32_t bitset),
                                     void *arg)
{
    pthread_mutex_lock(&fm->lock);
    fm->legacy_wake = legacy_wake;
    fm->legacy_arg = arg;
    if (!legacy_wake) {
        g_hash_table_foreach_remove(fm->addresses, without_legacy, NULL);
    }
    pthread_mutex_unlock(&fm->lock);
}

size_t dq_futex_master_addresses(struct dq_futex_master *fm)
{
    size_t size;

    pthread_mutex_lock(&fm->lock);
    size = g_hash_table_size(fm->addresses);
    pthread_mutex_unlock(&fm->lock);
    return size;
}

struct dq_futex_master *dq_futex_master_new(int nodes, const struct dq_futex_ops *ops, void *ctx)
{
    struct dq_futex_master *fm = g_new0(struct dq_futex_master, 1);

    pthread_mutex_init(&fm->lock, NULL);
    fm->nodes = nodes;
    fm->ops = ops;
    fm->ctx = ctx;
    fm->addresses = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, free_address);
    return fm;
}

void dq_futex_master_free(struct dq_futex_master *fm)
{
    g_hash_table_destroy(fm->addresses);
    pthread_mutex_destroy(&fm->lock);
    g_free(fm);
}

/* The process's own. Set before there are other threads that use it. */
static struct dq_futex_master *self;

void dq_futex_master_open(int nodes, const struct dq_futex_ops *ops, void *ctx)
{
    self = dq_futex_master_new(nodes, ops, ctx);
    dq_futex_set_master(dq_futex_master_message, self);
}

void dq_futex_legacy(uint64_t addr)
{
    dq_futex_master_legacy(self, addr);
}

void dq_futex_set_legacy_wake(uint32_t (*legacy_wake)(void *arg, uint64_t addr, uint32_t count,
                                                      uint32_t bitset),
                              void *arg)
{
    dq_futex_master_set_legacy_wake(self, legacy_wake, arg);
}
