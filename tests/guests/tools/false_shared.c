/*
 * Two threads count for a while in words of their own in one page, far apart: a page that goes back and
 * forth for nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum { MS = 1000, BURST = 1000 };

static OWN_PAGE volatile uint64_t falsely_shared[GUEST_PAGE / sizeof(uint64_t)];

static uint64_t count(volatile uint64_t *word)
{
    int64_t end = guest_now_ns(CLOCK_MONOTONIC) + MS * 1000000ll;
    uint64_t n = 0;

    while (guest_now_ns(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < BURST; i++) {
            (*word)++;
        }
        n += BURST;
    }
    return n;
}

static void *other(void *arg)
{
    *(uint64_t *)arg = count(&falsely_shared[256]);
    return arg;
}

int main(void)
{
    pthread_t thread;
    uint64_t mine, others;

    CHECK(pthread_create(&thread, NULL, other, &others) == 0);
    mine = count(&falsely_shared[0]);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(falsely_shared[0] == mine && falsely_shared[256] == others);
    puts("false_shared: all counted");
    return 0;
}
