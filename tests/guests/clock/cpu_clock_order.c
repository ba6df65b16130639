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

static atomic_int *shared;

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

/* Memory that is the kernel's own, which only one node has: a thread that uses it goes there. */
static void move(void)
{
    int64_t own, seen, until = guest_now_ns(CLOCK_THREAD_CPUTIME_ID) + 20000000;
    clockid_t clock;

    while ((own = guest_now_ns(CLOCK_THREAD_CPUTIME_ID)) < until) {
    }
    atomic_fetch_add(shared, 1);
    CHECK(guest_now_ns(CLOCK_THREAD_CPUTIME_ID) >= own);
    CHECK(pthread_getcpuclockid(pthread_self(), &clock) == 0);
    seen = guest_now_ns(clock);
    CHECK(seen >= own && guest_now_ns(CLOCK_THREAD_CPUTIME_ID) >= seen);
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
    move();
    return arg;
}

int main(void)
{
    shared = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    guest_run(THREADS, worker);
    printf("cpu_clock_order: %d turns\n", TURNS);
    return 0;
}
