/*
 * One notion of time: a monotonic clock read after another thread's reading was received is never
 * behind it, sleeps last as long as asked, and the processor time of a thread grows with its work.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include <sys/time.h>

#include "guest.h"

enum { THREADS = 6, LAPS = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int holder;
static int64_t last[2];

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int lap = 0; lap < LAPS; lap++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (holder != me) {
            CHECK(pthread_cond_wait(&turn, &lock) == 0);
        }
        int64_t now = guest_now_ns(CLOCK_MONOTONIC), boot = guest_now_ns(CLOCK_BOOTTIME);
        CHECK(now >= last[0] && boot >= last[1]);
        last[0] = now;
        last[1] = boot;
        holder = (me + 1) % THREADS;
        CHECK(pthread_cond_broadcast(&turn) == 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }

    struct timespec ms20 = {.tv_nsec = 20000000};
    int64_t start = guest_now_ns(CLOCK_MONOTONIC);
    CHECK(nanosleep(&ms20, NULL) == 0);
    int64_t slept = guest_now_ns(CLOCK_MONOTONIC) - start;
    CHECK(slept >= 20000000);

    int64_t until = guest_now_ns(CLOCK_MONOTONIC) + 20000000;
    struct timespec at = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) >= until);

    /* Wall time as three calls tell it. */
    struct timeval tv;
    time_t before = time(NULL);
    CHECK(gettimeofday(&tv, NULL) == 0);
    int64_t real = guest_now_ns(CLOCK_REALTIME);
    CHECK(tv.tv_sec >= before && real / 1000 >= (int64_t)tv.tv_sec * 1000000 + tv.tv_usec);

    int64_t cpu = guest_now_ns(CLOCK_THREAD_CPUTIME_ID);
    volatile unsigned x = 1;
    for (int i = 0; i < 3000000; i++) {
        x = x * 3 + 1;
    }
    CHECK(guest_now_ns(CLOCK_THREAD_CPUTIME_ID) > cpu);
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    CHECK(clock_gettime(12345, &(struct timespec){0}) == -1 && errno == EINVAL);
    printf("clocks: %d readings in order\n", THREADS * LAPS);
    return 0;
}
