/*
 * All nodes write to random pages of the same memory as fast as they can.
 *
 *   storm THREADS PAGES MS [main]
 *
 * THREADS are created; with THREADS + 1 nodes each of the other nodes has one and the master has
 * none, unless "main" says that the main thread takes part as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { WORDS = GUEST_PAGE / sizeof(uint64_t), MOST = 64 };

static int threads, pages, ms;
static bool with_main;
static volatile uint64_t *memory;
static OWN_PAGE pthread_barrier_t start;
static OWN_PAGE struct {
    uint64_t writes;
    int64_t start, end;
} result[MOST];

/* Each thread has a word of its own in each page. */
static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg + 1; /* 0 is the main thread */
    uint64_t seed = 1 + index, writes = 0;
    int64_t begin, end;

    pthread_barrier_wait(&start);
    begin = bench_now();
    end = begin + ms * 1000000ll;
    while (bench_now() < end) {
        memory[(size_t)(guest_random(&seed) % pages) * WORDS + index]++;
        writes++;
    }
    end = bench_now();
    result[index].start = begin;
    result[index].end = end;
    result[index].writes = writes;
    return NULL;
}

static void check(int index)
{
    uint64_t sum = 0;

    for (int page = 0; page < pages; page++) {
        sum += memory[(size_t)page * WORDS + index];
    }
    CHECK(sum == result[index].writes);
}

int main(int argc, char **argv)
{
    pthread_t thread[MOST];
    int64_t first = INT64_MAX, last = INT64_MAX;

    CHECK(argc >= 4);
    threads = bench_arg(argv, 1);
    pages = bench_arg(argv, 2);
    ms = bench_arg(argv, 3);
    with_main = argc > 4 && strcmp(argv[4], "main") == 0;
    CHECK(threads < MOST);
    memory = guest_map((size_t)pages * GUEST_PAGE, PROT_READ | PROT_WRITE);
    CHECK(pthread_barrier_init(&start, NULL, threads + with_main) == 0);
    bench_start(thread, threads, worker);
    if (with_main) {
        worker((void *)(intptr_t)-1);
    }
    guest_join(thread, threads);
    for (int i = !with_main; i <= threads; i++) {
        check(i);
        first = result[i].start < first ? result[i].start : first;
        last = result[i].end < last ? result[i].end : last;
    }
    first += ms * 250000ll; /* a quarter: pages are still untouched */
    printf("storm_start_ns %lld ns\nstorm_end_ns %lld ns\n", (long long)first, (long long)last);
    return 0;
}
