/*
 * The futex service under random schedules: a few nodes with a few threads on one host
 * thread. Each step lets one thread make one access to the shared word or one call, or
 * delivers the first message of one channel. The node and master code is the product's.
 *
 * Checked: a wake that finds fewer than it was asked for leaves nobody asleep who slept
 * before it began; it never wakes more; the counts returned add up to the threads woken; a
 * thread that finds another value is not counted; a requeue moves those, and only those, who
 * slept when it compared, and from its first effect on they are found where it moved them;
 * locks exclude; every program ends (no thread sleeps for ever); no message is refused;
 * nothing is remembered of idle addresses.
 *
 * Planted faults (each one a wrong message or a wrong use) must be found: a test of the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "dqemu/futex_node.h"
#include "master/futex.h"

#define MAX_NODES 4
#define MAX_THREADS 6
#define MAX_WORDS 3
#define MAX_STEPS 20000
#define CHANNEL 64 /* messages under way on one channel, at most */

#define PLANTS(X)                                                                                  \
    X(none, "nothing")                                                                             \
    X(lease, "every registration is answered with the lease")                                      \
    X(alone, "every wake is answered with the lease")                                              \
    X(idle, "nodes say that nobody waits though somebody does")                                    \
    X(lost, "a wake is answered before the node has seen it")                                      \
    X(revoke, "a revocation is answered before the node has seen it")                              \
    X(order, "channels are not FIFO")                                                              \
    X(register, "the word is read before the registration is confirmed")                           \
    X(commit, "a disturbed waiter does not read the word again")                                   \
    X(compare, "a requeue compares before it holds the waiters")                                   \
    X(hold, "a node is not held during a requeue")                                                 \
    X(target, "the lease of the address that waiters move to is not ended")                        \
    X(interest, "a node is not registered for the waiters that moved there")

enum plant {
#define X(name, help) PLANT_##name,
    PLANTS(X)
#undef X
        PLANT_COUNT
};
static const char *const plant_name[] = {
#define X(name, help) #name,
    PLANTS(X)
#undef X
};
static const char *const plant_help[] = {
#define X(name, help) help,
    PLANTS(X)
#undef X
};

enum program { MUTEX, CONDITION, BROADCAST, BARRIER, CHAOS, PROGRAMS };

struct packet {
    unsigned type;
    struct dq_msg_futex m;
};

struct channel {
    struct packet packet[CHANNEL];
    unsigned first, count;
};

struct thread {
    int id, node;
    int pc, lock_pc, wait_pc, wake_pc; /* where each level of the program goes on */
    bool ended;
    const uint32_t *blocked; /* runs on once this is not 0 */
    bool timed;              /* or when its time is up */
    bool asleep;             /* has committed and neither left nor been woken */
    bool early;              /* has read the word before it should (a planted fault) */
    unsigned since;          /* the step of the commit, or move, or of the beginning of a wake */
    unsigned read;           /* the step of the last look at the word, or of the move */
    struct dq_futex_waiter w;
    struct dq_futex_request r;
    uint32_t value, seen, rounds, wakes, bitset;
    int word;
    /* Its requeue: */
    struct dq_futex_requeue q;
    bool moving;              /* has compared; threads are woken and moved now */
    bool refused;             /* found another value */
    unsigned effect;          /* the step in which the first one was woken or moved, or 0 */
    uint32_t moves, expected; /* what it asks for; the value that it compares with */
    uint32_t did_wake, did_move;
    bool in_requeue;
    bool robbed; /* of a thread that slept when it compared, by a call that began later */
    int to;
};

static struct {
    uint64_t random;
    enum plant plant;
    bool trace;
    char failure[200];

    enum program program;
    int nodes, threads, words;
    unsigned step;
    struct dq_futex_node *node[MAX_NODES];
    struct dq_futex_master *master;
    struct dq_futex_limits limits;
    struct channel channel[MAX_NODES][MAX_NODES];
    struct thread thread[MAX_THREADS + 1]; /* the last one sweeps */

    uint32_t word[MAX_WORDS];
    /* The last requeue that emptied the queue: no one may sleep who read another value before. */
    struct {
        unsigned step;
        uint32_t value;
    } cut[MAX_WORDS];
    int tokens, arrived, inside, sections;
    uint32_t returned, woken; /* what wakes returned; who came back woken */
} sim;

