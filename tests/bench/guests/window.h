/*
 * Threads that work until they are told to end, and what they got done in a window of time that
 * opens when they have run for a while: how fast they go once things have settled.
 *
 * Each thread works while window_is() one state after the other, and counts: no clock is read
 * between two pieces of work, only a page that rests with every node. The time is the main
 * thread's, the same for all: one that waited all the while has done nothing in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef WINDOW_H
#define WINDOW_H

#include "bench.h"

enum window { WINDOW_AHEAD, WINDOW_OPEN, WINDOW_CLOSED };

/* What one thread had done when it saw the window open and close, in pieces of work. */
struct window_done {
    uint64_t before, after;
};

static OWN_PAGE volatile enum window window;
static OWN_PAGE struct window_done window_done[GUEST_MAX_THREADS];

/* Works while the window is in STATE, from piece FIRST on; gives the number of the next piece. */
typedef uint64_t (*window_fn)(enum window state, int index, uint64_t first);

static inline bool window_is(enum window state)
{
    return window == state;
}

/* A thread's whole life. */
static inline void window_work(int index, window_fn work)
{
    struct window_done d;

    d.before = work(WINDOW_AHEAD, index, 0);
    d.after = work(WINDOW_OPEN, index, d.before);
    window_done[index] = d;
}

static inline int64_t window_set(enum window state)
{
    window = state;
    return bench_now();
}

/*
 * For the main thread, which sleeps meanwhile: the window opens in SETTLE_MS, for MS. Waits for the
 * threads, and says what they did in it per second, all together, in pieces of work.
 */
static inline double window_per_second(pthread_t *threads, int count, int settle_ms, int ms)
{
    uint64_t sum = 0;
    int64_t opened, closed;

    bench_sleep_ms(settle_ms);
    opened = window_set(WINDOW_OPEN);
    bench_sleep_ms(ms);
    closed = window_set(WINDOW_CLOSED);
    guest_join(threads, count);
    for (int i = 0; i < count; i++) {
        sum += window_done[i].after - window_done[i].before;
    }
    return (double)sum * 1e9 / (double)(closed - opened);
}

#endif
