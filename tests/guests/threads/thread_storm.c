/*
 * A thousand threads come and go, a hundred at a time; each leaves its mark and its result.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=300 timeout=40 */
#include "guest.h"

enum { WAVES = 10, AT_ONCE = 100 };

static atomic_int marks;
static pthread_barrier_t all;

static void *worker(void *arg)
{
    atomic_fetch_add(&marks, 1);
    /* Nobody leaves before all hundred are there. */
    pthread_barrier_wait(&all);
    return (void *)((intptr_t)arg * 3 + 1);
}

int main(void)
{
    pthread_t threads[AT_ONCE];
    pthread_attr_t attr;
    long sum = 0;

    CHECK(pthread_barrier_init(&all, NULL, AT_ONCE) == 0);
    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstacksize(&attr, 256 * 1024) == 0);
    for (int wave = 0; wave < WAVES; wave++) {
        for (intptr_t i = 0; i < AT_ONCE; i++) {
            CHECK(pthread_create(&threads[i], &attr, worker, (void *)i) == 0);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            void *result;
            CHECK(pthread_join(threads[i], &result) == 0);
            CHECK((intptr_t)result == i * 3 + 1);
            sum += (intptr_t)result;
        }
    }
    printf("thread_storm: %d threads, sum %ld\n", marks, sum);
    return 0;
}