static const char *const message_name[] = {[0] = "NONE",
#define X(name, body, trailing, help) #name,
                                           DQ_MESSAGES(X)
#undef X
};

/* splitmix64 */
static uint32_t below(uint32_t limit)
{
    uint64_t z = sim.random += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return ((z ^ (z >> 31)) >> 32) % limit;
}

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...)
{
    va_list args;

    if (sim.trace) {
        va_start(args, format);
        printf("# %5u ", sim.step);
        vprintf(format, args);
        putchar('\n');
        va_end(args);
    }
}

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;

    if (!sim.failure[0]) {
        va_start(args, format);
        vsnprintf(sim.failure, sizeof(sim.failure), format, args);
        va_end(args);
        trace("FAILED: %s", sim.failure);
    }
}

static uint64_t address(int word)
{
    return 0x1000 + 4 * word;
}

/* ------------------------------------------------------------- channels */

/* The master has done the requeue of a thread of `node`: what happens now is another's. */
static void end_move(int node, const struct dq_msg_futex *m)
{
    for (int i = 0; i < sim.threads; i++) {
        struct thread *u = &sim.thread[i];

        if (u->node == node && address(u->word) == m->addr && u->q.r.cookie == m->cookie) {
            u->moving = false;
        }
    }
}

static void push(int from, int to, unsigned type, const struct dq_msg_futex *m)
{
    struct channel *c = &sim.channel[from][to];

    if (c->count == CHANNEL) {
        fail("more than %d messages from %d to %d", CHANNEL, from, to);
        return;
    }
    trace("node %d -> %d: %s addr %#lx cookie %#lx count %u bits %#x", from, to, message_name[type],
          (unsigned long)m->addr, (unsigned long)m->cookie, m->count, m->bitset);
    if (type == DQ_MSG_FUTEX_MOVED) {
        end_move(to, m);
    }
    c->packet[(c->first + c->count++) % CHANNEL] = (struct packet){type, *m};
}

/* The planted faults that are wrong messages. True: the message is not to be sent. */
static bool tamper(int from, int to, unsigned type, struct dq_msg_futex *m)
{
    bool by_master = m->cookie & DQ_FUTEX_BY_MASTER;

    switch (sim.plant) {
    case PLANT_lease:
        m->count = type == DQ_MSG_FUTEX_REGISTERED ? 1 : m->count;
        return false;
    case PLANT_alone:
        m->bitset |= type == DQ_MSG_FUTEX_WOKEN && !by_master ? DQ_FUTEX_ALONE : 0;
        return false;
    case PLANT_idle:
        if ((type == DQ_MSG_FUTEX_WOKEN && by_master) || type == DQ_MSG_FUTEX_REVOKED) {
            m->bitset |= DQ_FUTEX_IDLE;
        }
        return false;
    case PLANT_lost:
        if (type == DQ_MSG_FUTEX_WAKE && by_master && below(4) == 0) {
            m->count = m->bitset = 0;
            push(to, from, DQ_MSG_FUTEX_WOKEN, m);
            return true;
        }
        return false;
    case PLANT_revoke:
        if (type == DQ_MSG_FUTEX_REVOKE) {
            push(to, from, DQ_MSG_FUTEX_REVOKED, m);
            return true;
        }
        return false;
    case PLANT_hold:
        if (type == DQ_MSG_FUTEX_HOLD && by_master) {
            push(to, from, DQ_MSG_FUTEX_HELD, m);
            return true;
        }
        return false;
    case PLANT_target:
        m->to = type == DQ_MSG_FUTEX_HOLD && by_master ? m->addr : m->to;
        return false;
    case PLANT_interest:
        m->moves = type == DQ_MSG_FUTEX_MOVED && by_master ? 0 : m->moves;
        return false;
    default:
        return false;
    }
}

static void sim_send(void *ctx, int to, unsigned type, const struct dq_msg_futex *m)
{
    int from = (int)(intptr_t)ctx;
    struct dq_msg_futex copy = *m;

    if (!tamper(from, to, type, &copy)) {
        push(from, to, type, &copy);
    }
}
static const struct dq_futex_ops sim_ops = {.send = sim_send};

