/*
 * Priority-inheriting mutexes: the kernel keeps the owner's tid in the lock word, so a thread's
 * tid must be its own wherever it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 */
#include "guest.h"

enum { THREADS = 6, ROUNDS = 60 };

static OWN_PAGE pthread_mutex_t lock;
static OWN_PAGE long count;

static void *worker(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        CHECK((lock.__data.__lock & 0x3fffffff) == gettid());
        count++;
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    return arg;
}

int main(void)
{
    pthread_mutexattr_t attr;

    CHECK(pthread_mutexattr_init(&attr) == 0);
    CHECK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0);
    CHECK(pthread_mutex_init(&lock, &attr) == 0);
    guest_run(THREADS, worker);
    printf("pi_mutex: %ld\n", count);
    return 0;
}
