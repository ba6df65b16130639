/*
 * What the guests of the benchmarks share: times taken inside the guest, lines that programs
 * read ("name value unit"), and threads whose node is known.
 *
 * With N nodes and the default placement the main thread is on node 0, and of threads that are
 * alive together the one with index I (from 0) is on node (I + 1) % N. bench_start() relies on
 * that and says how many there are; the driver checks it against the launcher's statistics.
 *
 * A time of one operation contains one reading of the clock, which is reported as clock_ns;
 * nothing is subtracted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_H
#define BENCH_H

#include "../../guests/guest.h"

/* Longer than any hold time in use: a page that rests this long is given away at once. */
#define BENCH_AGE_MS 5

static inline int64_t bench_now(void)
{
    return guest_now_ns(CLOCK_MONOTONIC);
}

static inline void bench_say(const char *name, double value, const char *unit)
{
    printf("%s %.9g %s\n", name, value, unit);
}

static inline int bench_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Sorts the samples. */
static inline void bench_say_samples(const char *name, int64_t *ns, size_t count)
{
    CHECK(count > 0);
    qsort(ns, count, sizeof(*ns), bench_compare);
    printf("%s_median_ns %lld ns\n", name, (long long)ns[count / 2]);
    printf("%s_p99_ns %lld ns\n", name, (long long)ns[count * 99 / 100]);
    printf("%s_min_ns %lld ns\n", name, (long long)ns[0]);
    printf("%s_samples %zu samples\n", name, count);
}

/* What one reading of the clock costs where this thread runs. */
static inline void bench_say_clock(void)
{
    int64_t sample[1001];

    for (int i = 0; i < 1001; i++) {
        int64_t start = bench_now();

        sample[i] = bench_now() - start;
    }
    qsort(sample, 1001, sizeof(*sample), bench_compare);
    printf("clock_ns %lld ns\n", (long long)sample[500]);
}

static inline void bench_sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    while (nanosleep(&t, &t) != 0) {
        CHECK(errno == EINTR);
    }
}

/* Busy, without a system call that another node would see. */
static inline void bench_spin_ns(int64_t ns)
{
    int64_t end = bench_now() + ns;

    while (bench_now() < end) {
    }
}

/* As guest_start(), and tells the driver. */
static inline void bench_start(pthread_t *threads, int count, guest_fn fn)
{
    bench_say("threads", count, "threads");
    guest_start(threads, count, fn);
}

/* Argument I as a positive number; the guests have no defaults, the driver says everything. */
static inline int bench_arg(char **argv, int i)
{
    long n;

    CHECK(argv[i] != NULL);
    n = strtol(argv[i], NULL, 10);
    CHECK(n > 0 && n <= INT_MAX);
    return (int)n;
}

/* The numbers 0 to COUNT - 1 in random order; of malloc. */
static inline uint32_t *bench_shuffled(uint32_t count, uint64_t seed)
{
    uint32_t *order = malloc(count * sizeof(*order));

    CHECK(order);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = guest_random(&seed) % (i + 1), t = order[i];

        order[i] = order[j];
        order[j] = t;
    }
    return order;
}

#endif
