/*
 * The futex service with real threads: several nodes in one process, each with a loop thread
 * that delivers its messages; guest threads lock, wait and wake by the recipe of futex.h.
 * The schedules that threads do not meet are in tests/sim/futex_sim.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "dqemu/futex_node.h"
#include "master/futex.h"

#define NODES 4
#define ALL UINT32_MAX

struct packet {
    struct packet *next;
    int from;
    unsigned type;
    struct dq_msg_futex m;
};

/* One node: its service and the thread that is its loop. */
struct member {
    struct dq_futex_node *futex; /* NULL: the process's own, by dq_futex_init() */
    pthread_t loop;
    pthread_mutex_t lock; /* guards the queue and `stop` */
    pthread_cond_t more;
    struct packet *first, *last;
    bool stop;
};
static struct member members[NODES];
static struct dq_futex_master *master;
static atomic_uint messages;
static atomic_uint under_way; /* sent, and not handled yet */

/* Nothing is kept of an idle address, other nodes are asked often, all queues share a lock. */
static const struct dq_futex_limits tight = {.shards = 1, .idle = 0, .streak = 1};

/* -------------------------------------------------------------- cluster */

static void deliver_later(void *ctx, int to, unsigned type, const struct dq_msg_futex *m)
{
    struct packet *p = g_new0(struct packet, 1);
    struct member *d = &members[to];

    p->from = (int)(intptr_t)ctx;
    p->type = type;
    p->m = *m;
    atomic_fetch_add(&messages, 1);
    atomic_fetch_add(&under_way, 1);
    pthread_mutex_lock(&d->lock);
    *(d->last ? &d->last->next : &d->first) = p;
    d->last = p;
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
}
static const struct dq_futex_ops ops = {.send = deliver_later};

static struct packet *next_packet(struct member *d)
{
    struct packet *p;

    pthread_mutex_lock(&d->lock);
    while (!d->first && !d->stop) {
        pthread_cond_wait(&d->more, &d->lock);
    }
    p = d->first;
    if (p) {
        d->first = p->next;
        d->last = d->first ? d->last : NULL;
    }
    pthread_mutex_unlock(&d->lock);
    return p;
}

static void *loop(void *arg)
{
    struct member *d = arg;
    struct packet *p;

    while ((p = next_packet(d))) {
        g_assert_cmpint(d->futex ? dq_futex_node_message(d->futex, p->from, p->type, &p->m)
                                 : dq_futex_message(p->from, p->type, &p->m),
                        ==, 0);
        g_free(p);
        atomic_fetch_sub(&under_way, 1); /* what it led to has been counted by now */
    }
    return NULL;
}

static void start_loop(int k)
{
    struct member *d = &members[k];

    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->more, NULL);
    d->stop = false;
    g_assert_cmpint(pthread_create(&d->loop, NULL, loop, d), ==, 0);
}

static void stop_loop(int k)
{
    struct member *d = &members[k];

    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->loop, NULL);
    pthread_cond_destroy(&d->more);
    pthread_mutex_destroy(&d->lock);
}

static void cluster_up_with(const struct dq_futex_limits *limits)
{
    master = dq_futex_master_new(NODES, &ops, NULL);
    for (int k = 0; k < NODES; k++) {
        members[k].futex = dq_futex_node_new(limits, &ops, (void *)(intptr_t)k);
    }
    dq_futex_node_set_master(members[0].futex, dq_futex_master_message, master);
    for (int k = 0; k < NODES; k++) {
        start_loop(k);
    }
    atomic_store(&messages, 0);
}

static void cluster_up(void)
{
    cluster_up_with(&dq_futex_limits);
}

/* The guest's calls are over, but perhaps not what they led to: it must not meet the next cluster. */
static void cluster_down(void)
{
    while (atomic_load(&under_way)) {
        sched_yield();
    }
    for (int k = 0; k < NODES; k++) {
        stop_loop(k);
    }
    for (int k = 0; k < NODES; k++) {
        dq_futex_node_free(members[k].futex);
    }
    dq_futex_master_free(master);
}

