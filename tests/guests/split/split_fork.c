/*
 * fork while pages are shared by writers on several nodes: each child sees a state that was once
 * there, of words that one thread writes and of words that two threads write in turns, and none of
 * the writers loses a step.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include "split.h"

enum { FORKS = 3, PAIRS = SPLIT_HALF / 2 };

/* first and second are written by one thread, in this order, so at every moment first >= second,
 * and by no more than one. left and right are written by two threads, each after it has seen what
 * the other wrote: left >= right, and by no more than one. */
static OWN_PAGE struct {
    struct {
        atomic_ulong first, counted;
    } own[SPLIT_HALF];
    struct {
        atomic_ulong left __attribute__((aligned(SPLIT_LANE)));
        atomic_ulong right __attribute__((aligned(SPLIT_LANE)));
    } turns[PAIRS];
    atomic_ulong second[SPLIT_HALF] __attribute__((aligned(GUEST_PAGE / 2)));
} page;
static OWN_PAGE struct {
    OWN_PAGE atomic_ulong third[SPLIT_HALF]; /* after second, on another page */
} other;
static OWN_PAGE atomic_int stop;

static void writes_own(int me)
{
    unsigned long i = 0;

    while (!atomic_load(&stop)) {
        CHECK(page.own[me].first == i && page.second[me] == i && other.third[me] == i);
        i++;
        atomic_store(&page.own[me].first, i);
        atomic_store(&page.second[me], i);
        atomic_store(&other.third[me], i);
        if (i % SPLIT_STEPS == 0) {
            sched_yield();
        }
    }
    page.own[me].counted = i;
}

static void writes_in_turns(int pair, int side)
{
    for (unsigned long i = 1; !atomic_load(&stop); i++) {
        if (side == 0) {
            atomic_store(&page.turns[pair].left, i);
        }
        while (atomic_load(side == 0 ? &page.turns[pair].right : &page.turns[pair].left) != i) {
            if (atomic_load(&stop)) {
                return;
            }
            sched_yield();
        }
        if (side == 1) {
            atomic_store(&page.turns[pair].right, i);
        }
    }
}

static void *writer(void *arg)
{
    int me = (intptr_t)arg;

    if (me < SPLIT_HALF) {
        writes_own(me);
    } else {
        writes_in_turns((me - SPLIT_HALF) / 2, me % 2);
    }
    return NULL;
}

/* A moment of the words, as it must be at any moment. */
static void check_moment(void)
{
    for (int t = 0; t < SPLIT_HALF; t++) {
        unsigned long first = page.own[t].first, second = page.second[t], third = other.third[t];
        CHECK(first == third || first == third + 1);
        CHECK(second == first || second == third);
    }
    for (int p = 0; p < PAIRS; p++) {
        unsigned long left = page.turns[p].left, right = page.turns[p].right;
        CHECK(left == right || left == right + 1);
    }
}

static void child(void)
{
    unsigned char was[2 * GUEST_PAGE];

    check_moment();
    memcpy(was, &page, GUEST_PAGE);
    memcpy(was + GUEST_PAGE, &other, GUEST_PAGE);
    for (int i = 0; i < 3; i++) {
        sched_yield();
    }
    /* Nobody writes in this process; and what it writes is its own. */
    CHECK(memcmp(was, &page, GUEST_PAGE) == 0);
    CHECK(memcmp(was + GUEST_PAGE, &other, GUEST_PAGE) == 0);
    memset(&page, 0xee, GUEST_PAGE);
    memset(&other, 0xee, GUEST_PAGE);
    _exit(0);
}

static void *forker(void *arg)
{
    int status;

    for (int f = 0; f < FORKS; f++) {
        unsigned long before = page.own[0].first;
        while (page.own[0].first < before + 50) {
            sched_yield();
        }
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            child();
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    return arg;
}

int main(void)
{
    pthread_t writers[SPLIT_THREADS];

    guest_start(writers, SPLIT_THREADS, writer);
    guest_elsewhere(forker, NULL);
    forker(NULL);
    atomic_store(&stop, 1);
    guest_join(writers, SPLIT_THREADS);
    for (int t = 0; t < SPLIT_HALF; t++) {
        CHECK(page.own[t].first == page.own[t].counted);
    }
    check_moment();
    printf("split_fork: %d children\n", 2 * FORKS);
    return 0;
}
