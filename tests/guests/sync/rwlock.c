/*
 * Read-write locks: readers never see a writer's work half done, and readers overlap.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include "guest.h"

enum { WRITERS = 2, READERS = 6, ROUNDS = 60 };

static OWN_PAGE pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static OWN_PAGE long first;
static OWN_PAGE long second;
static OWN_PAGE pthread_barrier_t together;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    if (me < WRITERS) {
        for (int i = 0; i < ROUNDS; i++) {
            CHECK(pthread_rwlock_wrlock(&lock) == 0);
            first++;
            second++;
            CHECK(pthread_rwlock_unlock(&lock) == 0);
        }
        return NULL;
    }
    long last = 0;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_rwlock_rdlock(&lock) == 0);
        long a = second, b = first;
        CHECK(a == b && a >= last);
        last = a;
        CHECK(pthread_rwlock_unlock(&lock) == 0);
    }
    /* All readers hold the lock at once, or nobody passes this barrier. */
    CHECK(pthread_rwlock_rdlock(&lock) == 0);
    pthread_barrier_wait(&together);
    CHECK(pthread_rwlock_trywrlock(&lock) == EBUSY);
    pthread_barrier_wait(&together);
    CHECK(pthread_rwlock_unlock(&lock) == 0);
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&together, NULL, READERS) == 0);
    guest_run(WRITERS + READERS, worker);
    CHECK(first == WRITERS * ROUNDS && second == first);
    printf("rwlock: %ld writes\n", first);
    return 0;
}
