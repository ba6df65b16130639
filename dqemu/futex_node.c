/*
 * One node's part of the futex service: queues of waiters, and what the node knows of the
 * interest of others.
 *
 *  state of an address | a wake here                          | leaves it by
 *  NONE (no entry)     | asks the master                      | enter(): REGISTER
 *  REGISTERING         | asks the master                      | REGISTERED
 *  SHARED              | looks here, asks for the rest        | WOKEN(ALONE), forgetting
 *  LEASE               | looks here; no other node waits      | REVOKE, forgetting
 *
 * Forgetting (to NONE) happens only while nobody is queued, and tells the master: with the
 * answer to a WAKE or REVOKE that finds no waiter (DQ_FUTEX_IDLE), or by a REVOKED that
 * nobody asked for (cookie 0), when too many idle addresses are kept. A thread that enters
 * meanwhile loses no wake: the shard's lock makes it come before the look at the queue (then
 * the node stays interested) or after it (then it finds NONE and registers anew, before it
 * reads the word). Messages are sent under that lock, so the master hears of the forgetting
 * before it hears of the new interest. A WAKE or REVOKE that the master sent before it heard
 * either finds NONE or REGISTERING here; it is answered like any other.
 *
 * A REGISTERING address is never forgotten, so each REGISTER has its REGISTERED, and an
 * answer that speaks of an earlier registration arrives before it.
 *
 * A requeue from one address to another that this node cannot do alone is two rounds of
 * messages: HOLD ends this node's leases of both and holds the first: its waiters are neither
 * woken by threads here (the master is asked, and serves a wake after the requeue) nor joined
 * by others (who commits is parked, and reads again). MOVE does its share and ends that. The
 * answer, MOVED, also registers this node for the second address if waiters were moved: the
 * entry need not be REGISTERED, and one that is REGISTERING may have waiters who sleep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/futex_node.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <glib.h>

#include "dqemu/assert.h"
#include "dqemu/stats.h"

/*
 * shards: more than the threads of a node that are in the service at one moment.
 * idle: a lock that is contended now and then stays registered (a REGISTER less per wait);
 * 16 * 64 addresses cost a node some 100 KiB.
 * streak: handing over here costs no message and moves no page, to another node about four
 * messages and a page. With 16 the distant waiter waits for at most 16 turns of others, and
 * the cost of its turn is shared by 16.
 */
const struct dq_futex_limits dq_futex_limits = {.shards = 64, .idle = 16, .streak = 16};

enum look { LOOKING, DISTURBED, COMMITTED };
enum state { REGISTERING, SHARED, LEASE };

struct address {
    uint64_t addr;
    enum state state;
    unsigned streak;
    uint64_t cookie;  /* of the REGISTER */
    uint64_t version; /* another one after each commit, wake and move, and when the lease ends */
    bool held;        /* between HOLD and MOVE */
    struct dq_futex_waiter *first, *last;
    struct dq_futex_request *entering; /* wait for REGISTERED */
    struct dq_futex_request *parked;   /* wait for MOVE */
    GList idle_link;
    bool idle;
};

struct shard {
    /* Guards everything in the shard and the queue fields of its waiters; see futex_node.h. */
    pthread_mutex_t lock;
    GHashTable *addresses;           /* by addr */
    GQueue idle;                     /* addresses with an empty queue, longest idle first */
    struct dq_futex_request *asking; /* wait for WOKEN, HELD, MOVED */
    uint64_t cookie;                 /* the last one used, as a cookie or a version */
};

struct dq_futex_node {
    struct dq_futex_limits limits;
    const struct dq_futex_ops *ops;
    void *ctx;
    dq_futex_master_fn *master;
    void *master_ctx;
    struct shard shard[];
};

/*
 * The guest's store before a wake must be visible before the queue is looked at, and a
 * waiter in the queue before the word is read: a lock alone orders neither on every host.
 */
