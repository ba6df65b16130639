/*
 * A barrier, again and again, the main thread being one of the threads.
 *
 *   barrier THREADS ROUNDS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

static int threads, rounds;
static OWN_PAGE pthread_barrier_t barrier;
static OWN_PAGE long serial[GUEST_MAX_THREADS];

static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg + 1; /* 0 is the main thread */
    long last = 0;

    for (int i = 0; i < rounds; i++) {
        last += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    }
    serial[index] = last;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[GUEST_MAX_THREADS];
    int64_t start;
    long sum = 0;

    CHECK(argc == 3);
    threads = bench_arg(argv, 1);
    rounds = bench_arg(argv, 2);
    CHECK(threads <= GUEST_MAX_THREADS);
    CHECK(pthread_barrier_init(&barrier, NULL, threads) == 0);
    bench_start(thread, threads - 1, worker);
    start = bench_now();
    worker((void *)(intptr_t)-1);
    bench_say("barrier_ns", (double)(bench_now() - start) / rounds, "ns");
    guest_join(thread, threads - 1);
    for (int i = 0; i < threads; i++) {
        sum += serial[i];
    }
    CHECK(sum == rounds); /* each round had exactly one last thread */
    return 0;
}
