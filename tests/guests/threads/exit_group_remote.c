/*
 * _exit() in a remote thread ends the whole process with that status, whatever the other threads
 * are doing: computing, waiting for a lock, blocked in a read, asleep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 status=7 */
#include "guest.h"

static pthread_barrier_t gate;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *worker(void *arg)
{
    volatile unsigned long spin = 0;
    int fds[2];
    char byte;

    pthread_barrier_wait(&gate);
    switch ((intptr_t)arg) {
    case 0:
        CHECK(write(1, "exiting\n", 8) == 8);
        _exit(7);
    case 1:
        pthread_mutex_lock(&held);
        break;
    case 2:
        CHECK(pipe(fds) == 0);
        CHECK(read(fds[0], &byte, 1) == 1);
        break;
    case 3:
        sleep(1000);
        break;
    default:
        for (;;) {
            spin++;
        }
    }
    guest_fail(__FILE__, __LINE__, "went on");
}

int main(void)
{
    pthread_t threads[6];

    CHECK(pthread_mutex_lock(&held) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, 6) == 0);
    guest_start(threads, 6, worker);
    guest_join(threads, 6);
    return 1;
}
