/*
 * pthread_once runs its function once, and whoever returns from it sees all that it did.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include "guest.h"

enum { THREADS = 8, TIMES = 20 };

static OWN_PAGE pthread_once_t once[TIMES];
static OWN_PAGE struct {
    OWN_PAGE int value;
} made[TIMES];
static atomic_int calls;
static pthread_barrier_t together;
static __thread int current;

static void make(void)
{
    atomic_fetch_add(&calls, 1);
    sched_yield();
    made[current].value = 1000 + current;
}

static void *worker(void *arg)
{
    for (current = 0; current < TIMES; current++) {
        pthread_barrier_wait(&together);
        CHECK(pthread_once(&once[current], make) == 0);
        CHECK(made[current].value == 1000 + current);
    }
    return arg;
}

int main(void)
{
    for (int i = 0; i < TIMES; i++) {
        once[i] = (pthread_once_t)PTHREAD_ONCE_INIT;
    }
    CHECK(pthread_barrier_init(&together, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("once: %d calls\n", calls);
    return 0;
}
