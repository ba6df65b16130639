/*
 * Threads on every node that wait for something that does not come, each in another way, until
 * standard input ends. For the test that waiting costs nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <poll.h>

#include "guest.h"

enum { THREADS = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t gate;
static int fds[2];

static void *worker(void *arg)
{
    char byte;

    pthread_barrier_wait(&gate);
    switch ((intptr_t)arg % 4) {
    case 0:
        CHECK(pthread_mutex_lock(&lock) == 0);
        for (;;) {
            CHECK(pthread_cond_wait(&never, &lock) == 0);
        }
    case 1:
        CHECK(read(fds[0], &byte, 1) == 0);
        break;
    case 2:
        CHECK(poll(&(struct pollfd){fds[0], 0, 0}, 1, -1) == 1);
        break;
    case 3:
        sleep(1000);
        break;
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    char byte;

    CHECK(pipe(fds) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    CHECK(write(1, "idle: all wait\n", 15) == 15);
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
