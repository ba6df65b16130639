/*
 * A page that is used one way, then another: each thread writes its own words; one thread reads and
 * writes all; all write one word; and each its own again. No count is lost where one way follows
 * the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include "split.h"

enum { ROUNDS = 4, OWN_MS = 20, SHARED = 300, WORDS = GUEST_PAGE / sizeof(uint64_t) };

/* Word t of each SPLIT_THREADS is thread t's, the last word is everybody's. */
static OWN_PAGE volatile uint64_t words[WORDS];
static OWN_PAGE uint64_t counted[SPLIT_THREADS];
static pthread_barrier_t gate;

enum { ALL = WORDS - 1, MINE = (WORDS - 1) / SPLIT_THREADS };

/* All my words count alike, from n on. */
static uint64_t own_words(int me, uint64_t n)
{
    int64_t end = guest_now_ns(CLOCK_MONOTONIC) + OWN_MS * 1000000;

    while (guest_now_ns(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < MINE; i++) {
            CHECK(words[i * SPLIT_THREADS + me] == n);
            words[i * SPLIT_THREADS + me] = n + 1;
        }
        n++;
    }
    return n;
}

/* One thread reads what all have counted, and adds a thousand to each. */
static void all_words(void)
{
    for (int i = 0; i < MINE * SPLIT_THREADS; i++) {
        CHECK(words[i] == counted[i % SPLIT_THREADS]);
        words[i] += 1000;
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t n = 0;

    for (int round = 0; round < ROUNDS; round++) {
        n = own_words(me, n);
        counted[me] = n;
        pthread_barrier_wait(&gate);
        if (me == round % SPLIT_THREADS) {
            all_words();
        }
        pthread_barrier_wait(&gate);
        n += 1000;
        for (int i = 0; i < SHARED; i++) {
            __atomic_fetch_add(&words[ALL], me + 1, __ATOMIC_RELAXED);
        }
        pthread_barrier_wait(&gate);
        CHECK(words[ALL] ==
              (uint64_t)(round + 1) * SHARED * SPLIT_THREADS * (SPLIT_THREADS + 1) / 2);
        pthread_barrier_wait(&gate);
    }
    counted[me] = n;
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&gate, NULL, SPLIT_THREADS) == 0);
    guest_run(SPLIT_THREADS, worker);
    for (int i = 0; i < MINE * SPLIT_THREADS; i++) {
        CHECK(words[i] == counted[i % SPLIT_THREADS]);
    }
    printf("split_phases: %d rounds, %llu\n", ROUNDS, (unsigned long long)words[ALL]);
    return 0;
}
