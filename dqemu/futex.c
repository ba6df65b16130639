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
 * either finds NONE or REGISTERING here; it is answered like any other. It wakes nobody: the
 * waiters that a REGISTERING address has have not read the word, hence not committed.
 *
 * A REGISTERING address is never forgotten, so each REGISTER has its REGISTERED, and an
 * answer that speaks of an earlier registration arrives before it.
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
    uint64_t cookie; /* of the REGISTER */
    struct dq_futex_waiter *first, *last;
    struct dq_futex_request *entering; /* wait for REGISTERED */
    GList idle_link;
    bool idle;
};

struct shard {
    /* Guards everything in the shard and the queue fields of its waiters; see futex_node.h. */
    pthread_mutex_t lock;
    GHashTable *addresses;           /* by addr */
    GQueue idle;                     /* addresses with an empty queue, longest idle first */
    struct dq_futex_request *waking; /* wait for WOKEN */
    uint64_t cookie;                 /* the last one used */
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

static struct shard *lock_shard(struct dq_futex_node *n, uint64_t addr)
{
    uint64_t mixed = (addr >> 2) * 0x9e3779b97f4a7c15ull;
    struct shard *s = &n->shard[(mixed >> 32) % n->limits.shards];

    pthread_mutex_lock(&s->lock);
    return s;
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

/* Wake up to `count` who have committed; those who have not shall look again. How many. */
static uint32_t wake_here(struct address *a, uint32_t count, uint32_t bitset)
{
    uint32_t woken = 0;
    struct dq_futex_waiter *w, *next;

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

static struct address *add(struct shard *s, uint64_t addr)
{
    struct address *a = g_new0(struct address, 1);

    a->addr = addr;
    a->state = REGISTERING;
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
        a = add(s, addr);
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

bool dq_futex_node_commit(struct dq_futex_node *n, struct dq_futex_waiter *w)
{
    struct shard *s = lock_shard(n, w->addr);
    bool undisturbed = w->look != DISTURBED;

    w->look = undisturbed ? COMMITTED : LOOKING;
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
    s = lock_shard(n, w->addr);
    if (!w->word) {
        a = find(s, w->addr);
        dq_assert(a);
        unqueue(a, w);
        settle(n, s, a);
    }
    pthread_mutex_unlock(&s->lock);
    return w->word;
}

static void ask(struct dq_futex_node *n, struct shard *s, struct dq_futex_request *r)
{
    r->cookie = ++s->cookie;
    r->next = s->waking;
    s->waking = r;
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
    if (a && a->state == SHARED && a->streak >= n->limits.streak) {
        r->look_here = true;
    } else if (a) {
        r->woken = wake_here(a, r->count, bitset);
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
    struct dq_futex_request *r, *next;

    if (!a || a->state != REGISTERING || a->cookie != m->cookie) {
        return -EPROTO;
    }
    a->state = m->count ? LEASE : SHARED;
    a->streak = 0;
    for (r = a->entering, a->entering = NULL; r; r = next) {
        next = r->next;
        set_word(&r->word);
    }
    settle(n, s, a);
    return 0;
}

static int woken(struct dq_futex_node *n, struct shard *s, const struct dq_msg_futex *m)
{
    struct dq_futex_request **at = &s->waking, *r;
    struct address *a = find(s, m->addr);

    while (*at && (*at)->cookie != m->cookie) {
        at = &(*at)->next;
    }
    r = *at;
    if (!r || r->addr != m->addr || m->count > rest(r)) {
        return -EPROTO;
    }
    *at = r->next;
    r->woken += m->count;
    if (a && a->state == SHARED && (m->bitset & DQ_FUTEX_ALONE)) {
        a->state = LEASE;
    }
    if (a && r->look_here) {
        r->woken += wake_here(a, rest(r), r->bitset);
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
        count = wake_here(a, m->count, m->bitset);
    }
    send(n, DQ_MSG_FUTEX_WOKEN, m->addr, m->cookie, count, flags);
    if (!flags) {
        settle(n, s, a);
    }
    return 0;
}

static int end_lease(struct dq_futex_node *n, struct shard *s, const struct dq_msg_futex *m)
{
    struct address *a = find(s, m->addr);
    uint32_t flags = idle_flag(s, a);

    if (!flags && a->state == LEASE) {
        a->state = SHARED;
        a->streak = 0;
    }
    send(n, DQ_MSG_FUTEX_REVOKED, m->addr, m->cookie, 0, flags);
    return 0;
}

static bool for_master(unsigned type, uint64_t cookie)
{
    bool by_master = cookie & DQ_FUTEX_BY_MASTER;

    return type == DQ_MSG_FUTEX_REGISTER || type == DQ_MSG_FUTEX_REVOKED ||
           (type == DQ_MSG_FUTEX_WAKE && !by_master) || (type == DQ_MSG_FUTEX_WOKEN && by_master);
}

static int node_message(struct dq_futex_node *n, struct shard *s, unsigned type,
                        const struct dq_msg_futex *m)
{
    switch (type) {
    case DQ_MSG_FUTEX_REGISTERED:
        return registered(n, s, m);
    case DQ_MSG_FUTEX_WOKEN:
        return woken(n, s, m);
    case DQ_MSG_FUTEX_WAKE:
        return wake_for_master(n, s, m);
    case DQ_MSG_FUTEX_REVOKE:
        return end_lease(n, s, m);
    default:
        return -EPROTO;
    }
}

int dq_futex_node_message(struct dq_futex_node *n, int from, unsigned type,
                          const struct dq_msg_futex *m)
{
    struct shard *s;
    int ret;

    if (for_master(type, m->cookie)) {
        return n->master ? n->master(n->master_ctx, from, type, m) : -EPROTO;
    }
    if (from != 0) {
        return -EPROTO;
    }
    s = lock_shard(n, m->addr);
    ret = node_message(n, s, type, m);
    pthread_mutex_unlock(&s->lock);
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
        full_fence();
    }
}

bool dq_futex_commit(struct dq_futex_waiter *w)
{
    return dq_futex_node_commit(self, w);
}

bool dq_futex_leave(struct dq_futex_waiter *w)
{
    return dq_futex_node_leave(self, w);
}

uint32_t dq_futex_wake(uint64_t addr, uint32_t count, uint32_t bitset)
{
    struct dq_futex_request r;

    if (!dq_futex_node_wake(self, addr, count, bitset, &r)) {
        dq_futex_request_wait(&r);
    }
    return r.woken;
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
