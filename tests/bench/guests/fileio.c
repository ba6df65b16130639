/*
 * pread() and pwrite() of so many bytes that a thread of another node has made or is going to use: the
 * master executes the call. Also calls of the main thread, with the data of its own node.
 *
 *   fileio read|write BYTES COUNT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

static int count, bytes;
static bool reads;
static OWN_PAGE int fd;

static void measure(const char *name)
{
    unsigned char *data = guest_map(bytes, PROT_READ | PROT_WRITE);
    int64_t *ns = calloc(count, sizeof(*ns));
    int file = fd;

    CHECK(ns);
    memset(ns, 0xff, count * sizeof(*ns));
    for (int i = 0; i < count; i++) {
        int64_t start;

        memset(data, i, bytes);
        start = bench_now();
        CHECK((reads ? pread(file, data, bytes, 0) : pwrite(file, data, bytes, 0)) == bytes);
        ns[i] = bench_now() - start;
        CHECK(data[0] == (reads ? 0 : i % 256) && data[bytes - 1] == data[0]);
    }
    bench_say_samples(name, ns, count);
}

static void *caller(void *arg)
{
    measure("call");
    bench_say_clock();
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    CHECK(argc == 4);
    reads = strcmp(argv[1], "read") == 0;
    bytes = bench_arg(argv, 2);
    count = bench_arg(argv, 3);
    fd = guest_tmpfile();
    CHECK(ftruncate(fd, bytes) == 0);
    bench_start(&thread, 1, caller);
    guest_join(&thread, 1);
    measure("main");
    return 0;
}