/* The effect of a call on the threads, seen from outside. */
struct before {
    uint32_t woken[MAX_THREADS];
    uint64_t addr[MAX_THREADS];
};

static struct before look_before(void)
{
    struct before b = {0};

    for (int i = 0; i < sim.threads; i++) {
        b.woken[i] = sim.thread[i].w.word;
        b.addr[i] = sim.thread[i].w.addr;
    }
    return b;
}

/* Thread `id` has been woken or moved away by a call that began in step `since`. */
static void rob(int id, uint64_t addr, unsigned since)
{
    for (int i = 0; i < sim.threads; i++) {
        struct thread *u = &sim.thread[i];

        if (u->in_requeue && address(u->word) == addr && since > u->read &&
            sim.thread[id].since < u->read) {
            u->robbed = true;
        }
    }
}

/* What u's requeue has just done. */
static void after_requeue(struct thread *u, const struct before *b)
{
    for (int i = 0; i < sim.threads; i++) {
        struct thread *t = &sim.thread[i];
        bool woken = t->w.word && !b->woken[i], moved = t->w.addr != b->addr[i];

        if (!woken && !moved) {
            continue;
        }
        trace("thread %d %s by thread %d", i, moved ? "is moved" : "is woken", u->id);
        u->effect = u->effect ? u->effect : sim.step;
        u->did_wake += woken;
        u->did_move += moved;
        if (!t->asleep || b->addr[i] != address(u->word) ||
            (moved && t->w.addr != address(u->to))) {
            fail("thread %d is moved or woken by thread %d and should not", i, u->id);
        }
        if (t->read > u->read) {
            fail("thread %d slept only after thread %d had compared", i, u->id);
        }
        if (u->to != u->word) {
            rob(i, b->addr[i], u->since);
        }
        if (moved) { /* as if it had come to sleep there */
            t->since = t->read = u->effect;
        }
    }
}

/* What t's wake has done at once. */
static void after_wake(const struct thread *t, const struct before *b)
{
    for (int i = 0; i < sim.threads; i++) {
        if (sim.thread[i].w.word && !b->woken[i]) {
            rob(i, b->addr[i], t->since);
        }
    }
}

/* Whose requeue of addr it is that moves now. */
static struct thread *mover(uint64_t addr)
{
    for (int i = 0; i < sim.threads; i++) {
        struct thread *u = &sim.thread[i];

        if (u->moving && address(u->word) == addr) {
            return u;
        }
    }
    return NULL;
}

static void deliver(int from, int to)
{
    struct channel *c = &sim.channel[from][to];
    struct thread *u = NULL;
    struct before b = {0};
    struct packet p;
    int ret;

    if (sim.plant == PLANT_order && c->count > 1 && below(2)) {
        struct packet *a = &c->packet[c->first], *b = &c->packet[(c->first + 1) % CHANNEL];

        p = *a;
        *a = *b;
        *b = p;
    }
    p = c->packet[c->first];
    c->first = (c->first + 1) % CHANNEL;
    c->count--;
    trace("node %d gets %s from %d, cookie %#lx", to, message_name[p.type], from,
          (unsigned long)p.m.cookie);
    if (p.type == DQ_MSG_FUTEX_MOVE && (p.m.cookie & DQ_FUTEX_BY_MASTER)) {
        u = mover(p.m.addr);
        b = look_before();
    }
    ret = dq_futex_node_message(sim.node[to], from, p.type, &p.m);
    if (u) {
        after_requeue(u, &b);
    }
    if (ret) {
        fail("node %d refused %s from %d", to, message_name[p.type], from);
    }
}

/* -------------------------------------------------------------- threads */

/* Each level of a program is a function that is called again until it returns true. */
#define BEGIN(pc)                                                                                  \
    switch (pc) {                                                                                  \
    case 0:
#define YIELD(pc)                                                                                  \
    do {                                                                                           \
        (pc) = __LINE__;                                                                           \
        return false;                                                                              \
    case __LINE__:;                                                                                \
    } while (0)
#define CALL(pc, call)                                                                             \
    do {                                                                                           \
        (pc) = __LINE__;                                                                           \
        __attribute__((fallthrough));                                                              \
    case __LINE__:                                                                                 \
        if (!(call)) {                                                                             \
            return false;                                                                          \
        }                                                                                          \
    } while (0)
#define END(pc)                                                                                    \
    }                                                                                              \
    (pc) = 0;                                                                                      \
    return true;

