/*
 * SIGKILL that a remote thread sends to its own process ends it all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 status=137 */
#include "guest.h"

enum { THREADS = 4 };

static pthread_barrier_t gate;

static void *worker(void *arg)
{
    pthread_barrier_wait(&gate);
    if ((intptr_t)arg != 0) {
        for (;;) {
            pause();
        }
    }
    CHECK(write(1, "now\n", 4) == 4);
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

int main(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_start(threads, THREADS, worker);
    guest_join(threads, THREADS);
    return 0;
}
