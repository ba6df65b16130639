/*
 * Threads on every node see that somebody sets the realtime clock: each waits until it has moved
 * by an hour against the monotonic clock, which goes on as if nothing had happened; a wait for a
 * time on the realtime clock that has come by that ends. Says when they are ready for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum { THREADS = 4 };
#define SECOND INT64_C(1000000000)

static pthread_barrier_t gate;

static int64_t between(void)
{
    return guest_now_ns(CLOCK_REALTIME) - guest_now_ns(CLOCK_MONOTONIC);
}

/* Half an hour from now on the realtime clock is over once that is set forward by an hour. */
static void wait_until(int64_t when)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec until = {.tv_sec = when / SECOND, .tv_nsec = when % SECOND};
    int rc = 0;

    CHECK(pthread_mutex_lock(&lock) == 0);
    while (rc == 0) {
        rc = pthread_cond_timedwait(&never, &lock, &until);
    }
    CHECK(rc == ETIMEDOUT);
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

static void *worker(void *arg)
{
    int64_t was = between(), began = guest_now_ns(CLOCK_MONOTONIC), last = began, now, moved;

    pthread_barrier_wait(&gate);
    if ((intptr_t)arg % 2) {
        wait_until(guest_now_ns(CLOCK_REALTIME) + 1800 * SECOND);
    }
    do {
        now = guest_now_ns(CLOCK_MONOTONIC);
        CHECK(now >= last && now - began < 100 * SECOND);
        last = now;
        moved = between() - was;
        usleep(10000);
    } while (moved < 1800 * SECOND);
    CHECK(moved > 3500 * SECOND && moved < 3700 * SECOND);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    CHECK(write(1, "clock_set: ready\n", 17) == 17);
    guest_join(threads, THREADS);
    puts("clock_set: all have seen it");
    return 0;
}
