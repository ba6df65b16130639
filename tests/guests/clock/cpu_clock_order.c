/*
 * No thread sees the processor time of the process go back, wherever it read it before: a turn goes from
 * thread to thread, and each reads a time that is not earlier than the one that it was handed. Nor does
 * a thread's own clock when it takes its time from one node to another. Reading it often is cheap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"

enum { THREADS = 4, TURNS = 400, READS = 20000 };

static struct {
    atomic_int turn;
    int64_t latest;
} baton OWN_PAGE;

static void take_turn(int n)
{
    int64_t now;

    while (atomic_load(&baton.turn) % THREADS != n) {
        sched_yield();
    }
    now = guest_now_ns(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(now >= baton.latest);
    baton.latest = now;
    atomic_fetch_add(&baton.turn, 1);
}

static void *worker(void *arg)
{
    int64_t own = 0, before = 0, now;

    for (int i = 0; i < TURNS / THREADS; i++) {
        take_turn((int)(intptr_t)arg);
        now = guest_now_ns(CLOCK_THREAD_CPUTIME_ID);
        CHECK(now >= own);
        own = now;
    }
    for (int i = 0; i < READS; i++) {
        now = guest_now_ns(CLOCK_PROCESS_CPUTIME_ID);
        CHECK(now >= before);
        before = now;
    }
    return arg;
}

int main(void)
{
    guest_run(THREADS, worker);
    printf("cpu_clock_order: %d turns\n", TURNS);
    return 0;
}
