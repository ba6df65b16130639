/*
 * A barrier makes what each thread wrote before it visible to every thread after it, with the
 * slots on one page and on a page each, and exactly one thread per round is the serial one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "guest.h"

enum { THREADS = 8, ROUNDS = 40 };

static OWN_PAGE pthread_barrier_t barrier;
static OWN_PAGE int near[THREADS];
static OWN_PAGE struct {
    OWN_PAGE int value;
} far[THREADS];
static OWN_PAGE atomic_int serials;

static void pass(void)
{
    int rc = pthread_barrier_wait(&barrier);

    if (rc == PTHREAD_BARRIER_SERIAL_THREAD) {
        atomic_fetch_add(&serials, 1);
    } else {
        CHECK(rc == 0);
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int round = 1; round <= ROUNDS; round++) {
        near[me] = round * 100 + me;
        far[me].value = round * 1000 + me;
        pass();
        for (int i = 0; i < THREADS; i++) {
            CHECK(near[i] == round * 100 + i);
            CHECK(far[i].value == round * 1000 + i);
        }
        pass();
    }
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    CHECK(serials == 2 * ROUNDS);
    printf("barrier: %d rounds, %d serial threads\n", ROUNDS, serials);
    return 0;
}
