/*
 * For the guests whose threads write disjoint parts of the same pages, so that these are split.
 *
 * Such a guest has SPLIT_THREADS threads. Half of them do what the guest is about; the others
 * count in words of the same pages until those are done, so that the pages stay wanted by all
 * nodes. Each half is on all nodes: threads are spread in the order of their indices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SPLIT_H
#define SPLIT_H

#include "guest.h"

enum {
    SPLIT_THREADS = 8,
    SPLIT_HALF = SPLIT_THREADS / 2,
    SPLIT_LANE = 64, /* the smallest part of a page that can be on a node of its own */
    SPLIT_LANES = GUEST_PAGE / SPLIT_LANE,
    SPLIT_WARM_MS = 30,
    SPLIT_STEPS = 64,
};

/* How many threads of the half that works are done; read often, written seldom, in none of the
 * pages under test. */
static OWN_PAGE atomic_int split_done;

static inline bool split_over(void)
{
    return atomic_load_explicit(&split_done, memory_order_acquire) == SPLIT_HALF;
}

/* Some counts in a word that nobody else writes: n is what it holds, and its new value is returned.
 */
static inline uint64_t split_steps(volatile uint64_t *word, uint64_t n)
{
    for (int i = 0; i < SPLIT_STEPS; i++) {
        if (*word != n) {
            guest_fail(__FILE__, __LINE__, "a word of mine changed");
        }
        *word = ++n;
    }
    return n;
}

/* Count in WORD, which starts with 0, until the others are done; they get the processor first. */
static inline void split_count(volatile uint64_t *word)
{
    uint64_t n = 0;

    while (!split_over()) {
        n = split_steps(word, n);
        sched_yield();
    }
    CHECK(*word == n);
}

/* Count in WORD for long enough that the page is split; it ends with 0 as it began. */
static inline void split_warm(volatile uint64_t *word)
{
    int64_t end = guest_now_ns(CLOCK_MONOTONIC) + SPLIT_WARM_MS * 1000000;
    uint64_t n = 0;

    while (guest_now_ns(CLOCK_MONOTONIC) < end) {
        n = split_steps(word, n);
    }
    CHECK(*word == n);
    *word = 0;
}

#endif
