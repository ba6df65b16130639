/*
 * The program break is one for all threads: moved up and down from anywhere, its memory is shared
 * and what comes back after a cut is zero.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4, STEP = 3 * GUEST_PAGE };

static pthread_barrier_t gate;
static unsigned char *start;

static unsigned char *raw_brk(unsigned char *to)
{
    return (unsigned char *)syscall(SYS_brk, to);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int turn = 0; turn < THREADS; turn++) {
        pthread_barrier_wait(&gate);
        if (turn == me) {
            unsigned char *now = raw_brk(NULL);
            CHECK(now == start + turn * STEP);
            CHECK(raw_brk(now + STEP) == now + STEP);
            memset(now, me + 1, STEP);
        }
        pthread_barrier_wait(&gate);
        CHECK(raw_brk(NULL) == start + (turn + 1) * STEP);
        for (int t = 0; t <= turn; t++) {
            CHECK(start[t * STEP] == t + 1 && start[t * STEP + STEP - 1] == t + 1);
        }
    }
    pthread_barrier_wait(&gate);
    if (me == 0) {
        CHECK(raw_brk(start + STEP) == start + STEP);
        CHECK(raw_brk(start + 2 * STEP) == start + 2 * STEP);
    }
    pthread_barrier_wait(&gate);
    CHECK(start[STEP - 1] == 1);
    CHECK(start[STEP] == 0 && start[2 * STEP - 1] == 0);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    /* malloc has its first memory now; the room left keeps it from moving the break meanwhile. */
    free(malloc(1));
    unsigned char *now = raw_brk(NULL);
    start = (unsigned char *)(((uintptr_t)now + 16 * GUEST_PAGE) & -GUEST_PAGE);
    CHECK(raw_brk(start) == start);
    guest_start(threads, THREADS, worker);
    guest_join(threads, THREADS);
    puts("brk: up, down and up again");
    return 0;
}
