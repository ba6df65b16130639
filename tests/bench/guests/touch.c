/*
 * The first write to each page of fresh memory, page after page.
 *
 *   touch PAGES ROUNDS      each round in a new mapping
 *
 * Thread 0, on node 1, touches. touch_ns is the time per page, all pages together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { WORDS = GUEST_PAGE / sizeof(uint64_t) };

static int pages, rounds;

static int64_t touch(volatile uint64_t *memory)
{
    int64_t start = bench_now();

    for (int i = 0; i < pages; i++) {
        memory[(size_t)i * WORDS] = (uint64_t)i + 1;
    }
    return bench_now() - start;
}

static void *worker(void *arg)
{
    size_t length = (size_t)pages * GUEST_PAGE;
    int64_t ns[64];

    (void)arg;
    for (int round = 0; round < rounds; round++) {
        volatile uint64_t *memory = guest_map(length, PROT_READ | PROT_WRITE);

        ns[round] = touch(memory);
        for (int i = 0; i < pages; i++) {
            CHECK(memory[(size_t)i * WORDS] == (uint64_t)i + 1);
            CHECK(memory[(size_t)i * WORDS + WORDS - 1] == 0);
        }
        CHECK(munmap((void *)memory, length) == 0);
    }
    qsort(ns, rounds, sizeof(*ns), bench_compare);
    bench_say("touch_ns", (double)ns[rounds / 2] / pages, "ns");
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    CHECK(argc == 3);
    pages = bench_arg(argv, 1);
    rounds = bench_arg(argv, 2);
    CHECK(rounds <= 64);
    bench_start(&thread, 1, worker);
    guest_join(&thread, 1);
    return 0;
}
