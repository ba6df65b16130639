/*
 * Each thread increments words of its own, which lie in pages that all use, or do not.
 *
 *   words shared|padded THREADS PAGES SETTLE_MS MS
 *
 * Each thread has one word in each of PAGES pages and goes round them, BURST increments at a time.
 * shared: all threads' words are in the same pages, in cache lines of their own, as a program for
 * one machine would place them. padded: each thread has as many pages of its own. With as many
 * nodes as threads each node has one. What counts is the rate in the MS that follow the first
 * SETTLE_MS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "window.h"

enum {
    WORDS = GUEST_PAGE / sizeof(uint64_t),
    LINE = 64 / sizeof(uint64_t),
    MOST = WORDS / LINE,
    BURST = 64,
};

static int threads, pages;
static bool padded;
static volatile uint64_t *memory;

static volatile uint64_t *word_of(int index, int page)
{
    size_t first = padded ? (size_t)index * pages : 0;

    return memory + (first + page) * WORDS + (size_t)index * LINE;
}

static uint64_t go_round(enum window state, int index, uint64_t bursts)
{
    int page = (int)(bursts % (uint64_t)pages);

    while (window_is(state)) {
        volatile uint64_t *word = word_of(index, page);

        for (int i = 0; i < BURST; i++) {
            (*word)++;
        }
        bursts++;
        page = page + 1 < pages ? page + 1 : 0;
    }
    return bursts;
}

static void *worker(void *arg)
{
    window_work((int)(intptr_t)arg, go_round);
    return NULL;
}

static void check(int index)
{
    uint64_t bursts = window_done[index].after;

    for (int page = 0; page < pages; page++) {
        uint64_t here = bursts / pages + ((uint64_t)page < bursts % pages);

        CHECK(*word_of(index, page) == here * BURST);
    }
}

int main(int argc, char **argv)
{
    pthread_t thread[MOST];
    int settle_ms, ms;
    double per_second;

    CHECK(argc == 6);
    padded = strcmp(argv[1], "padded") == 0;
    CHECK(padded || strcmp(argv[1], "shared") == 0);
    threads = bench_arg(argv, 2);
    pages = bench_arg(argv, 3);
    settle_ms = bench_arg(argv, 4);
    ms = bench_arg(argv, 5);
    CHECK(threads <= MOST);
    memory = guest_map((size_t)(padded ? threads : 1) * pages * GUEST_PAGE, PROT_READ | PROT_WRITE);
    bench_start(thread, threads, worker);
    per_second = window_per_second(thread, threads, settle_ms, ms);
    for (int i = 0; i < threads; i++) {
        check(i);
    }
    bench_say("increments_per_second", per_second * BURST, "/s");
    bench_say("word_pages", pages, "pages");
    return 0;
}
