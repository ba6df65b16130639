/*
 * All threads add to one word.
 *
 *   oneword THREADS COUNT
 *
 * COUNT atomic additions each; with as many nodes as threads each node has one. add_ns is the time
 * from the first start to the last end, for each addition of all threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

static int threads, count;
static OWN_PAGE pthread_barrier_t start;
static OWN_PAGE struct {
    int64_t start, end;
} took[GUEST_MAX_THREADS];
static OWN_PAGE struct {
    _Atomic uint64_t word;
    char rest[GUEST_PAGE - sizeof(uint64_t)];
} shared;

static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg;
    int64_t begin;

    pthread_barrier_wait(&start);
    begin = bench_now();
    for (int i = 0; i < count; i++) {
        atomic_fetch_add(&shared.word, 1);
    }
    took[index].end = bench_now();
    took[index].start = begin;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[GUEST_MAX_THREADS];
    int64_t first = INT64_MAX, last = 0;

    CHECK(argc == 3);
    threads = bench_arg(argv, 1);
    count = bench_arg(argv, 2);
    CHECK(threads <= GUEST_MAX_THREADS);
    CHECK(pthread_barrier_init(&start, NULL, threads) == 0);
    bench_start(thread, threads, worker);
    guest_join(thread, threads);
    CHECK(atomic_load(&shared.word) == (uint64_t)threads * count);
    for (int i = 0; i < threads; i++) {
        first = took[i].start < first ? took[i].start : first;
        last = took[i].end > last ? took[i].end : last;
    }
    bench_say("add_ns", (double)(last - first) / ((double)threads * count), "ns");
    return 0;
}
