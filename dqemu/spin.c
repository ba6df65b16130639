/*
 * Waiting awake.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/spin.h"

#include <sched.h>
#include <stddef.h>
#include <time.h>

/* Looks at the word between two looks at the clock. */
#define LOOKS 500
/* It takes no longer from one look at the clock to the next, unless others run meanwhile. */
#define PREEMPTED_NS 50000
/* After so many waits in vain in a row, 2 to their number are not waited awake. */
#define MOST_MISSES 6

static uint64_t spin_ns;
static int processors; /* for guest threads */
static int running;    /* threads that are counted, or wait awake */

static _Thread_local bool counted;
static _Thread_local struct {
    uint8_t misses; /* in a row, up to MOST_MISSES */
    uint8_t skip;   /* so many waits to go */
} learnt[DQ_SPIN_KINDS];

void dq_spin_init(uint32_t us)
{
    cpu_set_t set;

    spin_ns = (uint64_t)us * 1000;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        processors = CPU_COUNT(&set) - 1;
    }
}

int dq_awake_count(void)
{
    return __atomic_load_n(&running, __ATOMIC_RELAXED);
}

void dq_awake_begin_other(void)
{
    __atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
}

void dq_awake_was_begun(void)
{
    counted = true;
}

void dq_awake_begin(void)
{
    if (!counted) {
        dq_awake_begin_other();
        counted = true;
    }
}

bool dq_awake_end(void)
{
    bool was = counted;

    if (was) {
        __atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
        counted = false;
    }
    return was;
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool crowded(void)
{
    return dq_awake_count() > processors;
}

static bool is_set(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE) != 0;
}

enum found { FOUND, STOPPED, IN_VAIN, PREEMPTED };

static enum found look(const uint32_t *word, const int *stop)
{
    uint64_t start = now(), last, t = start;

    do {
        last = t;
        for (int i = 0; i < LOOKS; i++) {
            if (is_set(word)) {
                return FOUND;
            }
        }
        if (crowded() || (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))) {
            return STOPPED;
        }
        t = now();
        if (t - last > PREEMPTED_NS) {
            return PREEMPTED;
        }
    } while (t - start < spin_ns);
    return IN_VAIN;
}

static void learn(enum dq_spin_kind kind, enum found found)
{
    if (found == FOUND) {
        learnt[kind].misses = 0;
    } else if (found != STOPPED) {
        if (found == PREEMPTED) {
            learnt[kind].misses = MOST_MISSES;
        } else if (learnt[kind].misses < MOST_MISSES) {
            learnt[kind].misses++;
        }
        learnt[kind].skip = 1u << learnt[kind].misses;
    }
}

bool dq_spin(const uint32_t *word, const int *stop, enum dq_spin_kind kind)
{
    enum found found = STOPPED;

    if (is_set(word)) {
        return true;
    }
    if (!spin_ns) {
        return false;
    }
    if (learnt[kind].skip) {
        learnt[kind].skip--;
        return false;
    }
    dq_awake_begin_other();
    if (!crowded()) {
        found = look(word, stop);
    }
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
    learn(kind, found);
    return found == FOUND;
}
