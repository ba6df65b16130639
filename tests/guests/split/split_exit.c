/*
 * Threads whose stacks, and with them their thread-local storage and what the C library and the
 * kernel keep of them, share pages with words that other threads write: they are created, end, are
 * joined and created again there, and find their thread-local variables as they should be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include <linux/futex.h>

#include "split.h"

enum { STACK = 256 * 1024, ROUNDS = 8 };

/* Not a multiple of a page: the top of a stack lies elsewhere in its page for each of them. Behind
 * it, and before the next one, are words of all. */
static OWN_PAGE struct {
    _Alignas(64) unsigned char stack[STACK];
    volatile uint64_t count[SPLIT_THREADS], steps[5 * SPLIT_THREADS];
} place[SPLIT_HALF];

static OWN_PAGE struct {
    int started[SPLIT_HALF], running[SPLIT_HALF];
    volatile uint64_t steps[SPLIT_HALF], count[SPLIT_HALF];
} raw;

static __thread uint64_t started_with = 0x1234, mine;
static __thread char block[600];
static OWN_PAGE atomic_int destroyed;
static pthread_key_t key;

static void destroy(void *value)
{
    CHECK(value == block);
    atomic_fetch_add(&destroyed, 1);
}

static void *passing(void *arg)
{
    int me = (intptr_t)arg;
    unsigned char *here = (unsigned char *)&here;

    CHECK(here >= place[me].stack && here < place[me].stack + STACK);
    CHECK(block >= (char *)place[me].stack && block < (char *)place[me].stack + STACK);
    CHECK(started_with == 0x1234 && mine == 0 && block[0] == 0 && block[599] == 0);
    CHECK(pthread_setspecific(key, block) == 0);
    memset(block, me + 1, sizeof(block));
    for (int i = 0; i < 20; i++) {
        mine = split_steps(&place[me].steps[me], place[me].steps[me]);
        started_with++;
        errno = me + i;
        split_steps(&place[(me + 1) % SPLIT_HALF].steps[SPLIT_THREADS + me],
                    place[(me + 1) % SPLIT_HALF].steps[SPLIT_THREADS + me]);
        CHECK(errno == me + i && block[i] == me + 1 && block[599 - i] == me + 1);
    }
    CHECK(started_with == 0x1234 + 20 && mine == place[me].steps[me]);
    if (mine % 2) {
        return (void *)(uintptr_t)mine;
    }
    pthread_exit((void *)(uintptr_t)mine);
}

static void start(pthread_t *thread, int me)
{
    pthread_attr_t attr;

    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstack(&attr, place[me].stack, STACK) == 0);
    CHECK(pthread_create(thread, &attr, passing, (void *)(intptr_t)me) == 0);
    CHECK(pthread_attr_destroy(&attr) == 0);
}

/* A thread without the C library: it has no thread-local storage, and its word is one of ours. */
static int raw_entry(void *arg)
{
    int me = (intptr_t)arg;

    for (int i = 0; i < 20; i++) {
        split_steps(&raw.steps[me], raw.steps[me]);
    }
    return 0;
}

static void come_and_go_raw(void)
{
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;

    for (long t = 0; t < SPLIT_HALF; t++) {
        int tid = clone(raw_entry, place[t].stack + STACK, flags, (void *)t, &raw.started[t], NULL,
                        &raw.running[t]);
        CHECK(tid > 0 && raw.started[t] == tid);
    }
    for (int t = 0; t < SPLIT_HALF; t++) {
        int tid;
        /* The kernel's wake-up at the end of a thread is a shared one. */
        while ((tid = __atomic_load_n(&raw.running[t], __ATOMIC_ACQUIRE)) != 0) {
            CHECK(tid == raw.started[t]);
            syscall(SYS_futex, &raw.running[t], FUTEX_WAIT, tid, NULL);
        }
    }
}

/* Joins wait for the word that the kernel clears at the end of a thread. */
static void come_and_go(uint64_t round)
{
    pthread_t threads[SPLIT_HALF];

    for (int t = 0; t < SPLIT_HALF; t++) {
        start(&threads[t], t);
    }
    for (int t = 0; t < SPLIT_HALF; t++) {
        void *result;
        CHECK(pthread_join(threads[t], &result) == 0);
        CHECK((uintptr_t)result == round * 20 * SPLIT_STEPS);
        CHECK(place[t].steps[t] == round * 20 * SPLIT_STEPS);
    }
}

static void *counter(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t n = 0;

    while (!split_over()) {
        uint64_t next = n;
        for (int p = 0; p < SPLIT_HALF; p++) {
            next = split_steps(&place[p].count[me], n);
        }
        CHECK(split_steps(&raw.count[me], n) == next);
        n = next;
        sched_yield();
    }
    for (int p = 0; p < SPLIT_HALF; p++) {
        CHECK(place[p].count[me] == n);
    }
    return NULL;
}

int main(void)
{
    pthread_t counters[SPLIT_HALF];

    CHECK(pthread_key_create(&key, destroy) == 0);
    guest_start(counters, SPLIT_HALF, counter);
    for (int round = 1; round <= ROUNDS; round++) {
        come_and_go(round);
    }
    for (int round = 1; round <= ROUNDS; round++) {
        come_and_go_raw();
        for (int t = 0; t < SPLIT_HALF; t++) {
            CHECK(raw.steps[t] == (uint64_t)round * 20 * SPLIT_STEPS);
        }
    }
    atomic_store(&split_done, SPLIT_HALF);
    guest_join(counters, SPLIT_HALF);
    CHECK(destroyed == ROUNDS * SPLIT_HALF);
    printf("split_exit: %d threads came and went\n", 2 * ROUNDS * SPLIT_HALF);
    return 0;
}