/* FUTEX_WAIT of t->value. */
static bool wait_word(struct thread *t, int word, uint32_t bitset)
{
    struct dq_futex_node *n = sim.node[t->node];
    bool committed;

    BEGIN(t->wait_pc)
    if (!dq_futex_node_enter(n, &t->w, address(word), bitset, &t->r)) {
        t->blocked = &t->r.word;
    }
    t->early = sim.plant == PLANT_register;
    t->seen = sim.word[word];
    t->read = sim.step;
    do {
        YIELD(t->wait_pc);
        if (!t->early) {
            t->seen = sim.word[word];
            t->read = sim.step;
        }
        t->early = false;
        if (t->seen != t->value) {
            YIELD(t->wait_pc);
            trace("thread %d finds another value in word %d", t->id, word);
            if (dq_futex_node_leave(n, &t->w)) {
                fail("thread %d was woken without sleeping", t->id);
            }
            t->wait_pc = 0;
            return true;
        }
        YIELD(t->wait_pc);
        committed = dq_futex_node_commit(n, &t->w, &t->r);
        if (!committed) {
            t->blocked = &t->r.word;
        }
    } while (!committed && !(sim.plant == PLANT_commit && t->r.word));
    trace("thread %d sleeps on word %d", t->id, word);
    if (t->read < sim.cut[word].step && t->value != sim.cut[word].value) {
        fail("thread %d sleeps though a requeue that came after its look is over", t->id);
    }
    t->asleep = true;
    t->since = sim.step;
    t->blocked = &t->w.word;
    t->timed = below(4) == 0;
    YIELD(t->wait_pc);
    t->timed = t->asleep = false;
    if (dq_futex_node_leave(n, &t->w)) {
        sim.woken++;
    }
    trace("thread %d goes on", t->id);
    END(t->wait_pc)
}

/* A wake is over: nobody may have been passed over. */
static void check_wake(const struct thread *waker, uint64_t addr, uint32_t count, uint32_t bitset)
{
    uint32_t woken = waker->r.woken;

    trace("thread %d woke %u", waker->id, woken);
    sim.returned += woken;
    if (woken > count) {
        fail("thread %d woke %u and was asked for %u", waker->id, woken, count);
    }
    for (int i = 0; i < sim.threads && woken < count; i++) {
        const struct thread *t = &sim.thread[i];

        if (t->asleep && !t->w.word && t->w.addr == addr && (t->w.bitset & bitset) &&
            t->since < waker->since) {
            fail("thread %d sleeps on, passed over by thread %d", t->id, waker->id);
        }
    }
}

static bool wake_word(struct thread *t, int word, uint32_t count, uint32_t bitset)
{
    struct before b;
    bool done;

    BEGIN(t->wake_pc)
    t->since = sim.step;
    trace("thread %d wakes %u of word %d", t->id, count, word);
    b = look_before();
    done = dq_futex_node_wake(sim.node[t->node], address(word), count, bitset, &t->r);
    after_wake(t, &b);
    if (!done) {
        t->blocked = &t->r.word;
        YIELD(t->wake_pc);
    }
    check_wake(t, address(word), count, bitset);
    END(t->wake_pc)
}

/* A requeue is over: how many it said, and nobody is passed over who should not be. */
static void check_requeue(const struct thread *u, bool compare)
{
    uint32_t woken = u->q.r.woken, moved = u->q.r.moved;

    trace("thread %d woke %u, moved %u", u->id, woken, moved);
    sim.returned += woken;
    if (woken > u->wakes || moved > u->moves || (moved && woken < u->wakes)) {
        fail("thread %d woke %u and moved %u", u->id, woken, moved);
    }
    if (woken != u->did_wake || (u->to != u->word && moved != u->did_move)) {
        fail("thread %d says that it woke %u and moved %u", u->id, woken, moved);
    }
    if (u->to == u->word || (woken == u->wakes && moved == u->moves)) {
        return;
    }
    if (u->robbed) {
        fail("thread %d should have woken or moved a thread, but another call did", u->id);
    }
    for (int i = 0; i < sim.threads; i++) {
        const struct thread *t = &sim.thread[i];

        if (t->asleep && !t->w.word && t->w.addr == address(u->word) &&
            (t->since < u->since || (compare && t->read < u->read && t->value != u->expected))) {
            fail("thread %d sleeps on, passed over by the requeue of thread %d", t->id, u->id);
        }
    }
    if (compare) {
        sim.cut[u->word].step = u->read;
        sim.cut[u->word].value = u->expected;
    }
}

