/*
 * write() of 64 KiB that the calling thread has just produced on its node: the master executes the
 * call and has to fetch the data.
 *
 *   filewrite COUNT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { BYTES = 65536, AGE_NS = 500000 };

static int count;
static OWN_PAGE int fd;

static void produce(uint32_t *data, uint32_t seed)
{
    for (uint32_t i = 0; i < BYTES / sizeof(*data); i++) {
        data[i] = seed * 2654435761u + i;
    }
}

static void *writer(void *arg)
{
    uint32_t *data = guest_map(BYTES, PROT_READ | PROT_WRITE);
    int64_t *ns = calloc(count, sizeof(*ns));
    int file = fd;

    (void)arg;
    CHECK(ns);
    memset(ns, 0xff, count * sizeof(*ns));
    for (int i = 0; i < count; i++) {
        int64_t start;

        produce(data, i);
        bench_spin_ns(AGE_NS); /* longer than the hold time */
        start = bench_now();
        CHECK(pwrite(file, data, BYTES, 0) == BYTES);
        ns[i] = bench_now() - start;
    }
    bench_say_samples("write", ns, count);
    bench_say_clock();
    return NULL;
}

int main(int argc, char **argv)
{
    static uint32_t got[BYTES / sizeof(uint32_t)], expected[BYTES / sizeof(uint32_t)];
    pthread_t thread;

    CHECK(argc == 2);
    count = bench_arg(argv, 1);
    fd = guest_tmpfile();
    bench_start(&thread, 1, writer);
    guest_join(&thread, 1);
    produce(expected, count - 1);
    CHECK(pread(fd, got, BYTES, 0) == BYTES);
    CHECK(memcmp(got, expected, BYTES) == 0);
    return 0;
}
