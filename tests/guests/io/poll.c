/*
 * poll, ppoll and select in remote threads: what is ready is reported, what is not times out, and
 * what another thread does wakes the one that waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 */
#include <poll.h>
#include <sys/select.h>

#include "guest.h"

enum { WAITERS = 6 };

static int pipes[WAITERS][2], quiet[2];
static sem_t answered;

static void *waiter(void *arg)
{
    int me = (intptr_t)arg;
    struct pollfd fds[2] = {{quiet[0], POLLIN, 0}, {pipes[me][0], POLLIN, 0}};
    struct timespec zero = {0};
    char byte;

    CHECK(ppoll(fds, 1, &zero, NULL) == 0);
    int64_t start = guest_now_ns(CLOCK_MONOTONIC);
    CHECK(poll(fds, 1, 25) == 0);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - start >= 25000000);

    for (int i = 0; i < 20; i++) {
        if (i % 2) {
            fd_set in;
            FD_ZERO(&in);
            FD_SET(quiet[0], &in);
            FD_SET(pipes[me][0], &in);
            CHECK(select(pipes[me][0] + quiet[0] + 1, &in, NULL, NULL, NULL) == 1);
            CHECK(FD_ISSET(pipes[me][0], &in) && !FD_ISSET(quiet[0], &in));
        } else {
            CHECK(poll(fds, 2, -1) == 1);
            CHECK(fds[0].revents == 0 && fds[1].revents == POLLIN);
        }
        CHECK(read(pipes[me][0], &byte, 1) == 1 && byte == i);
        CHECK(sem_post(&answered) == 0);
    }
    CHECK(poll(fds, 2, -1) == 1 && fds[1].revents == POLLHUP);
    return NULL;
}

int main(void)
{
    pthread_t threads[WAITERS];

    CHECK(sem_init(&answered, 0, 0) == 0);
    CHECK(pipe(quiet) == 0);
    for (int i = 0; i < WAITERS; i++) {
        CHECK(pipe(pipes[i]) == 0);
    }
    guest_start(threads, WAITERS, waiter);
    for (char i = 0; i < 20; i++) {
        for (int w = 0; w < WAITERS; w++) {
            CHECK(write(pipes[w][1], &i, 1) == 1);
        }
        for (int w = 0; w < WAITERS; w++) {
            guest_sem_wait(&answered);
        }
    }
    for (int w = 0; w < WAITERS; w++) {
        CHECK(close(pipes[w][1]) == 0);
    }
    guest_join(threads, WAITERS);
    puts("poll: reported, timed out, woken and hung up");
    return 0;
}
