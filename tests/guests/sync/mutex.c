/*
 * Mutexes exclude across nodes: plain, recursive, error-checking, tried and timed ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include "guest.h"

enum { THREADS = 8, ROUNDS = 200 };

static OWN_PAGE pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static OWN_PAGE pthread_mutex_t recursive;
static OWN_PAGE pthread_mutex_t checking;
static OWN_PAGE long up, down, tried, nested;

static void *worker(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&plain) == 0);
        CHECK(up + down == 0);
        up++;
        down--;
        CHECK(pthread_mutex_unlock(&plain) == 0);
    }
    for (int i = 0; i < ROUNDS / 10; i++) {
        CHECK(pthread_mutex_lock(&recursive) == 0);
        CHECK(pthread_mutex_lock(&recursive) == 0);
        nested++;
        CHECK(pthread_mutex_unlock(&recursive) == 0);
        nested++;
        CHECK(pthread_mutex_unlock(&recursive) == 0);
    }
    for (int done = 0; done < ROUNDS / 10;) {
        if (pthread_mutex_trylock(&plain) == 0) {
            tried++;
            done++;
            CHECK(pthread_mutex_unlock(&plain) == 0);
        } else {
            sched_yield();
        }
    }
    CHECK(pthread_mutex_unlock(&checking) == EPERM);
    struct timespec soon = guest_after_ms(20);
    CHECK(pthread_mutex_timedlock(&checking, &soon) == ETIMEDOUT);
    return NULL;
}

int main(void)
{
    pthread_mutexattr_t attr;

    CHECK(pthread_mutexattr_init(&attr) == 0);
    CHECK(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE) == 0);
    CHECK(pthread_mutex_init(&recursive, &attr) == 0);
    CHECK(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0);
    CHECK(pthread_mutex_init(&checking, &attr) == 0);
    CHECK(pthread_mutex_lock(&checking) == 0);
    CHECK(pthread_mutex_lock(&checking) == EDEADLK);

    guest_run(THREADS, worker);
    CHECK(pthread_mutex_unlock(&checking) == 0);
    printf("mutex: %ld %ld, recursive %ld, tried %ld\n", up, down, nested, tried);
    return 0;
}