/* u->wakes, u->moves of u->word to u->to; with the comparison if `compare`. */
static bool requeue_word(struct thread *u, bool compare)
{
    struct dq_futex_node *n = sim.node[u->node];
    struct before b;

    BEGIN(u->wake_pc)
    u->since = sim.step;
    u->refused = u->robbed = false;
    u->in_requeue = true;
    u->effect = u->did_wake = u->did_move = 0;
    u->seen = sim.word[u->word];
    u->read = sim.step;
    trace("thread %d wakes %u of word %d, moves %u to word %d", u->id, u->wakes, u->word, u->moves,
          u->to);
    if (!dq_futex_node_requeue_begin(n, &u->q, address(u->word), address(u->to))) {
        u->blocked = &u->q.r.word;
    }
    do {
        YIELD(u->wake_pc);
        if (sim.plant != PLANT_compare) {
            u->seen = sim.word[u->word];
            u->read = sim.step;
            u->robbed = false;
        }
        YIELD(u->wake_pc);
        if (compare && u->seen != u->expected) {
            trace("thread %d finds another value in word %d", u->id, u->word);
            u->refused = true;
            u->in_requeue = false;
            if (!dq_futex_node_requeue_cancel(n, &u->q)) {
                u->blocked = &u->q.r.word;
                YIELD(u->wake_pc);
            }
            u->wake_pc = 0;
            return true;
        }
        b = look_before();
        if (dq_futex_node_requeue_commit(n, &u->q, u->wakes, u->moves)) {
            after_requeue(u, &b);
            break;
        }
        u->moving = u->q.done;
        u->blocked = &u->q.r.word;
        if (u->moving) {
            YIELD(u->wake_pc);
        }
    } while (!u->q.done);
    u->in_requeue = false;
    check_requeue(u, compare);
    END(u->wake_pc)
}

static uint32_t exchange(int word, uint32_t value)
{
    uint32_t old = sim.word[word];

    sim.word[word] = value;
    return old;
}

/* glibc's lll_lock and lll_unlock: 0 free, 1 taken, 2 taken with waiters. */
static bool lock(struct thread *t, int word)
{
    BEGIN(t->lock_pc)
    YIELD(t->lock_pc);
    if (sim.word[word] == 0) {
        sim.word[word] = 1;
    } else {
        YIELD(t->lock_pc);
        while (exchange(word, 2) != 0) {
            t->value = 2;
            CALL(t->lock_pc, wait_word(t, word, UINT32_MAX));
            YIELD(t->lock_pc);
        }
    }
    if (sim.inside++) {
        fail("thread %d is not alone in the lock", t->id);
    }
    END(t->lock_pc)
}

/* As glibc's for who may have been moved to the lock's queue: it tells of others there. */
static bool lock_contended(struct thread *t, int word)
{
    BEGIN(t->lock_pc)
    YIELD(t->lock_pc);
    while (exchange(word, 2) != 0) {
        t->value = 2;
        CALL(t->lock_pc, wait_word(t, word, UINT32_MAX));
        YIELD(t->lock_pc);
    }
    if (sim.inside++) {
        fail("thread %d is not alone in the lock", t->id);
    }
    END(t->lock_pc)
}

static bool unlock(struct thread *t, int word)
{
    BEGIN(t->lock_pc)
    YIELD(t->lock_pc);
    sim.inside--;
    if (exchange(word, 0) > 1) {
        YIELD(t->lock_pc);
        CALL(t->lock_pc, wake_word(t, word, 1, UINT32_MAX));
    }
    END(t->lock_pc)
}

