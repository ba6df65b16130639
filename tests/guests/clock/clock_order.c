/*
 * Time does not go back from thread to thread: each clock, read right after another thread's
 * reading of it has arrived through memory, shows the same or more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=60 */
#include <sys/time.h>

#include "counter.h"
#include "guest.h"

enum { THREADS = 6, LAPS = 90 };

enum {
    MONOTONIC,
    MONOTONIC_COARSE,
    MONOTONIC_RAW,
    BOOTTIME,
    REALTIME,
    REALTIME_COARSE,
    TIMEVAL,
    SECONDS,
    COUNTER,
    KINDS
};

static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
                                   CLOCK_BOOTTIME,  CLOCK_REALTIME,         CLOCK_REALTIME_COARSE};

static struct {
    OWN_PAGE _Atomic int turn;
    int64_t latest[KINDS];
} shared;

static int64_t reading(int kind)
{
    struct timeval tv;

    switch (kind) {
    case COUNTER:
        return guest_counter();
    case SECONDS:
        return time(NULL);
    case TIMEVAL:
        CHECK(gettimeofday(&tv, NULL) == 0);
        return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec;
    default:
        return guest_now_ns(clocks[kind]);
    }
}

/* One kind comes first, and each thread's last; with the next thread it is another one. */
static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int turn = me; turn < THREADS * LAPS; turn += THREADS) {
        while (atomic_load(&shared.turn) != turn) {
            sched_yield();
        }
        for (int i = 0; i < KINDS; i++) {
            int kind = (turn + i) % KINDS;
            int64_t now = reading(kind);

            CHECK(now >= shared.latest[kind]);
            shared.latest[kind] = now;
        }
        shared.latest[(turn + 1) % KINDS] = reading((turn + 1) % KINDS);
        atomic_store(&shared.turn, turn + 1);
    }
    return NULL;
}

/* A thread asks, another one tells the time, which lies between the question and the answer. */
static struct {
    OWN_PAGE _Atomic int question;
    OWN_PAGE _Atomic int answer;
    int64_t told[KINDS];
} asked;

static void *asker(void *arg)
{
    (void)arg;
    for (int i = 1; i <= LAPS; i++) {
        int64_t before[KINDS];

        for (int kind = 0; kind < KINDS; kind++) {
            before[kind] = reading(kind);
        }
        atomic_store(&asked.question, i);
        while (atomic_load(&asked.answer) != i) {
            sched_yield();
        }
        for (int kind = 0; kind < KINDS; kind++) {
            CHECK(asked.told[kind] >= before[kind]);
            CHECK(reading(kind) >= asked.told[kind]);
        }
    }
    return NULL;
}

static void answer_all(void)
{
    for (int i = 1; i <= LAPS; i++) {
        while (atomic_load(&asked.question) != i) {
            sched_yield();
        }
        for (int kind = 0; kind < KINDS; kind++) {
            asked.told[kind] = reading(kind);
        }
        atomic_store(&asked.answer, i);
    }
}

int main(void)
{
    pthread_t thread;

    guest_run(THREADS, worker);
    printf("%d readings in order\n", THREADS * LAPS * KINDS);
    CHECK(pthread_create(&thread, NULL, asker, NULL) == 0);
    answer_all();
    CHECK(pthread_join(thread, NULL) == 0);
    printf("%d questions answered with the time\n", LAPS);
    return 0;
}
