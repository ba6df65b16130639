/*
 * Creating a thread and joining it, one at a time: with two nodes each runs on node 1.
 *
 *   create COUNT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

static void *triple(void *arg)
{
    return (void *)((intptr_t)arg * 3);
}

int main(int argc, char **argv)
{
    int64_t *ns;
    int count;

    CHECK(argc == 2);
    count = bench_arg(argv, 1);
    ns = calloc(count, sizeof(*ns));
    CHECK(ns);
    guest_elsewhere(triple, NULL); /* the first one makes a cluster of the nodes */
    for (intptr_t i = 0; i < count; i++) {
        int64_t start = bench_now();
        void *result = guest_elsewhere(triple, (void *)i);

        ns[i] = bench_now() - start;
        CHECK((intptr_t)result == i * 3);
    }
    bench_say("threads_on_node1", count + 1, "threads");
    bench_say_samples("create", ns, count);
    bench_say_clock();
    return 0;
}