static bool run_mutex(struct thread *t)
{
    BEGIN(t->pc)
    for (; t->rounds > 0; t->rounds--) {
        CALL(t->pc, lock(t, 0));
        sim.sections++;
        CALL(t->pc, unlock(t, 0));
    }
    END(t->pc)
}

/*
 * A condition variable that is a sequence number (as bionic's and musl's private ones): a
 * wake of one must not be used up by a thread that has not gone to sleep.
 */
static bool consume(struct thread *t)
{
    BEGIN(t->pc)
    for (; t->rounds > 0; t->rounds--) {
        CALL(t->pc, lock(t, 0));
        while (sim.tokens == 0) {
            t->wakes = sim.word[1];
            CALL(t->pc, unlock(t, 0));
            t->value = t->wakes;
            CALL(t->pc, wait_word(t, 1, UINT32_MAX));
            CALL(t->pc, lock_contended(t, 0));
        }
        sim.tokens--;
        CALL(t->pc, unlock(t, 0));
    }
    END(t->pc)
}

static bool produce(struct thread *t)
{
    BEGIN(t->pc)
    for (; t->rounds > 0; t->rounds--) {
        CALL(t->pc, lock(t, 0));
        sim.tokens++;
        CALL(t->pc, unlock(t, 0));
        YIELD(t->pc);
        sim.word[1]++;
        t->wakes = below(8) ? 1 : INT32_MAX;
        YIELD(t->pc);
        CALL(t->pc, wake_word(t, 1, t->wakes, UINT32_MAX));
    }
    END(t->pc)
}

/* Wake one of those who wait for word 1, move the others to the lock's queue. */
static bool broadcast(struct thread *t)
{
    BEGIN(t->pc)
    for (; t->rounds > 0; t->rounds--) {
        CALL(t->pc, lock(t, 0));
        sim.tokens++;
        CALL(t->pc, unlock(t, 0));
        YIELD(t->pc);
        t->expected = ++sim.word[1];
        t->word = 1;
        t->to = 0;
        t->wakes = 1;
        t->moves = INT32_MAX;
        YIELD(t->pc);
        CALL(t->pc, requeue_word(t, true));
        if (t->refused) {
            CALL(t->pc, wake_word(t, 1, INT32_MAX, UINT32_MAX));
        }
    }
    END(t->pc)
}

static bool run_barrier(struct thread *t)
{
    BEGIN(t->pc)
    for (; t->rounds > 0; t->rounds--) {
        YIELD(t->pc);
        t->wakes = sim.word[0];
        YIELD(t->pc);
        if (++sim.arrived == sim.threads) {
            sim.arrived = 0;
            YIELD(t->pc);
            sim.word[0]++;
            YIELD(t->pc);
            CALL(t->pc, wake_word(t, 0, INT32_MAX, UINT32_MAX));
        } else {
            YIELD(t->pc);
            while (sim.word[0] == t->wakes) {
                t->value = t->wakes;
                CALL(t->pc, wait_word(t, 0, UINT32_MAX));
                YIELD(t->pc);
            }
        }
    }
    END(t->pc)
}

/* Anything, with bit sets and stores now and then; who sleeps in the end is swept up. */
static bool run_chaos(struct thread *t)
{
    BEGIN(t->pc)
    for (; t->rounds > 0; t->rounds--) {
        YIELD(t->pc);
        t->word = below(sim.words);
        t->bitset = below(2) ? UINT32_MAX : 1 + below(3);
        if (below(4) == 0) {
            t->to = below(sim.words);
            t->wakes = below(3);
            t->moves = below(4) ? below(4) : INT32_MAX;
            t->refused = below(2); /* for the moment: whether to compare */
            t->expected = sim.word[t->word] + (below(8) == 0);
            YIELD(t->pc);
            if (t->refused) {
                CALL(t->pc, requeue_word(t, true));
            } else {
                CALL(t->pc, requeue_word(t, false));
            }
        } else if (below(2)) {
            t->value = sim.word[t->word];
            CALL(t->pc, wait_word(t, t->word, t->bitset));
        } else {
            sim.word[t->word] += below(2);
            t->wakes = below(4) ? below(4) : INT32_MAX;
            YIELD(t->pc);
            CALL(t->pc, wake_word(t, t->word, t->wakes, t->bitset));
        }
    }
    END(t->pc)
}

