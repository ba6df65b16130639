/*
 * The master's part of the futex service.
 *
 * Requests on one address are served one after another, in the order they came; each is one
 * round of questions to other nodes, or two, which they answer at once:
 *
 *  request     | asks                                                 | answers
 *  REGISTER    | the holder of the lease, if another: REVOKE          | REGISTERED
 *  WAKE        | the interested nodes but the requester (it has looked| WOKEN
 *              | or will look at its own queue), one after another    |
 *              | until enough are woken; all at once if all shall be  |
 *  HOLD        | the nodes interested in the one address, the holder  | HELD
 *              | of the lease of the other: HOLD                      |
 *   then MOVE  | those with waiters: MOVE; one after another until    | MOVED
 *              | enough are moved, then the others at once            |
 *
 * A requeue (HOLD and MOVE) is a request on two addresses. It enters both queues when it
 * comes, and is served when it is the first in both: as all enter in one order, none waits
 * for one that waits for it. Between HELD and MOVE it waits for a guest thread of the
 * requester, which reads the word meanwhile and does nothing else.
 *
 * Invariant: a lease is held only by the one interested node.
 * A node that says DQ_FUTEX_IDLE is not interested from then on; if it waits again it sends
 * a new REGISTER after that, which takes its turn.
 *
 * Why no wake is lost: a waiter's node is in `interested` before REGISTERED is sent, hence
 * before the waiter reads the word. A WAKE that is served earlier comes from a store that
 * the waiter sees. One that is served later reaches its node. A wake that stays local at
 * another node was made under a lease, hence before that node's REVOKED, hence (again) its
 * store before the read.
 *
 * Why a requeue is one step: no waiter of the address is woken, joins or is moved from the
 * last HELD to the first MOVE, and the word is compared then. Who sees its effect (a thread
 * that was woken, the result) and wakes, on any node, comes after it: a wake of the first
 * address at a node with waiters comes here, as it is held; one of the second, of which no
 * node has the lease, comes here if it wants more than its node has had, and the waiters that
 * were moved while it was waiting for its turn may be at its own node: it is asked, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/futex.h"

#include <errno.h>
#include <pthread.h>

#include <glib.h>

#include "dqemu/assert.h"

enum op_kind { OP_REGISTER, OP_WAKE, OP_REQUEUE };
enum stage { HOLDING, COMPARING, MOVING };

struct op {
    enum op_kind kind;
    int from;
    uint64_t cookie; /* the requester's */
    uint32_t count, woken, bitset, moves, moved;
    uint64_t asked;   /* our cookie; 0: not started */
    uint64_t pending; /* nodes that owe an answer */
    uint64_t left;    /* nodes to ask yet */
    bool ask_all;     /* WAKE: the requester, too */
    /* REQUEUE: */
    enum stage stage;
    struct address *from_addr, *to_addr; /* which may be the same */
    uint64_t holding;                    /* nodes with waiters */
};

struct address {
    uint64_t addr;
    uint64_t interested; /* a bit per node */
    bool lease;          /* the one interested node wakes without us */
    int turn;            /* where the next WAKE or MOVE begins to ask */
    unsigned requeues;   /* among the requests */
    GQueue ops;          /* struct op; the first is being served */
};

struct dq_futex_master {
    /* Guards everything; held across ops->send(). Below every other lock. */
    pthread_mutex_t lock;
    int nodes;
    const struct dq_futex_ops *ops;
    void *ctx;
    GHashTable *addresses; /* by addr */
    uint64_t cookie;       /* the last one used */
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
    struct op *op;

    while ((op = g_queue_pop_head(&a->ops))) {
        if (op->kind == OP_REQUEUE && op->from_addr != op->to_addr) {
            g_queue_remove(a == op->from_addr ? &op->to_addr->ops : &op->from_addr->ops, op);
        }
        g_free(op);
    }
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
    return op->kind == OP_WAKE && wakes_all(op) ? UINT32_MAX : op->count - op->woken;
}

static void start(struct dq_futex_master *fm, struct address *a, struct op *op)
{
    op->asked = DQ_FUTEX_BY_MASTER | ++fm->cookie;
    if (op->kind == OP_WAKE) {
        op->left = a->interested & ~(op->ask_all ? 0 : bit(op->from));
    } else if (op->kind == OP_REQUEUE) {
        op->left = a->interested | (op->to_addr->lease ? op->to_addr->interested : 0);
    } else if (a->lease) {
        op->left = a->interested;
    }
}

