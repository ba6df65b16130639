/*
 * Locks and futex words of several pairs of threads in one page, each pair with its own: mutexes,
 * condition variables, semaphores, and the system call itself, with wake-ups that work on a second
 * word and with waiters that are moved there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include <linux/futex.h>

#include "split.h"

enum { ROUNDS = 40, MOVES = 10 };

static OWN_PAGE struct {
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        sem_t here, there;
        int turn, word, from, other, ready;
        volatile uint64_t locked, count[2];
    } pair[SPLIT_HALF];
    volatile uint64_t count[SPLIT_THREADS];
} page;

static long futex(int *at, int op, int value, const void *timeout, int *at2, int value3)
{
    return syscall(SYS_futex, at, op, value, timeout, at2, value3);
}

/* Both count in one word under the mutex, and take turns by the condition variable. */
static void by_mutex(int p, int side)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&page.pair[p].mutex) == 0);
        page.pair[p].locked++;
        CHECK(pthread_mutex_unlock(&page.pair[p].mutex) == 0);
        page.pair[p].count[side]++;
    }
}

static void by_condition(int p, int side)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&page.pair[p].mutex) == 0);
        while (page.pair[p].turn % 2 != side) {
            CHECK(pthread_cond_wait(&page.pair[p].changed, &page.pair[p].mutex) == 0);
        }
        CHECK(page.pair[p].turn++ == 2 * i + side);
        CHECK(pthread_cond_signal(&page.pair[p].changed) == 0);
        CHECK(pthread_mutex_unlock(&page.pair[p].mutex) == 0);
        page.pair[p].count[side]++;
    }
}

static void by_semaphore(int p, int side)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (side == 0) {
            CHECK(sem_post(&page.pair[p].there) == 0);
            guest_sem_wait(&page.pair[p].here);
        } else {
            guest_sem_wait(&page.pair[p].there);
            CHECK(sem_post(&page.pair[p].here) == 0);
        }
        page.pair[p].count[side]++;
    }
}

/* The word says whose turn it is. */
static void by_word(int p, int side)
{
    int *word = &page.pair[p].word;

    for (int i = 0; i < ROUNDS; i++) {
        int now;
        while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) % 2 != side) {
            if (futex(word, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0) != 0) {
                CHECK(errno == EAGAIN || errno == EINTR);
            }
        }
        CHECK(now == 2 * i + side);
        __atomic_store_n(word, now + 1, __ATOMIC_RELEASE);
        CHECK(futex(word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0);
        page.pair[p].count[side]++;
    }
}

/* Sleeps until it is woken, however often the kernel ends the wait early. */
static void sleep_at(int *word, int value)
{
    while (futex(word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0) != 0) {
        CHECK(errno == EINTR);
    }
}

/* OP on a word with a second one, until it has found the waiter. */
static void until_one(int *word, int op, void *value2, int *other, int value3)
{
    while (futex(word, op, 0, value2, other, value3) != 1) {
        sched_yield();
    }
}

/* One waits; the other moves it to the second word and wakes it there. */
static void by_move(int p, int side)
{
    int *word = &page.pair[p].from, *other = &page.pair[p].other;

    for (int i = 0; i < MOVES; i++) {
        page.pair[p].count[side]++;
        if (side == 0) {
            sleep_at(word, 0);
        } else {
            until_one(word, FUTEX_CMP_REQUEUE_PRIVATE, (void *)1, other, 0);
            CHECK(futex(word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
            CHECK(futex(other, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
        }
    }
}

/* One waits at the second word, to which the other's calls also add: nothing until they have found
 * the waiter, then 1. */
static void by_wake_op(int p, int side)
{
    int *word = &page.pair[p].other, *ready = &page.pair[p].ready;

    for (int i = 0; i < MOVES; i++) {
        page.pair[p].count[side]++;
        if (side == 0) {
            sleep_at(ready, i);
            CHECK(__atomic_load_n(ready, __ATOMIC_ACQUIRE) == i);
            __atomic_store_n(word, i + 1, __ATOMIC_RELEASE);
        } else {
            until_one(word, FUTEX_WAKE_OP_PRIVATE, (void *)1, ready,
                      FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, i));
            while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != i + 1) {
                sched_yield();
            }
            CHECK(futex(word, FUTEX_WAKE_OP_PRIVATE, 0, NULL, ready,
                        FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 0)) == 0);
        }
        /* The next wait must find the new value. */
        while (__atomic_load_n(ready, __ATOMIC_ACQUIRE) != i + 1) {
            sched_yield();
        }
    }
}

/* Pair p is threads 2p and 2p + 1, which are on different nodes when there are any. */
static void *worker(void *arg)
{
    int me = (intptr_t)arg, p = me / 2, side = me % 2;

    split_warm(&page.count[me]);
    by_mutex(p, side);
    by_condition(p, side);
    by_semaphore(p, side);
    by_word(p, side);
    by_move(p, side);
    by_wake_op(p, side);
    CHECK(page.pair[p].count[side] == 4 * ROUNDS + 2 * MOVES);
    return NULL;
}

int main(void)
{
    for (int p = 0; p < SPLIT_HALF; p++) {
        CHECK(pthread_mutex_init(&page.pair[p].mutex, NULL) == 0);
        CHECK(pthread_cond_init(&page.pair[p].changed, NULL) == 0);
        CHECK(sem_init(&page.pair[p].here, 0, 0) == 0 && sem_init(&page.pair[p].there, 0, 0) == 0);
    }
    guest_run(SPLIT_THREADS, worker);
    for (int p = 0; p < SPLIT_HALF; p++) {
        CHECK(page.pair[p].locked == 2 * ROUNDS && page.pair[p].turn == 2 * ROUNDS);
        CHECK(page.pair[p].word == 2 * ROUNDS);
        CHECK(page.pair[p].other == MOVES && page.pair[p].ready == MOVES);
    }
    printf("split_futex: %d pairs, %d rounds\n", SPLIT_HALF, ROUNDS);
    return 0;
}
