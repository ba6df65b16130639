/*
 * Reading the memory of another node in an order that can be foreseen, one word of each page used.
 *
 *   stream forward|strideK|backward|interleaved PAGES ROUNDS
 *
 * The main thread's node has written PAGES pages and lets them rest; thread 0 on node 1 reads
 * them. strideK uses every Kth page; interleaved alternates between two places that both go
 * forward. The rate counts the pages used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { WORDS = GUEST_PAGE / sizeof(uint64_t) };

static int pages, rounds, stride = 1;
static const char *order;
static volatile uint64_t *memory;
static OWN_PAGE pthread_barrier_t written, read_by_all;

static size_t used(void)
{
    return (size_t)pages / stride;
}

static size_t page_at(size_t i)
{
    switch (order[0]) {
    case 'b':
        return pages - 1 - i;
    case 'i':
        return i % 2 ? pages / 2 + i / 2 : i / 2;
    default:
        return i * stride;
    }
}

static uint64_t value_of(int round, size_t page)
{
    return ((uint64_t)round << 32) + page + 1;
}

static void *reader(void *arg)
{
    int64_t *ns = calloc(rounds, sizeof(*ns));

    (void)arg;
    CHECK(ns);
    for (int round = 0; round < rounds; round++) {
        int64_t start;

        pthread_barrier_wait(&written);
        start = bench_now();
        for (size_t i = 0; i < used(); i++) {
            size_t page = page_at(i);

            CHECK(memory[page * WORDS] == value_of(round, page));
        }
        ns[round] = bench_now() - start;
        pthread_barrier_wait(&read_by_all);
    }
    qsort(ns, rounds, sizeof(*ns), bench_compare);
    bench_say("stream_bytes_per_second", (double)used() * GUEST_PAGE * 1e9 / ns[rounds / 2],
              "bytes/s");
    bench_say("page_ns", (double)ns[rounds / 2] / used(), "ns");
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    CHECK(argc == 4);
    order = argv[1];
    stride = strncmp(order, "stride", 6) == 0 ? atoi(order + 6) : 1;
    pages = bench_arg(argv, 2) & ~1; /* two halves */
    rounds = bench_arg(argv, 3);
    CHECK(stride > 0 && pages >= stride);
    memory = guest_map((size_t)pages * GUEST_PAGE, PROT_READ | PROT_WRITE);
    CHECK(pthread_barrier_init(&written, NULL, 2) == 0);
    CHECK(pthread_barrier_init(&read_by_all, NULL, 2) == 0);
    bench_start(&thread, 1, reader);
    for (int round = 0; round < rounds; round++) {
        for (int page = 0; page < pages; page++) {
            for (int i = 0; i < WORDS; i++) {
                memory[(size_t)page * WORDS + i] = value_of(round, page) + i;
            }
        }
        bench_sleep_ms(BENCH_AGE_MS);
        pthread_barrier_wait(&written);
        pthread_barrier_wait(&read_by_all);
    }
    guest_join(&thread, 1);
    return 0;
}