/* -------------------------------------------------------- guest's calls */

static void enter(int k, struct dq_futex_waiter *w, uint64_t addr, uint32_t bitset)
{
    struct dq_futex_request r;

    if (!dq_futex_node_enter(members[k].futex, w, addr, bitset, &r)) {
        dq_futex_request_wait(&r);
    }
}

static uint32_t wake(int k, uint64_t addr, uint32_t count, uint32_t bitset)
{
    struct dq_futex_request r;

    if (!dq_futex_node_wake(members[k].futex, addr, count, bitset, &r)) {
        dq_futex_request_wait(&r);
    }
    return r.woken;
}

static bool commit(int k, struct dq_futex_waiter *w)
{
    struct dq_futex_request r;

    if (dq_futex_node_commit(members[k].futex, w, &r)) {
        return true;
    }
    dq_futex_request_wait(&r);
    return false;
}

/* FUTEX_REQUEUE: the number moved is added to *moved. */
static uint32_t requeue(int k, uint64_t addr, uint64_t to, uint32_t wakes, uint32_t moves,
                        uint32_t *moved)
{
    struct dq_futex_requeue q;

    if (!dq_futex_node_requeue_begin(members[k].futex, &q, addr, to)) {
        dq_futex_request_wait(&q.r);
    }
    do {
        if (!dq_futex_node_requeue_commit(members[k].futex, &q, wakes, moves)) {
            dq_futex_request_wait(&q.r);
        }
    } while (!q.done);
    *moved += q.r.moved;
    return q.r.woken;
}

static bool leave(int k, struct dq_futex_waiter *w)
{
    return dq_futex_node_leave(members[k].futex, w);
}

/* A waiter without a thread: registered, committed. */
static void put(int k, struct dq_futex_waiter *w, uint64_t addr, uint32_t bitset)
{
    enter(k, w, addr, bitset);
    g_assert_true(commit(k, w));
}

static uint64_t address(atomic_uint *word)
{
    return (uintptr_t)word;
}

static int futex_wait(int k, atomic_uint *word, uint32_t value, long limit_ns)
{
    struct timespec limit = {.tv_nsec = limit_ns};
    struct dq_futex_waiter w;

    enter(k, &w, address(word), ALL);
    do {
        if (atomic_load(word) != value) {
            g_assert_false(leave(k, &w));
            return -EAGAIN;
        }
    } while (!commit(k, &w));
    while (!__atomic_load_n(&w.word, __ATOMIC_ACQUIRE)) {
        if (syscall(SYS_futex, &w.word, FUTEX_WAIT_PRIVATE, 0, limit_ns ? &limit : NULL, NULL, 0) <
                0 &&
            errno == ETIMEDOUT) {
            break;
        }
    }
    return leave(k, &w) ? 0 : -ETIMEDOUT;
}

/* glibc's lll_lock and lll_unlock */
static void lock(int k, atomic_uint *word)
{
    uint32_t free = 0;

    if (!atomic_compare_exchange_strong(word, &free, 1)) {
        while (atomic_exchange(word, 2) != 0) {
            futex_wait(k, word, 2, 0);
        }
    }
}

static void unlock(int k, atomic_uint *word)
{
    if (atomic_exchange(word, 0) > 1) {
        wake(k, address(word), 1, ALL);
    }
}

#define THREADS 8
#define ROUNDS 300