static bool run_sweeper(struct thread *t)
{
    BEGIN(t->pc)
    for (t->word = 0; t->word < sim.words; t->word++) {
        CALL(t->pc, wake_word(t, t->word, below(2) ? INT32_MAX : UINT32_MAX, UINT32_MAX));
    }
    END(t->pc)
}

static bool run_program(struct thread *t)
{
    switch (sim.program) {
    case MUTEX:
        return run_mutex(t);
    case CONDITION:
        return t->id % 2 ? consume(t) : produce(t);
    case BROADCAST:
        return t->id % 2 ? consume(t) : broadcast(t);
    case BARRIER:
        return run_barrier(t);
    default:
        return t->id == MAX_THREADS ? run_sweeper(t) : run_chaos(t);
    }
}

static void run(struct thread *t)
{
    t->blocked = NULL;
    t->ended = run_program(t);
}

/* ------------------------------------------------------------ schedules */

static void make_threads(void)
{
    uint32_t rounds = 1 + below(4);

    sim.threads = 2 + below(MAX_THREADS - 1);
    if (sim.program == CONDITION || sim.program == BROADCAST) {
        sim.threads &= ~1;
    }
    for (int i = 0; i < sim.threads; i++) {
        sim.thread[i] = (struct thread){.id = i, .node = below(sim.nodes), .rounds = rounds};
    }
    sim.thread[MAX_THREADS] =
        (struct thread){.id = MAX_THREADS, .node = below(sim.nodes), .ended = true};
}

static void set_up(uint64_t seed)
{
    sim.random = seed;
    sim.failure[0] = '\0';
    sim.step = 0;
    sim.program = below(PROGRAMS);
    sim.nodes = 2 + below(MAX_NODES - 1);
    sim.words = sim.program == CHAOS ? 1 + below(MAX_WORDS) : 2;
    sim.limits = (struct dq_futex_limits){1 + below(2), below(3), below(4)};
    memset(sim.channel, 0, sizeof(sim.channel));
    memset(sim.word, 0, sizeof(sim.word));
    memset(sim.cut, 0, sizeof(sim.cut));
    sim.tokens = sim.arrived = sim.inside = sim.sections = 0;
    sim.returned = sim.woken = 0;
    for (int i = 0; i < sim.nodes; i++) {
        sim.node[i] = dq_futex_node_new(&sim.limits, &sim_ops, (void *)(intptr_t)i);
    }
    sim.master = dq_futex_master_new(sim.nodes, &sim_ops, NULL);
    dq_futex_node_set_master(sim.node[0], dq_futex_master_message, sim.master);
    make_threads();
    trace("program %d, %d nodes, %d threads, %u shards, %u idle, streak %u", sim.program, sim.nodes,
          sim.threads, sim.limits.shards, sim.limits.idle, sim.limits.streak);
}

static void tear_down(void)
{
    for (int i = 0; i < sim.nodes; i++) {
        dq_futex_node_free(sim.node[i]);
    }
    dq_futex_master_free(sim.master);
}

static bool can_run(const struct thread *t)
{
    return !t->ended && (!t->blocked || *t->blocked);
}

/* One step of anything. False: nothing can happen any more. */
static bool step(void)
{
    struct thread *runnable[MAX_THREADS + 1];
    int route[MAX_NODES * MAX_NODES];
    uint32_t threads = 0, routes = 0, pick;

    for (int i = 0; i <= MAX_THREADS; i++) {
        if ((i < sim.threads || i == MAX_THREADS) && can_run(&sim.thread[i])) {
            runnable[threads++] = &sim.thread[i];
        }
    }
    for (int i = 0; i < sim.nodes * sim.nodes; i++) {
        if (sim.channel[i / sim.nodes][i % sim.nodes].count) {
            route[routes++] = i;
        }
    }
    if (threads + routes == 0) {
        return false;
    }
    sim.step++;
    if (below(16) == 0) { /* a time limit; never the only thing to happen: it hides a lost wake */
        struct thread *t = &sim.thread[below(sim.threads)];

        if (t->blocked && t->timed) {
            run(t);
            return true;
        }
    }
    pick = below(threads + routes);
    if (pick < threads) {
        run(runnable[pick]);
    } else {
        pick = route[pick - threads];
        deliver(pick / sim.nodes, pick % sim.nodes);
    }
    return true;
}

