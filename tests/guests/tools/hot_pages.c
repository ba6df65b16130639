/*
 * Two threads take turns at a word, and at every fourth turn at another: two pages of their own that
 * go back and forth, one four times as often.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum { TURNS = 400 };

/* Whole pages, so that nothing else lies there. */
OWN_PAGE _Atomic int hot_counter[GUEST_PAGE / sizeof(int)];
OWN_PAGE _Atomic int warm_counter[GUEST_PAGE / sizeof(int)];

static void take_turns(int me)
{
    for (int turn; (turn = atomic_load(hot_counter)) < TURNS;) {
        if (turn % 2 != me) {
            sched_yield();
            continue;
        }
        if (turn / 2 % 4 == 0) {
            atomic_fetch_add(warm_counter, 1);
        }
        atomic_fetch_add(hot_counter, 1);
    }
}

static void *other(void *arg)
{
    take_turns(1);
    return arg;
}

int main(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, other, NULL) == 0);
    take_turns(0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(*hot_counter == TURNS && *warm_counter == TURNS / 4);
    printf("hot_pages: %d turns\n", TURNS);
    return 0;
}
