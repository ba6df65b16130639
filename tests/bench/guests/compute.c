/*
 * Threads that compute and share nothing.
 *
 *   compute THREADS LOOPS SETTLE_MS [pin]
 *
 * The main thread is one of them; with as many nodes as threads each node has one. All start
 * together, SETTLE_MS after the last was created, so that whoever places them from outside is done.
 * compute_ns runs from the first start to the last end. With "pin", for a reference without
 * nodes, thread K runs on the process's Kth processor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { WORDS = 1024 };

struct result {
    int64_t start, end;
    uint64_t sum;
};

static int threads, loops, settle_ms;
static bool pin;
static cpu_set_t allowed;
static OWN_PAGE pthread_barrier_t start;
static OWN_PAGE struct result result[GUEST_MAX_THREADS];

static void pin_to(int which)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && which-- == 0) {
            cpu_set_t one;

            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
            return;
        }
    }
    CHECK(!"a processor for each thread");
}

static uint64_t compute(void)
{
    uint64_t table[WORDS], x = 88172645463325252ull, sum = 0;

    for (int i = 0; i < WORDS; i++) {
        table[i] = i;
    }
    for (int i = 0; i < loops; i++) {
        for (int j = 0; j < WORDS; j++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            table[x % WORDS] += x * 0x9e3779b97f4a7c15ull;
        }
        sum += table[i % WORDS];
    }
    return sum;
}

static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg + 1; /* 0 is the main thread */
    struct result r;

    if (pin) {
        pin_to(index);
    }
    if (index == 0) {
        bench_sleep_ms(settle_ms);
    }
    pthread_barrier_wait(&start);
    r.start = bench_now();
    r.sum = compute();
    r.end = bench_now();
    result[index] = r;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[GUEST_MAX_THREADS];
    int64_t first = INT64_MAX, last = 0;

    CHECK(argc >= 4);
    threads = bench_arg(argv, 1);
    loops = bench_arg(argv, 2);
    settle_ms = bench_arg(argv, 3);
    pin = argc > 4 && strcmp(argv[4], "pin") == 0;
    CHECK(threads <= GUEST_MAX_THREADS);
    CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
    CHECK(pthread_barrier_init(&start, NULL, threads) == 0);
    bench_start(thread, threads - 1, worker);
    worker((void *)(intptr_t)-1);
    guest_join(thread, threads - 1);
    for (int i = 0; i < threads; i++) {
        CHECK(result[i].sum == result[0].sum);
        first = result[i].start < first ? result[i].start : first;
        last = result[i].end > last ? result[i].end : last;
    }
    bench_say("compute_ns", (double)(last - first), "ns");
    return 0;
}