static void ask(struct dq_futex_master *fm, struct address *a, struct op *op, int node)
{
    struct dq_msg_futex m = {.addr = a->addr, .cookie = op->asked};
    unsigned type = DQ_MSG_FUTEX_REVOKE;

    op->left &= ~bit(node);
    op->pending |= bit(node);
    if (op->kind == OP_WAKE) {
        type = DQ_MSG_FUTEX_WAKE;
        m.count = rest(op);
        m.bitset = op->bitset;
    } else if (op->kind == OP_REQUEUE) {
        type = op->stage == MOVING ? DQ_MSG_FUTEX_MOVE : DQ_MSG_FUTEX_HOLD;
        m.to = op->to_addr->addr;
        m.count = rest(op);
        m.moves = op->moves - op->moved;
    }
    if (type == DQ_MSG_FUTEX_WAKE || type == DQ_MSG_FUTEX_MOVE) {
        a->turn = (node + 1) % fm->nodes;
    }
    fm->ops->send(fm->ctx, node, type, &m);
}

/* Not another node before the answer has come. */
static bool one_by_one(const struct op *op)
{
    switch (op->kind) {
    case OP_WAKE:
        return !wakes_all(op);
    case OP_REQUEUE:
        return op->stage == MOVING &&
               (op->woken < op->count || (op->moved < op->moves && op->moves < INT32_MAX));
    default:
        return false;
    }
}

