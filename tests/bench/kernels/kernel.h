/*
 * What every kernel shares: its options, its threads with their barrier, the clock of its parallel
 * region, and fair shares of work.
 *
 * A kernel is the heart of a parallel application, written as its author would write it for a
 * machine with many processors: the main thread is thread 0 and works like the others, each thread
 * touches its own data first, and whatever is added up is added up in an order that does not depend
 * on the number of threads. So stdout is the same, bit for bit, on any number of threads and nodes.
 * A kernel checks its own result and ends with 99 and a line on stderr when it is wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_PAGE 4096
#define KERNEL_MAX_THREADS 64

/* On a page of its own: what one thread writes shares no page with what others use. */
#define OWN_PAGE __attribute__((aligned(KERNEL_PAGE)))

#define CHECK(cond) ((cond) ? (void)0 : kernel_fail(__FILE__, __LINE__, #cond))

static inline void __attribute__((noreturn))
kernel_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
    _exit(99);
}

/* The named sizes. One thread under plain QEMU takes about 0.1 s, 1 s and 10 s. */
enum { TEST, SMALL, LARGE, SIZES };

/* Set by kernel_options(), read by all threads. */
static struct {
    int threads;
    int size;
    bool verbose;
    void (*work)(int me);
    pthread_barrier_t barrier;
    int64_t started, ended;
} kernel;

/* -t THREADS -s SIZE -v (the time of the parallel region goes to stderr) */
static inline void kernel_options(int argc, char **argv)
{
    static const char *const names[SIZES] = {"test", "small", "large"};
    int c;

    kernel.threads = 1;
    while ((c = getopt(argc, argv, "t:s:v")) != -1) {
        if (c == 't') {
            kernel.threads = atoi(optarg);
        } else if (c == 's') {
            for (kernel.size = 0; kernel.size < SIZES && strcmp(optarg, names[kernel.size]) != 0;) {
                kernel.size++;
            }
        } else if (c == 'v') {
            kernel.verbose = true;
        }
        if (c == '?' || kernel.size == SIZES || kernel.threads < 1 ||
            kernel.threads > KERNEL_MAX_THREADS) {
            fprintf(stderr, "Usage: %s [-t THREADS (1 to %d)] [-s test|small|large] [-v]\n",
                    argv[0], KERNEL_MAX_THREADS);
            exit(2);
        }
    }
}

static inline void kernel_barrier(void)
{
    int result = pthread_barrier_wait(&kernel.barrier);

    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
}

static inline int64_t kernel_now_ns(void)
{
    struct timespec ts;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Called by all threads at both ends of the part that is measured; barriers. */
static inline void kernel_region_begins(int me)
{
    kernel_barrier();
    if (me == 0) {
        kernel.started = kernel_now_ns();
    }
}

static inline void kernel_region_ends(int me)
{
    kernel_barrier();
    if (me == 0) {
        kernel.ended = kernel_now_ns();
    }
}

static inline void *kernel_enter(void *arg)
{
    kernel.work((intptr_t)arg);
    return NULL;
}

/* Run WORK(0) here and WORK(1)... in other threads, until all are done. */
static inline void kernel_run(void (*work)(int me))
{
    pthread_t threads[KERNEL_MAX_THREADS];

    kernel.work = work;
    CHECK(pthread_barrier_init(&kernel.barrier, NULL, kernel.threads) == 0);
    for (intptr_t i = 1; i < kernel.threads; i++) {
        CHECK(pthread_create(&threads[i], NULL, kernel_enter, (void *)i) == 0);
    }
    work(0);
    for (int i = 1; i < kernel.threads; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    if (kernel.verbose) {
        fprintf(stderr, "parallel region: %.6f s\n", (kernel.ended - kernel.started) / 1e9);
    }
}

/* Thread ME's share of TOTAL things: from FIRST up to, not including, END. */
struct share {
    long first, end;
};

static inline struct share kernel_share(long total, int me)
{
    return (struct share){total * me / kernel.threads, total * (me + 1) / kernel.threads};
}

/* Zeroes on pages of their own, which belong to whoever touches them first. */
static inline void *kernel_alloc(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

/* FNV-1a (Fowler, Noll, Vo), eight bytes at a time. */
#define KERNEL_HASH 0xcbf29ce484222325ull
static inline uint64_t kernel_hash(uint64_t hash, const void *data, size_t words)
{
    const unsigned char *from = data;

    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, from + i * sizeof(word), sizeof(word));
        hash = (hash ^ word) * 0x100000001b3ull;
    }
    return hash;
}

/*
 * The I-th number of stream SEED: SplitMix64 (Steele, Lea, Flood 2014) used as a function of a
 * counter, so that each thread can make its part of the input without the parts before it.
 */
static inline uint64_t kernel_random(uint64_t seed, uint64_t i)
{
    uint64_t x = (seed ^ 0x5851f42d4c957f2dull) + (i + 1) * 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* The same as a number from 0 up to, not including, 1. */
static inline double kernel_uniform(uint64_t seed, uint64_t i)
{
    return (kernel_random(seed, i) >> 11) * 0x1p-53;
}

#endif
