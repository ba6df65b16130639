/*
 * Condition variables: a token goes round a ring of threads (signal), all wait for one event
 * (broadcast), and a timed wait that nobody signals times out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 */
#include "guest.h"

enum { THREADS = 6, LAPS = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn[THREADS], event, arrived;
static int token, passes, generation, waiting;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int lap = 0; lap < LAPS; lap++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (token != me) {
            CHECK(pthread_cond_wait(&turn[me], &lock) == 0);
        }
        passes++;
        token = (me + 1) % THREADS;
        CHECK(pthread_cond_signal(&turn[token]) == 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }

    for (int g = 0; g < 10; g++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        waiting++;
        CHECK(pthread_cond_signal(&arrived) == 0);
        while (generation == g) {
            CHECK(pthread_cond_wait(&event, &lock) == 0);
        }
        CHECK(generation == g + 1);
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    return NULL;
}

static void *late(void *arg)
{
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec soon = guest_after_ms(30);
    int64_t start = guest_now_ns(CLOCK_MONOTONIC);

    CHECK(pthread_mutex_lock(&lock) == 0);
    int rc;
    do {
        rc = pthread_cond_timedwait(&never, &lock, &soon);
    } while (rc == 0);
    CHECK(rc == ETIMEDOUT);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_cond_init(&turn[i], NULL) == 0);
    }
    guest_start(threads, THREADS, worker);
    for (int g = 0; g < 10; g++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (waiting < THREADS) {
            CHECK(pthread_cond_wait(&arrived, &lock) == 0);
        }
        waiting = 0;
        generation++;
        CHECK(pthread_cond_broadcast(&event) == 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    guest_join(threads, THREADS);
    guest_elsewhere(late, NULL);
    printf("condvar: %d passes, %d broadcasts, timed wait timed out\n", passes, generation);
    return 0;
}
