/*
 * A system call that the master executes for a thread of another node: getppid().
 *
 *   syscall COUNT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

static int count;
static OWN_PAGE pid_t parent;

static void *caller(void *arg)
{
    int64_t *ns = calloc(count, sizeof(*ns));
    pid_t expected = parent;

    (void)arg;
    CHECK(ns);
    memset(ns, 0xff, count * sizeof(*ns));
    for (int i = 0; i < count; i++) {
        int64_t start = bench_now();
        pid_t got = syscall(SYS_getppid);

        ns[i] = bench_now() - start;
        CHECK(got == expected);
    }
    bench_say_samples("call", ns, count);
    bench_say_clock();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    CHECK(argc == 2);
    count = bench_arg(argv, 1);
    parent = getppid();
    bench_start(&thread, 1, caller);
    guest_join(&thread, 1);
    return 0;
}