static void run_threads(void *(*body)(void *index))
{
    pthread_t threads[THREADS];

    for (intptr_t i = 0; i < THREADS; i++) {
        g_assert_cmpint(pthread_create(&threads[i], NULL, body, (void *)i), ==, 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* ---------------------------------------------------------------- tests */

static void test_lease(void)
{
    struct dq_futex_waiter w;

    cluster_up();
    put(2, &w, 64, ALL);
    g_assert_cmpuint(atomic_load(&messages), ==, 2); /* REGISTER, REGISTERED */
    for (int i = 0; i < 100; i++) {
        g_assert_cmpuint(wake(2, 64, 1, ALL), ==, 1);
        g_assert_true(leave(2, &w));
        g_assert_cmpuint(wake(2, 64, 1, ALL), ==, 0);
        put(2, &w, 64, ALL);
    }
    g_assert_false(leave(2, &w));
    g_assert_cmpuint(atomic_load(&messages), ==, 2);
    cluster_down();
}

static void test_lease_comes_back(void)
{
    struct dq_futex_waiter a, b;
    unsigned before;

    cluster_up();
    put(1, &a, 64, ALL);
    put(2, &b, 64, ALL);
    g_assert_false(leave(2, &b));
    g_assert_cmpuint(wake(1, 64, 5, ALL), ==, 1); /* asks, and learns that node 2 is idle */
    before = atomic_load(&messages);
    g_assert_cmpuint(wake(1, 64, 5, ALL), ==, 0);
    put(1, &b, 64, ALL);
    g_assert_cmpuint(wake(1, 64, 5, ALL), ==, 1);
    g_assert_cmpuint(atomic_load(&messages), ==, before);
    put(2, &a, 64, ALL); /* and goes again */
    g_assert_cmpuint(wake(1, 64, 5, ALL), ==, 1);
    cluster_down();
}

static void test_wake_count(void)
{
    struct dq_futex_waiter w[3 * NODES];
    int woken = 0;

    cluster_up();
    for (int i = 0; i < 3 * NODES; i++) {
        put(i % NODES, &w[i], 64, ALL);
    }
    g_assert_cmpuint(wake(1, 128, INT_MAX, ALL), ==, 0);
    g_assert_cmpuint(wake(1, 64, 0, ALL), ==, 0);
    g_assert_cmpuint(wake(1, 64, 1, ALL), ==, 1);
    g_assert_cmpuint(wake(0, 64, 4, ALL), ==, 4);
    for (int i = 0; i < 3 * NODES; i++) {
        woken += w[i].word;
    }
    g_assert_cmpint(woken, ==, 5);
    g_assert_cmpuint(wake(3, 64, INT_MAX, ALL), ==, 3 * NODES - 5);
    for (int i = 0; i < 3 * NODES; i++) {
        g_assert_true(leave(i % NODES, &w[i]));
    }
    g_assert_cmpuint(wake(2, 64, UINT32_MAX, ALL), ==, 0);
    cluster_down();
}

static void test_bitset(void)
{
    struct dq_futex_waiter w[NODES];

    cluster_up();
    for (int k = 0; k < NODES; k++) {
        put(k, &w[k], 64, 1u << k);
    }
    g_assert_cmpuint(wake(0, 64, INT_MAX, 1u << NODES), ==, 0);
    g_assert_cmpuint(wake(0, 64, 1, 4), ==, 1);
    g_assert_true(leave(2, &w[2]));
    g_assert_cmpuint(wake(2, 64, INT_MAX, 3), ==, 2);
    g_assert_true(leave(0, &w[0]));
    g_assert_true(leave(1, &w[1]));
    g_assert_false(leave(3, &w[3]));
    cluster_down();
}

static void test_value_changed(void)
{
    atomic_uint word = 1;

    cluster_up();
    for (int k = 0; k < NODES; k++) {
        g_assert_cmpint(futex_wait(k, &word, 0, 0), ==, -EAGAIN);
    }
    g_assert_cmpuint(wake(1, address(&word), INT_MAX, ALL), ==, 0);
    cluster_down();
}

static void test_time_limit(void)
{
    atomic_uint word = 0;

    cluster_up();
    for (int k = 0; k < NODES; k++) {
        g_assert_cmpint(futex_wait(k, &word, 0, 1000000), ==, -ETIMEDOUT);
    }
    g_assert_cmpuint(wake(1, address(&word), INT_MAX, ALL), ==, 0);
    cluster_down();
}

/* Who has not read the word yet reads it again, and uses up no wake. */
static void test_disturbed(void)
{
    struct dq_futex_waiter reader, sleeper;

    cluster_up();
    for (int k = 0; k < 2; k++) {
        enter(1, &reader, 64, 1);
        put(k ? 1 : 2, &sleeper, 64, ALL);
        g_assert_cmpuint(wake(3, 64, INT_MAX, ALL), ==, 1);
        g_assert_true(leave(k ? 1 : 2, &sleeper));
        g_assert_false(commit(1, &reader));
        g_assert_cmpuint(wake(3, 64, INT_MAX, 2), ==, 0); /* not for the reader */
        g_assert_true(commit(1, &reader));
        g_assert_cmpuint(wake(3, 64, INT_MAX, ALL), ==, 1);
        g_assert_true(leave(1, &reader));
    }
    cluster_down();
}

/* The only waiter of another node is not passed over for ever. */
static void test_fair(void)
{
    struct dq_futex_waiter far, near[2];
    unsigned wakes = 0;

    cluster_up();
    put(3, &far, 64, ALL);
    put(1, &near[0], 64, ALL);
    while (!__atomic_load_n(&far.word, __ATOMIC_ACQUIRE)) {
        put(1, &near[(wakes + 1) % 2], 64, ALL); /* a second one, for the queue is never empty */
        g_assert_cmpuint(wake(1, 64, 1, ALL), ==, 1);
        g_assert_cmpuint(++wakes, <=, dq_futex_limits.streak + 1);
    }
    g_assert_cmpuint(wakes, >, 1);
    g_assert_true(leave(3, &far));
    g_assert_cmpuint(wake(1, 64, INT_MAX, ALL), ==, 2);
    cluster_down();
}

static void test_forgets(void)
{
    struct dq_futex_waiter w;
    size_t here, sum = 0, most = dq_futex_limits.shards * dq_futex_limits.idle;

    cluster_up();
    for (int i = 0; i < 6000; i++) {
        put(i % NODES, &w, 64 + 4 * i, ALL);
        g_assert_false(leave(i % NODES, &w));
    }
    for (int k = 0; k < NODES; k++) {
        here = dq_futex_node_addresses(members[k].futex);
        g_assert_cmpuint(here, <=, most);
        sum += here;
        wake(k, 0, 1, ALL); /* asks the master: it has heard all that the node said before */
    }
    g_assert_cmpuint(dq_futex_master_addresses(master), <=, sum);
    cluster_down();
}

static void test_requeue(void)
{
    struct dq_futex_waiter w[2 * NODES];
    uint32_t moved = 0;
    int woken = 0;

    cluster_up();
    g_assert_cmpuint(requeue(1, 64, 128, 3, 3, &moved), ==, 0);
    g_assert_cmpuint(moved, ==, 0);
    for (int i = 0; i < 2 * NODES; i++) {
        put(i % NODES, &w[i], 64, i ? ALL : 2);
    }
    g_assert_cmpuint(requeue(1, 64, 128, 1, 3, &moved), ==, 1);
    g_assert_cmpuint(moved, ==, 3);
    g_assert_cmpuint(requeue(2, 64, 128, 0, INT_MAX, &moved), ==, 0);
    g_assert_cmpuint(moved, ==, 7);
    g_assert_cmpuint(wake(3, 64, INT_MAX, ALL), ==, 0);
    for (int i = 0; i < 2 * NODES; i++) {
        woken += w[i].word;
    }
    g_assert_cmpint(woken, ==, 1);
    woken = 0;
    for (int i = 0; i < 2; i++) { /* those who do not wait for the wake */
        woken += leave(i, &w[i]);
    }
    g_assert_cmpint(woken, <=, 1);
    g_assert_cmpuint(wake(3, 128, INT_MAX, ALL), ==, 5 + woken);
    for (int i = 2; i < 2 * NODES; i++) {
        g_assert_true(leave(i % NODES, &w[i]));
    }
    cluster_down();
}

/* Where the lease is, without a message; if something happens meanwhile, with messages. */
static void test_requeue_here(void)
{
    struct dq_futex_waiter w[3], other;
    struct dq_futex_requeue q;
    uint32_t moved = 0;
    unsigned before;

    cluster_up();
    put(2, &other, 128, ALL);
    put(2, &w[0], 64, ALL);
    put(2, &w[1], 64, ALL);
    before = atomic_load(&messages);
    g_assert_cmpuint(requeue(2, 64, 128, 1, 5, &moved), ==, 1);
    g_assert_cmpuint(moved, ==, 1);
    g_assert_true(leave(2, &w[0]));
    g_assert_cmpuint(wake(2, 128, 2, ALL), ==, 2);
    g_assert_true(leave(2, &w[1]));
    g_assert_true(leave(2, &other));
    g_assert_cmpuint(atomic_load(&messages), ==, before);

    g_assert_true(dq_futex_node_requeue_begin(members[2].futex, &q, 64, 128));
    g_assert_true(dq_futex_node_requeue_cancel(members[2].futex, &q));
    g_assert_true(dq_futex_node_requeue_begin(members[2].futex, &q, 64, 128));
    put(2, &w[2], 64, ALL);
    g_assert_false(dq_futex_node_requeue_commit(members[2].futex, &q, 0, 5));
    dq_futex_request_wait(&q.r);
    g_assert_false(q.done);
    g_assert_false(dq_futex_node_requeue_commit(members[2].futex, &q, 0, 5));
    dq_futex_request_wait(&q.r);
    g_assert_true(q.done);
    g_assert_cmpuint(q.r.moved, ==, 1);
    g_assert_cmpuint(wake(2, 64, 5, ALL), ==, 0);
    g_assert_false(leave(2, &w[2]));
    cluster_down();
}

static void test_requeue_to_itself(void)
{
    struct dq_futex_waiter w[NODES];
    uint32_t moved = 0;

    cluster_up();
    for (int k = 0; k < NODES; k++) {
        put(k, &w[k], 64, ALL);
    }
    g_assert_cmpuint(requeue(3, 64, 64, 1, 2, &moved), ==, 1);
    g_assert_cmpuint(moved, ==, 2);
    g_assert_cmpuint(wake(1, 64, INT_MAX, ALL), ==, NODES - 1);
    cluster_down();
}

/* Who is about to sleep while a requeue compares waits, and reads again. */
static void test_requeue_holds(void)
{
    struct dq_futex_waiter sleeper, reader;
    struct dq_futex_request r;
    struct dq_futex_requeue q;

    cluster_up();
    put(1, &sleeper, 64, ALL);
    enter(1, &reader, 64, ALL);
    if (!dq_futex_node_requeue_begin(members[2].futex, &q, 64, 128)) {
        dq_futex_request_wait(&q.r);
    }
    g_assert_false(dq_futex_node_commit(members[1].futex, &reader, &r));
    g_assert_cmpuint(r.word, ==, 0);
    g_assert_false(dq_futex_node_requeue_cancel(members[2].futex, &q));
    dq_futex_request_wait(&q.r);
    dq_futex_request_wait(&r);
    while (!commit(1, &reader)) {
    }
    g_assert_cmpuint(wake(3, 128, INT_MAX, ALL), ==, 0);
    g_assert_cmpuint(wake(3, 64, INT_MAX, ALL), ==, 2);
    cluster_down();
}

/* -------------------------------------------------------- threads */

static struct {
    atomic_uint mutex, sequence;
    unsigned counter, tokens, arrived; /* guarded by the mutex */
} shared;

static void *count_up(void *arg)
{
    int k = (intptr_t)arg % NODES;

    for (int i = 0; i < ROUNDS; i++) {
        lock(k, &shared.mutex);
        shared.counter++;
        if (i % 8 == 0) {
            sched_yield(); /* so that others find it taken */
        }
        unlock(k, &shared.mutex);
    }
    return NULL;
}

static void test_mutex(const void *limits)
{
    cluster_up_with(limits);
    shared.counter = 0;
    run_threads(count_up);
    g_assert_cmpuint(shared.counter, ==, THREADS * ROUNDS);
    cluster_down();
}

/* A condition variable that is a sequence number: one lost wake, and this never ends. */
static void *produce_or_consume(void *arg)
{
    int i = (intptr_t)arg, k = i / 2 % NODES;

    for (int round = 0; round < ROUNDS; round++) {
        lock(k, &shared.mutex);
        if (i % 2) {
            while (shared.tokens == 0) {
                uint32_t seen = atomic_load(&shared.sequence);

                unlock(k, &shared.mutex);
                futex_wait(k, &shared.sequence, seen, 0);
                lock(k, &shared.mutex);
            }
            shared.tokens--;
            unlock(k, &shared.mutex);
        } else {
            shared.tokens++;
            unlock(k, &shared.mutex);
            atomic_fetch_add(&shared.sequence, 1);
            wake(k, address(&shared.sequence), 1, ALL);
        }
    }
    return NULL;
}

static void test_condition(const void *limits)
{
    cluster_up_with(limits);
    run_threads(produce_or_consume);
    g_assert_cmpuint(shared.tokens, ==, 0);
    cluster_down();
}

static void *meet(void *arg)
{
    int k = (intptr_t)arg % NODES;

    for (int round = 0; round < ROUNDS; round++) {
        uint32_t seen = atomic_load(&shared.sequence);
        bool last;

        lock(k, &shared.mutex);
        last = ++shared.arrived == THREADS;
        if (last) {
            shared.arrived = 0;
            atomic_fetch_add(&shared.sequence, 1);
        }
        unlock(k, &shared.mutex);
        if (last) {
            wake(k, address(&shared.sequence), INT_MAX, ALL);
        }
        while (atomic_load(&shared.sequence) == seen) {
            futex_wait(k, &shared.sequence, seen, 0);
        }
    }
    return NULL;
}

static void test_barrier(const void *limits)
{
    cluster_up_with(limits);
    shared.arrived = 0;
    atomic_store(&shared.sequence, 0);
    run_threads(meet);
    g_assert_cmpuint(atomic_load(&shared.sequence), ==, ROUNDS);
    cluster_down();
}

/* Time limits that run out just when the wake comes: each wake is reported exactly once. */
static atomic_uint timed_word, timed_ended, timed_woken;
static void *wait_shortly(void *arg)
{
    int k = (intptr_t)arg % NODES;

    for (int round = 0; round < ROUNDS; round++) {
        if (futex_wait(k, &timed_word, 0, 20000 + 5000 * (round % 8)) == 0) {
            atomic_fetch_add(&timed_woken, 1);
        }
    }
    atomic_fetch_add(&timed_ended, 1);
    return NULL;
}

static void *wake_often(void *arg)
{
    uint32_t *woken = arg;

    while (atomic_load(&timed_ended) < THREADS) {
        *woken += wake(1, address(&timed_word), 2, ALL);
    }
    return NULL;
}

static void test_wake_or_time_limit(const void *limits)
{
    uint32_t woken = 0;
    pthread_t waker;

    cluster_up_with(limits);
    atomic_store(&timed_ended, 0);
    atomic_store(&timed_woken, 0);
    g_assert_cmpint(pthread_create(&waker, NULL, wake_often, &woken), ==, 0);
    run_threads(wait_shortly);
    pthread_join(waker, NULL);
    g_assert_cmpuint(woken, ==, atomic_load(&timed_woken));
    cluster_down();
}

/* Waiters are moved to and fro while they give up: each is woken or not, but never lost. */
static atomic_uint shuttle[2];
static void *wait_and_be_moved(void *arg)
{
    int i = (intptr_t)arg, k = i % NODES;

    for (int round = 0; round < ROUNDS; round++) {
        if (futex_wait(k, &shuttle[(i + round) % 2], 0, 20000 + 5000 * (round % 8)) == 0) {
            atomic_fetch_add(&timed_woken, 1);
        }
    }
    atomic_fetch_add(&timed_ended, 1);
    return NULL;
}

struct mover {
    int node, from;
    uint32_t woken, moved;
};

static void *move_often(void *arg)
{
    struct mover *m = arg;

    while (atomic_load(&timed_ended) < THREADS) {
        m->woken += requeue(m->node, address(&shuttle[m->from]), address(&shuttle[!m->from]),
                            m->from, 3, &m->moved);
    }
    return NULL;
}

static void test_moved_to_and_fro(const void *limits)
{
    struct mover movers[3] = {{.node = 1}, {.node = 2, .from = 1}, {.node = 2}};
    pthread_t threads[3];
    uint32_t woken = 0;

    cluster_up_with(limits);
    atomic_store(&timed_ended, 0);
    atomic_store(&timed_woken, 0);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(pthread_create(&threads[i], NULL, move_often, &movers[i]), ==, 0);
    }
    run_threads(wait_and_be_moved);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        woken += movers[i].woken;
    }
    g_assert_cmpuint(woken, ==, atomic_load(&timed_woken));
    cluster_down();
}

/* ---------------------------------------------- messages that cannot come */

static void swallow(void *ctx, int to, unsigned type, const struct dq_msg_futex *m)
{
    (void)ctx;
    (void)to;
    (void)type;
    (void)m;
}

static void test_node_refuses(void)
{
    static const struct dq_futex_ops quiet = {.send = swallow};
    struct dq_futex_node *n = dq_futex_node_new(&dq_futex_limits, &quiet, NULL);
    struct dq_msg_futex m = {.addr = 64, .cookie = 9, .count = 1};
    struct dq_futex_request r;

    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_REGISTERED, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_WOKEN, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_HELD, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_MOVED, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_node_message(n, 1, DQ_MSG_FUTEX_REVOKE, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_END, &m), ==, -EPROTO);
    /* for a master, which this node is not */
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_REGISTER, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_WAKE, &m), ==, -EPROTO);
    g_assert_false(dq_futex_node_wake(n, 64, 3, ALL, &r));
    m.cookie = r.cookie;
    m.count = 4;
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_WOKEN, &m), ==, -EPROTO);
    m.count = 3;
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_MOVED, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_node_message(n, 0, DQ_MSG_FUTEX_WOKEN, &m), ==, 0);
    g_assert_cmpuint(r.word, ==, 1);
    g_assert_cmpuint(r.woken, ==, 3);
    dq_futex_node_free(n);
}

