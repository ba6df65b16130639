/*
 * What one fault costs, each on another page, in random order.
 *
 *   fault read PAGES ROUNDS             a page that the main thread's node has written
 *   fault upgrade PAGES ROUNDS SHARERS  a write to a page of which this node and SHARERS
 *                                       others have a copy; on SHARERS + 1 nodes
 *
 * Thread 0, on node 1, faults; the others only hold copies. Before the faults the pages rest, so
 * that nobody waits for a hold time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { WORDS = GUEST_PAGE / sizeof(uint64_t) };

static int pages, rounds, sharers = 1;
static bool upgrade;
static volatile uint64_t *memory;
static OWN_PAGE pthread_barrier_t written, shared, faulted;

static volatile uint64_t *word(uint32_t page)
{
    return memory + (size_t)page * WORDS;
}

static uint64_t first_value(int round, uint32_t page)
{
    return ((uint64_t)round << 32) + page + 1;
}

static void read_all(int round, const uint32_t *order)
{
    for (int i = 0; i < pages; i++) {
        CHECK(*word(order[i]) == first_value(round, order[i]));
    }
}

static void fault_on_all(int round, const uint32_t *order, int64_t *ns)
{
    for (int i = 0; i < pages; i++) {
        volatile uint64_t *w = word(order[i]);
        int64_t start = bench_now();

        if (upgrade) {
            *w = first_value(round, order[i]) * 3;
            ns[i] = bench_now() - start;
        } else {
            uint64_t value = *w;

            ns[i] = bench_now() - start;
            CHECK(value == first_value(round, order[i]));
        }
    }
}

static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg;
    uint32_t *order = bench_shuffled(pages, 1 + index);
    int64_t *ns = calloc((size_t)pages * rounds, sizeof(*ns));

    CHECK(ns);
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&written);
        if (upgrade) {
            read_all(round, order);
        }
        pthread_barrier_wait(&shared);
        if (index == 0) {
            memset(ns + (size_t)round * pages, 0xff, pages * sizeof(*ns)); /* own, before timing */
            bench_sleep_ms(BENCH_AGE_MS);
            fault_on_all(round, order, ns + (size_t)round * pages);
        }
        pthread_barrier_wait(&faulted);
    }
    if (index == 0) {
        bench_say_samples("fault", ns, (size_t)pages * rounds);
        bench_say_clock();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[GUEST_MAX_THREADS];
    uint32_t *order;

    CHECK(argc >= 4);
    upgrade = strcmp(argv[1], "upgrade") == 0;
    pages = bench_arg(argv, 2);
    rounds = bench_arg(argv, 3);
    sharers = upgrade ? bench_arg(argv, 4) : 1;
    memory = guest_map((size_t)pages * GUEST_PAGE, PROT_READ | PROT_WRITE);
    order = bench_shuffled(pages, 99);
    CHECK(pthread_barrier_init(&written, NULL, sharers + 1) == 0);
    CHECK(pthread_barrier_init(&shared, NULL, sharers + 1) == 0);
    CHECK(pthread_barrier_init(&faulted, NULL, sharers + 1) == 0);
    bench_start(thread, sharers, worker);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < pages; i++) {
            *word(order[i]) = first_value(round, order[i]);
        }
        bench_sleep_ms(BENCH_AGE_MS);
        pthread_barrier_wait(&written);
        if (upgrade) {
            read_all(round, order);
        }
        pthread_barrier_wait(&shared);
        pthread_barrier_wait(&faulted);
        for (int i = 0; i < pages && upgrade; i++) {
            CHECK(*word(i) == first_value(round, i) * 3);
        }
    }
    guest_join(thread, sharers);
    return 0;
}
