/*
 * A child stops its parent for a while: none of its threads goes on meanwhile, wherever it runs, and
 * all do afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
#include "guest.h"

enum { THREADS = 4, STOPPED_MS = 1500, LEAST_MS = 750 };

static atomic_int over, running;
static OWN_PAGE struct {
    OWN_PAGE int64_t longest;
} gaps[THREADS];

/* It uses nothing of others while it runs, and so is kept from running by nothing else. */
static void *work(void *arg)
{
    int64_t last = guest_now_ns(CLOCK_MONOTONIC), longest = 0;

    running++;
    while (!over) {
        for (volatile int i = 0; i < 20000; i++) {
        }
        int64_t now = guest_now_ns(CLOCK_MONOTONIC);
        longest = now - last > longest ? now - last : longest;
        last = now;
    }
    gaps[(intptr_t)arg].longest = longest;
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    pid_t parent = getpid();
    int status;

    guest_start(threads, THREADS, work);
    while (running < THREADS) {
        sched_yield();
    }
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            CHECK(kill(parent, SIGSTOP) == 0);
            usleep(STOPPED_MS * 1000);
            CHECK(kill(parent, SIGCONT) == 0);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    over = 1;
    guest_join(threads, THREADS);
    for (int i = 0; i < THREADS; i++) {
        CHECK(gaps[i].longest > LEAST_MS * INT64_C(1000000));
    }
    puts("stopped: all threads");
}