static void test_master_refuses(void)
{
    static const struct dq_futex_ops quiet = {.send = swallow};
    struct dq_futex_master *fm = dq_futex_master_new(NODES, &quiet, NULL);
    struct dq_msg_futex m = {.addr = 64, .cookie = 9};

    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_WOKEN, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_REVOKED, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_HELD, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_MOVE, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_MOVED, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_REGISTER, &m), ==, 0);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_REGISTER, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_master_message(fm, 2, DQ_MSG_FUTEX_REGISTER, &m), ==, 0);
    m.cookie = 0; /* unasked, it may only be a farewell, of a node that is known */
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_REVOKED, &m), ==, -EPROTO);
    m.bitset = DQ_FUTEX_IDLE;
    g_assert_cmpint(dq_futex_master_message(fm, 2, DQ_MSG_FUTEX_REVOKED, &m), ==, -EPROTO);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_REVOKED, &m), ==, 0);
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_REGISTERED, &m), ==, -EPROTO);
    m.to = 128; /* not before this requester has been told, nor by another, nor another one's */
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_HOLD, &m), ==, 0);
    g_assert_cmpint(dq_futex_master_message(fm, 2, DQ_MSG_FUTEX_MOVE, &m), ==, -EPROTO);
    m.addr = 128;
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_MOVE, &m), ==, -EPROTO);
    m.addr = 64;
    g_assert_cmpint(dq_futex_master_message(fm, 1, DQ_MSG_FUTEX_MOVE, &m), ==, -EPROTO);
    dq_futex_master_free(fm); /* with requests, one of them on two addresses */
}

