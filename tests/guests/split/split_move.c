/*
 * Threads that touch memory shared with a file, which moves them to the master, while they count in
 * pages that all nodes write: they go on with their words where they are now.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include "split.h"

enum { PAGES = 2, ROUNDS = 40, WORDS = GUEST_PAGE / sizeof(uint64_t) };

static OWN_PAGE volatile uint64_t words[PAGES][WORDS];
/* What the threads that stay do by atomics, and those that move as well. */
static OWN_PAGE atomic_ulong all;
static atomic_int *shared;

/* My words: a lane with others in the first page, and one of my own in the second. */
static uint64_t some(int me, uint64_t n)
{
    uint64_t next = split_steps(&words[0][me], n);

    CHECK(split_steps(&words[0][WORDS - 1 - me], n) == next);
    CHECK(split_steps(&words[1][me * SPLIT_LANE / 8], n) == next);
    atomic_fetch_add(&all, 1);
    return next;
}

static void moves(int me)
{
    uint64_t n = 0;

    split_warm(&words[0][me]);
    for (int i = 0; i < ROUNDS; i++) {
        n = some(me, n);
        /* Each at another time, and again later. */
        if (i == 4 * me + 5 || i == 30) {
            atomic_fetch_add(shared, 1);
        }
        CHECK(words[0][me] == n && words[1][me * SPLIT_LANE / 8] == n);
        sched_yield();
    }
    CHECK(n == ROUNDS * SPLIT_STEPS);
    atomic_fetch_add(&split_done, 1);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t n = 0;

    if (me < SPLIT_HALF) {
        moves(me);
        return NULL;
    }
    while (!split_over()) {
        n = some(me, n);
        atomic_fetch_sub(&all, 1);
        sched_yield();
    }
    CHECK(words[0][me] == n && words[1][me * SPLIT_LANE / 8] == n);
    return NULL;
}

int main(void)
{
    int fd = guest_tmpfile();

    CHECK(ftruncate(fd, GUEST_PAGE) == 0);
    shared = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(shared != MAP_FAILED);
    guest_run(SPLIT_THREADS, worker);
    CHECK(all == SPLIT_HALF * ROUNDS);
    CHECK(*shared == 2 * SPLIT_HALF);
    for (int t = 0; t < SPLIT_HALF; t++) {
        CHECK(words[0][t] == ROUNDS * SPLIT_STEPS);
        CHECK(words[0][WORDS - 1 - t] == ROUNDS * SPLIT_STEPS);
        CHECK(words[1][t * SPLIT_LANE / 8] == ROUNDS * SPLIT_STEPS);
    }
    printf("split_move: %d threads moved\n", SPLIT_HALF);
    return 0;
}
