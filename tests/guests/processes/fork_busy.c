/*
 * fork while other threads keep writing: each child sees a state that was once there, and none of
 * the writers loses a step.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { WRITERS = 3, FORKS = 5 };

/* Written in this order, so at every moment first >= second, and by no more than one. */
static OWN_PAGE struct {
    OWN_PAGE atomic_long first;
    OWN_PAGE atomic_long second;
} pair[WRITERS];
static atomic_int stop;

static void *writer(void *arg)
{
    int me = (intptr_t)arg;
    long i = 0;

    while (!atomic_load(&stop)) {
        i++;
        atomic_store(&pair[me].first, i);
        atomic_store(&pair[me].second, i);
    }
    CHECK(pair[me].first == i && pair[me].second == i);
    return NULL;
}

static void *forker(void *arg)
{
    int status;

    for (int f = 0; f < FORKS; f++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            for (int w = 0; w < WRITERS; w++) {
                long first = pair[w].first, second = pair[w].second;
                CHECK(first == second || first == second + 1);
                /* Nobody writes in this process. */
                CHECK(pair[w].first == first && pair[w].second == second);
            }
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    return arg;
}

int main(void)
{
    pthread_t writers[WRITERS];

    guest_start(writers, WRITERS, writer);
    guest_elsewhere(forker, NULL);
    forker(NULL);
    atomic_store(&stop, 1);
    guest_join(writers, WRITERS);
    printf("fork_busy: %d children\n", 2 * FORKS);
    return 0;
}
