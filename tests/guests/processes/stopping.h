/*
 * Threads that run all the time, and notice for how long they have not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef STOPPING_H
#define STOPPING_H

#include "guest.h"

enum { THREADS = 4, STOPPED_MS = 1500, LEAST_MS = 750 };

static atomic_int over, running;
static OWN_PAGE struct {
    OWN_PAGE int64_t longest;
} gaps[THREADS];

/* It uses nothing of others while it runs, and so is kept from running by nothing else. */
static void *work(void *arg)
{
    int64_t last = guest_now_ns(CLOCK_MONOTONIC), longest = 0;

    running++;
    while (!over) {
        for (volatile int i = 0; i < 20000; i++) {
        }
        int64_t now = guest_now_ns(CLOCK_MONOTONIC);
        longest = now - last > longest ? now - last : longest;
        last = now;
    }
    gaps[(intptr_t)arg].longest = longest;
    return arg;
}

/* Return when all of them run. */
static void start_running(pthread_t threads[THREADS])
{
    guest_start(threads, THREADS, work);
    while (running < THREADS) {
        sched_yield();
    }
}

/* End them: each has stood still for as long as the process was stopped. */
static void check_all_stood_still(pthread_t threads[THREADS])
{
    over = 1;
    guest_join(threads, THREADS);
    for (int i = 0; i < THREADS; i++) {
        CHECK(gaps[i].longest > LEAST_MS * INT64_C(1000000));
    }
}

#endif
