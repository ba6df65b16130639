/*
 * Embarrassingly parallel work: each thread hashes its own share of numbers in registers.
 * Also the benchmark of scaling: big_sum [MILLIONS [THREADS]].
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

static uint64_t total, threads;
static struct {
    OWN_PAGE uint64_t sum;
} part[GUEST_MAX_THREADS];

static void *worker(void *arg)
{
    uint64_t me = (intptr_t)arg, sum = 0;
    uint64_t from = total / threads * me;
    uint64_t to = me + 1 == threads ? total : from + total / threads;

    for (uint64_t i = from; i < to; i++) {
        uint64_t x = i * 0x9e3779b97f4a7c15ull;
        x ^= x >> 29;
        x *= 0xbf58476d1ce4e5b9ull;
        x ^= x >> 32;
        sum += x;
    }
    part[me].sum = sum;
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t sum = 0;

    total = (argc > 1 ? strtoull(argv[1], NULL, 0) : 20) * 1000000;
    threads = argc > 2 ? strtoull(argv[2], NULL, 0) : 4;
    CHECK(threads >= 1 && threads <= GUEST_MAX_THREADS);
    guest_run(threads, worker);
    for (uint64_t i = 0; i < threads; i++) {
        sum += part[i].sum;
    }
    printf("big_sum: %016llx\n", (unsigned long long)sum);
    return 0;
}