/* The names that the product uses, with one node that is its own master. */
static void test_process(void)
{
    struct dq_futex_waiter w;
    struct dq_futex_requeue q;

    members[0].futex = NULL;
    dq_futex_init(&ops, NULL);
    dq_futex_master_open(1, &ops, NULL);
    start_loop(0);
    dq_futex_enter(&w, 64, ALL);
    g_assert_true(dq_futex_commit(&w));
    g_assert_cmpuint(dq_futex_wake(64, INT_MAX, ALL), ==, 1);
    g_assert_true(dq_futex_leave(&w));
    dq_futex_enter(&w, 64, ALL);
    g_assert_true(dq_futex_commit(&w));
    dq_futex_requeue_begin(&q, 64, 128);
    dq_futex_requeue_cancel(&q);
    dq_futex_requeue_begin(&q, 64, 128);
    g_assert_true(dq_futex_requeue_commit(&q, 0, 1));
    g_assert_cmpuint(q.r.moved, ==, 1);
    g_assert_cmpuint(dq_futex_wake(64, INT_MAX, ALL), ==, 0);
    g_assert_cmpuint(dq_futex_wake(128, INT_MAX, ALL), ==, 1);
    g_assert_true(dq_futex_leave(&w));
    stop_loop(0);
}

static void test_forked(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        dq_futex_forked();
        dq_futex_init(&ops, NULL); /* refused as long as anything is remembered */
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/futex/lease", test_lease);
    g_test_add_func("/futex/lease-comes-back", test_lease_comes_back);
    g_test_add_func("/futex/wake-count", test_wake_count);
    g_test_add_func("/futex/bitset", test_bitset);
    g_test_add_func("/futex/value-changed", test_value_changed);
    g_test_add_func("/futex/time-limit", test_time_limit);
    g_test_add_func("/futex/disturbed", test_disturbed);
    g_test_add_func("/futex/fair", test_fair);
    g_test_add_func("/futex/forgets", test_forgets);
    g_test_add_func("/futex/requeue", test_requeue);
    g_test_add_func("/futex/requeue-here", test_requeue_here);
    g_test_add_func("/futex/requeue-to-itself", test_requeue_to_itself);
    g_test_add_func("/futex/requeue-holds", test_requeue_holds);
    g_test_add_data_func("/futex/mutex", &dq_futex_limits, test_mutex);
    g_test_add_data_func("/futex/mutex/tight", &tight, test_mutex);
    g_test_add_data_func("/futex/condition", &dq_futex_limits, test_condition);
    g_test_add_data_func("/futex/condition/tight", &tight, test_condition);
    g_test_add_data_func("/futex/barrier", &dq_futex_limits, test_barrier);
    g_test_add_data_func("/futex/barrier/tight", &tight, test_barrier);
    g_test_add_data_func("/futex/wake-or-time-limit", &dq_futex_limits, test_wake_or_time_limit);
    g_test_add_data_func("/futex/wake-or-time-limit/tight", &tight, test_wake_or_time_limit);
    g_test_add_data_func("/futex/moved-to-and-fro", &dq_futex_limits, test_moved_to_and_fro);
    g_test_add_data_func("/futex/moved-to-and-fro/tight", &tight, test_moved_to_and_fro);
    g_test_add_func("/futex/node-refuses", test_node_refuses);
    g_test_add_func("/futex/master-refuses", test_master_refuses);
    g_test_add_func("/futex/process", test_process);
    g_test_add_func("/futex/forked", test_forked); /* after process */
    return g_test_run();
}
