/*
 * When main() returns, the process ends with its status although remote threads still run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 status=42 */
#include "guest.h"

enum { THREADS = 6 };

static pthread_barrier_t gate;

static void *worker(void *arg)
{
    volatile unsigned long spin = 0;

    pthread_barrier_wait(&gate);
    for (;;) {
        spin++;
        if ((intptr_t)arg % 2) {
            sleep(1000);
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    puts("exit_main_return");
    return 42;
}