static void check_end(void)
{
    size_t known = 0;

    for (int i = 0; i < sim.threads; i++) {
        if (!sim.thread[i].ended) {
            fail("thread %d sleeps for ever", i);
        }
    }
    if (sim.returned != sim.woken) {
        fail("wakes counted %u, but %u threads were woken", sim.returned, sim.woken);
    }
    for (int i = 0; i < sim.nodes; i++) {
        size_t here = dq_futex_node_addresses(sim.node[i]);

        if (here > sim.limits.shards * sim.limits.idle) {
            fail("node %d remembers %zu idle addresses", i, here);
        }
        known += here;
    }
    if (dq_futex_master_addresses(sim.master) > known) {
        fail("the master remembers addresses that no node knows");
    }
}

static bool all_ended(void)
{
    for (int i = 0; i < sim.threads; i++) {
        if (!sim.thread[i].ended) {
            return false;
        }
    }
    return true;
}

/* True: no fault seen. */
static bool run_schedule(uint64_t seed)
{
    int sweeps = 0;

    set_up(seed);
    while (!sim.failure[0]) {
        if (sim.step > MAX_STEPS) {
            fail("no end after %d steps", MAX_STEPS);
        } else if (!step()) {
            if (sim.program != CHAOS || all_ended() || sweeps++ > 100) {
                break;
            }
            sim.thread[MAX_THREADS].ended = false;
        }
    }
    if (!sim.failure[0]) {
        check_end();
    }
    tear_down();
    return !sim.failure[0];
}

/* The number of schedules that went well before the first fault. */
static uint64_t explore(uint64_t seed, uint64_t schedules, enum plant plant)
{
    uint64_t i = 0;

    sim.plant = plant;
    while (i < schedules && run_schedule(seed + i)) {
        i++;
    }
    return i;
}

static bool report(int test, const char *program, uint64_t seed, uint64_t schedules,
                   enum plant plant)
{
    uint64_t good = explore(seed, schedules, plant);
    bool found = good < schedules, ok = found == (plant != PLANT_none);

    if (plant == PLANT_none) {
        printf("%sok %d - %llu schedules without a fault\n", ok ? "" : "not ", test,
               (unsigned long long)schedules);
    } else {
        printf("%sok %d - found: %s\n", ok ? "" : "not ", test, plant_help[plant]);
    }
    if (found) {
        printf("# schedule %llu: %s\n# replay: %s --seed=%llu --schedules=1 --plant=%s --trace\n",
               (unsigned long long)good, sim.failure, program, (unsigned long long)(seed + good),
               plant_name[plant]);
    }
    fflush(stdout);
    return ok;
}

static gint64 seed = 1, schedules = 100000;
static gchar *plant_option;
static const GOptionEntry options[] = {
    {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of the first schedule", "N"},
    {"schedules", 0, 0, G_OPTION_ARG_INT64, &schedules, "how many", "N"},
    {"plant", 0, 0, G_OPTION_ARG_STRING, &plant_option, "only this fault, or none", "NAME"},
    {"trace", 0, 0, G_OPTION_ARG_NONE, &sim.trace, "print every step", NULL},
    {NULL, 0, 0, 0, NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    GOptionContext *context = g_option_context_new("- random schedules of the futex service");
    GError *error = NULL;
    int first = PLANT_none, last = PLANT_COUNT - 1;
    bool ok = true;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    g_option_context_free(context);
    if (plant_option) {
        for (first = 0; first < PLANT_COUNT && strcmp(plant_name[first], plant_option); first++) {
        }
        if (first == PLANT_COUNT) {
            fprintf(stderr, "no fault is called %s\n", plant_option);
            return 2;
        }
        last = first;
    }
    printf("1..%d\n", last - first + 1);
    for (int plant = first; plant <= last; plant++) {
        ok &= report(plant - first + 1, argv[0], seed, schedules, plant);
    }
    g_free(plant_option);
    return ok ? 0 : 1;
}