/* Ask who is to be asked now. True: all have answered. */
static bool step(struct dq_futex_master *fm, struct address *a, struct op *op)
{
    int first = a->turn;

    for (int i = 0; i < fm->nodes && op->left; i++) {
        int node = (first + i) % fm->nodes;

        if (one_by_one(op) && (op->pending || (op->kind == OP_WAKE && op->woken == op->count))) {
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
    uint64_t me = bit(op->from);

    if (op->kind == OP_REGISTER) {
        a->interested |= me;
        a->lease = a->interested == me;
        send(fm, op->from, DQ_MSG_FUTEX_REGISTERED, a->addr, op->cookie, a->lease, 0);
    } else {
        bool alone = a->interested == me;

        a->lease |= alone;
        send(fm, op->from, DQ_MSG_FUTEX_WOKEN, a->addr, op->cookie, op->woken,
             alone ? DQ_FUTEX_ALONE : 0);
    }
}

/* All have answered. True: the requeue is over (it is in no queue any more). */
static bool end_of_stage(struct dq_futex_master *fm, struct op *op)
{
    struct dq_msg_futex m = {.addr = op->from_addr->addr, .cookie = op->cookie};

    if (op->stage == COMPARING) {
        return false;
    }
    if (op->stage == HOLDING) {
        op->stage = COMPARING;
        fm->ops->send(fm->ctx, op->from, DQ_MSG_FUTEX_HELD, &m);
        return false;
    }
    m.count = op->woken;
    m.moves = op->moved;
    fm->ops->send(fm->ctx, op->from, DQ_MSG_FUTEX_MOVED, &m);
    return true;
}

static struct address *other_address(const struct op *op, const struct address *a)
{
    return a == op->from_addr ? op->to_addr : op->from_addr;
}

/* Serve a requeue, one of whose addresses is a. True: it is over. */
static bool requeue(struct dq_futex_master *fm, struct address *a, struct op *op)
{
    struct address *other = other_address(op, a);

    if (g_queue_peek_head(&other->ops) != op) {
        return false;
    }
    if (!op->asked) {
        start(fm, op->from_addr, op);
    }
    if (!step(fm, op->from_addr, op) || !end_of_stage(fm, op)) {
        return false;
    }
    a->requeues--;
    if (other != a) {
        other->requeues--;
        g_queue_pop_head(&other->ops);
    }
    return true;
}

static bool serve(struct dq_futex_master *fm, struct address *a, struct op *op)
{
    if (op->kind == OP_REQUEUE) {
        return requeue(fm, a, op);
    }
    if (!op->asked) {
        start(fm, a, op);
    }
    if (!step(fm, a, op)) {
        return false;
    }
    answer(fm, a, op);
    return true;
}

/* Go on with the requests of `a` as far as possible; it is gone then if nobody needs it. */
static void advance(struct dq_futex_master *fm, struct address *a)
{
    struct address *other = NULL;
    struct op *op;

    while ((op = g_queue_peek_head(&a->ops)) && serve(fm, a, op)) {
        if (op->kind == OP_REQUEUE && other_address(op, a) != a) {
            other = other_address(op, a);
        }
        g_free(g_queue_pop_head(&a->ops));
    }
    if (!a->interested && !a->ops.length) {
        g_hash_table_remove(fm->addresses, &a->addr);
    }
    if (other) {
        advance(fm, other);
    }
}

static struct op *new_op(enum op_kind kind, int from, const struct dq_msg_futex *m)
{
    struct op *op = g_new0(struct op, 1);

    op->kind = kind;
    op->from = from;
    op->cookie = m->cookie;
    op->count = m->count;
    op->bitset = m->bitset;
    return op;
}

static void request(struct dq_futex_master *fm, enum op_kind kind, int from,
                    const struct dq_msg_futex *m)
{
    struct address *a = find_or_add(fm, m->addr);
    struct op *op = new_op(kind, from, m);

    op->ask_all = a->requeues > 0;
    g_queue_push_tail(&a->ops, op);
    if (a->ops.length == 1) {
        advance(fm, a);
    }
}

static void request_requeue(struct dq_futex_master *fm, int from, const struct dq_msg_futex *m)
{
    struct op *op = new_op(OP_REQUEUE, from, m);

    op->from_addr = find_or_add(fm, m->addr);
    op->to_addr = find_or_add(fm, m->to);
    op->from_addr->requeues++;
    g_queue_push_tail(&op->from_addr->ops, op);
    if (op->to_addr != op->from_addr) {
        op->to_addr->requeues++;
        g_queue_push_tail(&op->to_addr->ops, op);
    }
    advance(fm, op->from_addr);
}

static void lose_interest(struct address *a, int node)
{
    if (a->interested & bit(node)) {
        a->interested &= ~bit(node);
        a->lease = false;
    }
}

/* The request being served, if it waits for this answer. */
static struct op *asked(struct address *a, int from, const struct dq_msg_futex *m,
                        enum op_kind kind, enum stage stage)
{
    struct op *op = a ? g_queue_peek_head(&a->ops) : NULL;

    return op && op->asked == m->cookie && (op->pending & bit(from)) && op->kind == kind &&
                   op->stage == stage
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
    struct op *op = asked(a, from, m, OP_WAKE, HOLDING);

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
    struct op *op = asked(a, from, m, OP_REGISTER, HOLDING);

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

static int held(struct dq_futex_master *fm, int from, const struct dq_msg_futex *m)
{
    struct address *a = find(fm, m->addr);
    struct op *op = asked(a, from, m, OP_REQUEUE, HOLDING);

    if (!op) {
        return -EPROTO;
    }
    op->pending &= ~bit(from);
    a->lease = op->to_addr->lease = false;
    if (m->bitset & DQ_FUTEX_IDLE) {
        lose_interest(a, from);
    } else {
        op->holding |= bit(from);
    }
    advance(fm, a);
    return 0;
}

/* The requester has compared. */
static int compared(struct dq_futex_master *fm, int from, const struct dq_msg_futex *m)
{
    struct address *a = find(fm, m->addr);
    struct op *op = a ? g_queue_peek_head(&a->ops) : NULL;

    if (!op || op->kind != OP_REQUEUE || op->from_addr != a || op->stage != COMPARING ||
        op->from != from || op->cookie != m->cookie) {
        return -EPROTO;
    }
    op->stage = MOVING;
    op->left = op->holding;
    op->count = m->count;
    op->moves = m->moves;
    advance(fm, a);
    return 0;
}

static int moved(struct dq_futex_master *fm, int from, const struct dq_msg_futex *m)
{
    struct address *a = find(fm, m->addr);
    struct op *op = asked(a, from, m, OP_REQUEUE, MOVING);

    if (!op || m->count > rest(op) || m->moves > op->moves - op->moved) {
        return -EPROTO;
    }
    op->pending &= ~bit(from);
    op->woken += m->count;
    op->moved += m->moves;
    if (m->moves) {
        op->to_addr->interested |= bit(from);
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
    case DQ_MSG_FUTEX_HOLD:
        request_requeue(fm, from, m);
        return 0;
    case DQ_MSG_FUTEX_HELD:
        return held(fm, from, m);
    case DQ_MSG_FUTEX_MOVE:
        return compared(fm, from, m);
    case DQ_MSG_FUTEX_MOVED:
        return moved(fm, from, m);
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
