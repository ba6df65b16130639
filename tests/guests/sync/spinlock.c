/*
 * Spin locks: a lock that is taken by atomics alone, without any help of the kernel, excludes
 * across nodes and every thread makes progress.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, ROUNDS = 150 };

static OWN_PAGE pthread_spinlock_t lock;
static OWN_PAGE long a;
static OWN_PAGE long b;

static void *worker(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_spin_lock(&lock) == 0);
        CHECK(a == b);
        a++;
        b++;
        CHECK(pthread_spin_unlock(&lock) == 0);
        sched_yield();
    }
    return arg;
}

int main(void)
{
    CHECK(pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE) == 0);
    guest_run(THREADS, worker);
    printf("spinlock: %ld %ld\n", a, b);
    return 0;
}