static inline void full_fence(void)
{
#ifndef __SANITIZE_THREAD__ /* which knows no fences, and watches the locks */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static struct shard *shard_of(struct dq_futex_node *n, uint64_t addr)
{
    uint64_t mixed = (addr >> 2) * 0x9e3779b97f4a7c15ull;

    return &n->shard[(mixed >> 32) % n->limits.shards];
}

static struct shard *lock_shard(struct dq_futex_node *n, uint64_t addr)
{
    struct shard *s = shard_of(n, addr);

    pthread_mutex_lock(&s->lock);
    return s;
}

static void lock_both(struct shard *s, struct shard *t)
{
    pthread_mutex_lock(s < t ? &s->lock : &t->lock);
    if (s != t) {
        pthread_mutex_lock(s < t ? &t->lock : &s->lock);
    }
}

static void unlock_both(struct shard *s, struct shard *t)
{
    pthread_mutex_unlock(&s->lock);
    if (s != t) {
        pthread_mutex_unlock(&t->lock);
    }
}

/* The shard of the queue that w is in. */
static struct shard *lock_shard_of_waiter(struct dq_futex_node *n, struct dq_futex_waiter *w)
{
    for (;;) {
        uint64_t addr = __atomic_load_n(&w->addr, __ATOMIC_RELAXED);
        struct shard *s = lock_shard(n, addr);

        if (w->addr == addr) {
            return s;
        }
        pthread_mutex_unlock(&s->lock); /* moved meanwhile */
    }
}

static struct address *find(struct shard *s, uint64_t addr)
{
    return g_hash_table_lookup(s->addresses, &addr);
}

static void send(struct dq_futex_node *n, unsigned type, uint64_t addr, uint64_t cookie,
                 uint32_t count, uint32_t bitset)
{
    struct dq_msg_futex m = {.addr = addr, .cookie = cookie, .count = count, .bitset = bitset};

    n->ops->send(n->ctx, 0, type, &m);
}

/*
 * The sleeper may return and its stack be used otherwise once the word is set; the kernel
 * then wakes an address of no meaning, which whoever sleeps there takes as spurious.
 */
static void set_word(uint32_t *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void dq_futex_request_wait(struct dq_futex_request *r)
{
    while (!__atomic_load_n(&r->word, __ATOMIC_ACQUIRE)) {
        syscall(SYS_futex, &r->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    full_fence();
}

static void answer_all(struct dq_futex_request **list)
{
    struct dq_futex_request *r, *next;

    for (r = *list, *list = NULL; r; r = next) {
        next = r->next;
        set_word(&r->word);
    }
}

static void forget(struct shard *s, struct address *a)
{
    if (a->idle) {
        g_queue_unlink(&s->idle, &a->idle_link);
    }
    g_hash_table_remove(s->addresses, &a->addr);
}

/* After the queue of `a` has changed; `a` may be gone then. */
static void settle(struct dq_futex_node *n, struct shard *s, struct address *a)
{
    bool idle = !a->first; /* never while REGISTERING: those who enter are queued */

    if (idle && a->idle) { /* used: now the last one to be forgotten */
        g_queue_unlink(&s->idle, &a->idle_link);
        g_queue_push_tail_link(&s->idle, &a->idle_link);
    }
    if (idle == a->idle) {
        return;
    }
    a->idle = idle;
    if (!idle) {
        g_queue_unlink(&s->idle, &a->idle_link);
        return;
    }
    g_queue_push_tail_link(&s->idle, &a->idle_link);
    if (s->idle.length > n->limits.idle) {
        a = s->idle.head->data;
        send(n, DQ_MSG_FUTEX_REVOKED, a->addr, 0, 0, DQ_FUTEX_IDLE);
        forget(s, a);
    }
}

static void queue(struct address *a, struct dq_futex_waiter *w)
{
    w->next = NULL;
    w->prev = a->last;
    *(a->last ? &a->last->next : &a->first) = w;
    a->last = w;
}

static void unqueue(struct address *a, struct dq_futex_waiter *w)
{
    *(w->prev ? &w->prev->next : &a->first) = w->next;
    *(w->next ? &w->next->prev : &a->last) = w->prev;
}

static void touch(struct shard *s, struct address *a)
{
    a->version = ++s->cookie;
}

/* Wake up to `count` who have committed; those who have not shall look again. How many. */
static uint32_t wake_here(struct shard *s, struct address *a, uint32_t count, uint32_t bitset)
{
    uint32_t woken = 0;
    struct dq_futex_waiter *w, *next;

    touch(s, a);
    for (w = a->first; w && woken < count; w = next) {
        next = w->next;
        if (!(w->bitset & bitset)) {
            continue;
        }
        if (w->look == COMMITTED) {
            unqueue(a, w);
            set_word(&w->word);
            woken++;
        } else {
            w->look = DISTURBED;
        }
    }
    return woken;
}

static uint32_t rest(const struct dq_futex_request *r)
{
    return r->count == UINT32_MAX ? UINT32_MAX : r->count - r->woken;
}

static struct address *add(struct shard *s, uint64_t addr, enum state state)
{
    struct address *a = g_new0(struct address, 1);

    a->addr = addr;
    a->state = state;
    touch(s, a);
    a->idle_link.data = a;
    g_hash_table_insert(s->addresses, &a->addr, a);
    return a;
}

bool dq_futex_node_enter(struct dq_futex_node *n, struct dq_futex_waiter *w, uint64_t addr,
                         uint32_t bitset, struct dq_futex_request *r)
{
    struct shard *s = lock_shard(n, addr);
    struct address *a = find(s, addr);
    bool registered;

    *w = (struct dq_futex_waiter){.addr = addr, .bitset = bitset, .look = LOOKING};
    if (!a) {
        a = add(s, addr, REGISTERING);
        a->cookie = ++s->cookie;
        send(n, DQ_MSG_FUTEX_REGISTER, addr, a->cookie, 0, 0);
    }
    queue(a, w);
    settle(n, s, a);
    registered = a->state != REGISTERING;
    if (registered) {
        dq_stat_add(futex_local, 1);
    } else {
        dq_stat_add(futex_remote, 1);
        *r = (struct dq_futex_request){.addr = addr, .next = a->entering};
        a->entering = r;
    }
    pthread_mutex_unlock(&s->lock);
    full_fence();
    return registered;
}

bool dq_futex_node_commit(struct dq_futex_node *n, struct dq_futex_waiter *w,
                          struct dq_futex_request *r)
{
    struct shard *s = lock_shard(n, w->addr);
    struct address *a = find(s, w->addr);
    bool undisturbed = w->look != DISTURBED && !a->held;

    w->look = undisturbed ? COMMITTED : LOOKING;
    if (undisturbed) {
        touch(s, a);
    } else {
        *r = (struct dq_futex_request){.addr = w->addr, .word = !a->held};
    }
    if (a->held) {
        r->next = a->parked;
        a->parked = r;
    }
    pthread_mutex_unlock(&s->lock);
    full_fence();
    return undisturbed;
}

bool dq_futex_node_leave(struct dq_futex_node *n, struct dq_futex_waiter *w)
{
    struct shard *s;
    struct address *a;

    if (__atomic_load_n(&w->word, __ATOMIC_ACQUIRE)) {
        return true;
    }
    s = lock_shard_of_waiter(n, w);
    if (!w->word) {
        a = find(s, w->addr);
        dq_assert(a);
        unqueue(a, w);
        settle(n, s, a);
    }
    pthread_mutex_unlock(&s->lock);
    return w->word;
}

/* `answer` is to come for r. */
static void expect(struct shard *s, struct dq_futex_request *r, unsigned answer)
{
    r->answer = answer;
    r->word = 0;
    r->next = s->asking;
    s->asking = r;
}

static void ask(struct dq_futex_node *n, struct shard *s, struct dq_futex_request *r)
{
    r->cookie = ++s->cookie;
    expect(s, r, DQ_MSG_FUTEX_WOKEN);
    send(n, DQ_MSG_FUTEX_WAKE, r->addr, r->cookie, rest(r), r->bitset);
}

bool dq_futex_node_wake(struct dq_futex_node *n, uint64_t addr, uint32_t count, uint32_t bitset,
                        struct dq_futex_request *r)
{
    struct shard *s;
    struct address *a;
    bool done;

    full_fence();
    s = lock_shard(n, addr);
    a = find(s, addr);
    *r = (struct dq_futex_request){.addr = addr, .bitset = bitset};
    r->count = count < INT32_MAX ? count : UINT32_MAX;
    if (a && a->state == SHARED && !a->held && a->streak >= n->limits.streak) {
        r->look_here = true;
    } else if (a && !a->held) { /* else the master has this node asked after the requeue */
        r->woken = wake_here(s, a, r->count, bitset);
    }
    done = (a && a->state == LEASE) || (r->woken == r->count && !r->look_here);
    if (a) {
        a->streak = done ? a->streak + 1 : 0;
        settle(n, s, a);
    }
    if (done) {
        dq_stat_add(futex_local, 1);
    } else {
        dq_stat_add(futex_remote, 1);
        ask(n, s, r);
    }
    pthread_mutex_unlock(&s->lock);
    return done;
}

static int registered(struct dq_futex_node *n, struct shard *s, const struct dq_msg_futex *m)
{
    struct address *a = find(s, m->addr);

    if (!a || a->state != REGISTERING || a->cookie != m->cookie) {
        return -EPROTO;
    }
    a->state = m->count ? LEASE : SHARED;
    a->streak = 0;
    answer_all(&a->entering);
    settle(n, s, a);
    return 0;
}

/* The request that `answer` answers: it is answered (whoever calls sets its word). */
static struct dq_futex_request *take(struct shard *s, unsigned answer, const struct dq_msg_futex *m)
{
    struct dq_futex_request **at = &s->asking, *r;

    while (*at && (*at)->cookie != m->cookie) {
        at = &(*at)->next;
    }
    r = *at;
    if (!r || r->answer != answer || r->addr != m->addr || m->count > rest(r) ||
        m->moves > r->moves) {
        return NULL;
    }
    *at = r->next;
    return r;
}

static int woken(struct dq_futex_node *n, struct shard *s, const struct dq_msg_futex *m)
{
    struct dq_futex_request *r = take(s, DQ_MSG_FUTEX_WOKEN, m);
    struct address *a = find(s, m->addr);

    if (!r) {
        return -EPROTO;
    }
    r->woken += m->count;
    if (a && a->state == SHARED && (m->bitset & DQ_FUTEX_ALONE)) {
        a->state = LEASE;
    }
    if (a && r->look_here) {
        r->woken += wake_here(s, a, rest(r), r->bitset);
        settle(n, s, a);
    }
    set_word(&r->word);
    return 0;
}

/* The master has asked: say whether anybody waits here, and forget the address if not. */
static uint32_t idle_flag(struct shard *s, struct address *a)
{
    if (a && a->first) {
        return 0;
    }
    if (a) {
        forget(s, a);
    }
    return DQ_FUTEX_IDLE;
}

static int wake_for_master(struct dq_futex_node *n, struct shard *s, const struct dq_msg_futex *m)
{
    struct address *a = find(s, m->addr);
    /* Looked at first: who is woken now is likely to come back. */
    uint32_t flags = idle_flag(s, a), count = 0;

    if (!flags) {
        count = wake_here(s, a, m->count, m->bitset);
    }
    send(n, DQ_MSG_FUTEX_WOKEN, m->addr, m->cookie, count, flags);
    if (!flags) {
        settle(n, s, a);
    }
    return 0;
}

static void end_lease(struct shard *s, struct address *a)
{
    if (a && a->state == LEASE) {
        a->state = SHARED;
        a->streak = 0;
        touch(s, a);
    }
}

static int revoke_for_master(struct dq_futex_node *n, struct shard *s, const struct dq_msg_futex *m)
{
    struct address *a = find(s, m->addr);
    uint32_t flags = idle_flag(s, a);

    if (!flags) {
        end_lease(s, a);
    }
    send(n, DQ_MSG_FUTEX_REVOKED, m->addr, m->cookie, 0, flags);
    return 0;
}

/* ------------------------------------------------------------- requeueing */

static void append(struct dq_futex_node *n, struct shard *s, uint64_t addr,
                   struct dq_futex_waiter *w)
{
    struct address *a = find(s, addr);

    if (!a) {
        a = add(s, addr, SHARED); /* the master hears of it in time */
    }
    __atomic_store_n(&w->addr, addr, __ATOMIC_RELAXED);
    queue(a, w);
    settle(n, s, a);
}

/*
 * Move waiters of a, in s, to the address `to`, in t. Onto itself: they are counted.
 * All who have not committed read again.
 */
static void requeue_here(struct dq_futex_node *n, struct shard *s, struct address *a,
                         struct shard *t, uint64_t to, uint32_t wakes, uint32_t moves,
                         uint32_t *woken, uint32_t *moved)
{
    struct dq_futex_waiter *w, *next;

    touch(s, a);
    if (find(t, to)) {
        touch(t, find(t, to));
    }
    for (w = a->first; w; w = next) {
        next = w->next;
        if (w->look != COMMITTED) {
            w->look = DISTURBED;
        } else if (*woken < wakes) {
            unqueue(a, w);
            set_word(&w->word);
            (*woken)++;
        } else if (*moved < moves) {
            (*moved)++;
            if (to != a->addr) {
                unqueue(a, w);
                append(n, t, to, w);
            }
        }
    }
}

static void send_requeue(struct dq_futex_node *n, unsigned type, const struct dq_futex_requeue *q)
{
    struct dq_msg_futex m = {.addr = q->r.addr, .cookie = q->r.cookie, .to = q->to};

    if (type == DQ_MSG_FUTEX_MOVE) {
        m.count = q->r.count;
        m.moves = q->r.moves;
    }
    n->ops->send(n->ctx, 0, type, &m);
}

static void hold(struct dq_futex_node *n, struct shard *s, struct dq_futex_requeue *q)
{
    q->held = true;
    q->r.cookie = ++s->cookie;
    expect(s, &q->r, DQ_MSG_FUTEX_HELD);
    send_requeue(n, DQ_MSG_FUTEX_HOLD, q);
    dq_stat_add(futex_remote, 1);
}

/* All waiters of a are here, and `to` is registered: the master need not know. */
static bool is_local(struct address *a, struct address *to)
{
    return a && a->state == LEASE && to && to->state != REGISTERING && !to->held;
}

bool dq_futex_node_requeue_begin(struct dq_futex_node *n, struct dq_futex_requeue *q, uint64_t addr,
                                 uint64_t to)
{
    struct shard *s = shard_of(n, addr), *t = shard_of(n, to);
    struct address *a;
    bool local;

    full_fence();
    *q = (struct dq_futex_requeue){.r.addr = addr, .to = to};
    lock_both(s, t);
    a = find(s, addr);
    local = is_local(a, find(t, to));
    if (local) {
        q->version = a->version;
    } else {
        hold(n, s, q);
    }
    unlock_both(s, t);
    full_fence();
    return local;
}

bool dq_futex_node_requeue_commit(struct dq_futex_node *n, struct dq_futex_requeue *q,
                                  uint32_t wakes, uint32_t moves)
{
    struct shard *s = shard_of(n, q->r.addr), *t = shard_of(n, q->to);
    bool local = false;
    struct address *a;

    lock_both(s, t);
    a = find(s, q->r.addr);
    if (q->held) {
        q->done = true;
        q->r.count = wakes;
        q->r.moves = moves;
        expect(s, &q->r, DQ_MSG_FUTEX_MOVED);
        send_requeue(n, DQ_MSG_FUTEX_MOVE, q);
    } else if (is_local(a, find(t, q->to)) && a->version == q->version) {
        local = q->done = true;
        requeue_here(n, s, a, t, q->to, wakes, moves, &q->r.woken, &q->r.moved);
        settle(n, s, a);
        dq_stat_add(futex_local, 1);
    } else {
        hold(n, s, q);
    }
    unlock_both(s, t);
    return local;
}

bool dq_futex_node_requeue_cancel(struct dq_futex_node *n, struct dq_futex_requeue *q)
{
    return !q->held || dq_futex_node_requeue_commit(n, q, 0, 0);
}

static int held(struct shard *s, const struct dq_msg_futex *m)
{
    struct dq_futex_request *r = take(s, DQ_MSG_FUTEX_HELD, m);

    if (!r) {
        return -EPROTO;
    }
    set_word(&r->word);
    return 0;
}

static int moved(struct shard *s, const struct dq_msg_futex *m)
{
    struct dq_futex_request *r = take(s, DQ_MSG_FUTEX_MOVED, m);

    if (!r) {
        return -EPROTO;
    }
    r->woken = m->count;
    r->moved = m->moves;
    set_word(&r->word);
    return 0;
}

static int hold_for_master(struct dq_futex_node *n, struct shard *s, struct shard *t,
                           const struct dq_msg_futex *m)
{
    struct address *a = find(s, m->addr);
    uint32_t flags;

    end_lease(t, find(t, m->to));
    end_lease(s, a);
    flags = idle_flag(s, a);
    if (!flags) {
        a->held = true;
    }
    send(n, DQ_MSG_FUTEX_HELD, m->addr, m->cookie, 0, flags);
    return 0;
}

static int move_for_master(struct dq_futex_node *n, struct shard *s, struct shard *t,
                           const struct dq_msg_futex *m)
{
    struct address *a = find(s, m->addr);
    struct dq_msg_futex answer = {.addr = m->addr, .cookie = m->cookie};

    /* All have left, and it was forgotten, or even forgotten and entered anew, if not held. */
    if (a && a->held) {
        a->held = false;
        requeue_here(n, s, a, t, m->to, m->count, m->moves, &answer.count, &answer.moves);
    }
    n->ops->send(n->ctx, 0, DQ_MSG_FUTEX_MOVED, &answer);
    if (a) {
        answer_all(&a->parked);
        settle(n, s, a);
    }
    return 0;
}

/* --------------------------------------------------------------- messages */

static bool for_master(unsigned type, uint64_t cookie)
{
    bool by_master = cookie & DQ_FUTEX_BY_MASTER;

    switch (type) {
    case DQ_MSG_FUTEX_REGISTER:
    case DQ_MSG_FUTEX_REVOKED:
        return true;
    case DQ_MSG_FUTEX_WAKE:
    case DQ_MSG_FUTEX_HOLD:
    case DQ_MSG_FUTEX_MOVE:
        return !by_master;
    case DQ_MSG_FUTEX_WOKEN:
    case DQ_MSG_FUTEX_HELD:
    case DQ_MSG_FUTEX_MOVED:
        return by_master;
    default:
        return false;
    }
}

static int node_message(struct dq_futex_node *n, struct shard *s, struct shard *t, unsigned type,
                        const struct dq_msg_futex *m)
{
    switch (type) {
    case DQ_MSG_FUTEX_REGISTERED:
        return registered(n, s, m);
    case DQ_MSG_FUTEX_WOKEN:
        return woken(n, s, m);
    case DQ_MSG_FUTEX_HELD:
        return held(s, m);
    case DQ_MSG_FUTEX_MOVED:
        return moved(s, m);
    case DQ_MSG_FUTEX_WAKE:
        return wake_for_master(n, s, m);
    case DQ_MSG_FUTEX_REVOKE:
        return revoke_for_master(n, s, m);
    case DQ_MSG_FUTEX_HOLD:
        return hold_for_master(n, s, t, m);
    case DQ_MSG_FUTEX_MOVE:
        return move_for_master(n, s, t, m);
    default:
        return -EPROTO;
    }
}

int dq_futex_node_message(struct dq_futex_node *n, int from, unsigned type,
                          const struct dq_msg_futex *m)
{
    bool two = type == DQ_MSG_FUTEX_HOLD || type == DQ_MSG_FUTEX_MOVE;
    struct shard *s = shard_of(n, m->addr), *t = two ? shard_of(n, m->to) : s;
    int ret;

    if (for_master(type, m->cookie)) {
        return n->master ? n->master(n->master_ctx, from, type, m) : -EPROTO;
    }
    if (from != 0) {
        return -EPROTO;
    }
    lock_both(s, t);
    ret = node_message(n, s, t, type, m);
    unlock_both(s, t);
    return ret;
}

struct dq_futex_node *dq_futex_node_new(const struct dq_futex_limits *limits,
                                        const struct dq_futex_ops *ops, void *ctx)
{
    struct dq_futex_node *n = g_malloc0(sizeof(*n) + limits->shards * sizeof(n->shard[0]));

    n->limits = *limits;
    n->ops = ops;
    n->ctx = ctx;
    for (unsigned i = 0; i < limits->shards; i++) {
        pthread_mutex_init(&n->shard[i].lock, NULL);
        n->shard[i].addresses = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
        g_queue_init(&n->shard[i].idle);
    }
    return n;
}

void dq_futex_node_free(struct dq_futex_node *n)
{
    for (unsigned i = 0; i < n->limits.shards; i++) {
        g_hash_table_destroy(n->shard[i].addresses);
        pthread_mutex_destroy(&n->shard[i].lock);
    }
    g_free(n);
}

void dq_futex_node_set_master(struct dq_futex_node *n, dq_futex_master_fn *message, void *ctx)
{
    n->master = message;
    n->master_ctx = ctx;
}

size_t dq_futex_node_addresses(struct dq_futex_node *n)
{
    size_t sum = 0;

    for (unsigned i = 0; i < n->limits.shards; i++) {
        pthread_mutex_lock(&n->shard[i].lock);
        sum += g_hash_table_size(n->shard[i].addresses);
        pthread_mutex_unlock(&n->shard[i].lock);
    }
    return sum;
}
