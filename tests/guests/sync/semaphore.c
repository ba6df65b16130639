/*
 * Semaphores bound the number of threads inside, count exactly, and time out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include "guest.h"

enum { THREADS = 8, ROUNDS = 60, SLOTS = 3 };

static sem_t slots, never, done;
static atomic_int inside, most, entries;

static void *worker(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        guest_sem_wait(&slots);
        int now = atomic_fetch_add(&inside, 1) + 1;
        int seen = atomic_load(&most);
        while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
        }
        CHECK(now <= SLOTS);
        atomic_fetch_add(&entries, 1);
        atomic_fetch_sub(&inside, 1);
        CHECK(sem_post(&slots) == 0);
    }
    CHECK(sem_trywait(&never) == -1 && errno == EAGAIN);
    struct timespec soon = guest_after_ms(20);
    CHECK(sem_timedwait(&never, &soon) == -1 && errno == ETIMEDOUT);
    CHECK(sem_post(&done) == 0);
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    int value;

    CHECK(sem_init(&slots, 0, SLOTS) == 0);
    CHECK(sem_init(&never, 0, 0) == 0);
    CHECK(sem_init(&done, 0, 0) == 0);
    guest_start(threads, THREADS, worker);
    for (int i = 0; i < THREADS; i++) {
        guest_sem_wait(&done);
    }
    guest_join(threads, THREADS);
    CHECK(sem_getvalue(&slots, &value) == 0 && value == SLOTS);
    CHECK(sem_getvalue(&done, &value) == 0 && value == 0);
    printf("semaphore: %d entries, never more than %d inside\n", entries, SLOTS);
    return 0;
}
