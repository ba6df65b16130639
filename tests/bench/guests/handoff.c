/*
 * One mutex wanted by two nodes: how long until the other node has it.
 *
 *   handoff ROUNDS
 *
 * The main thread and thread 0 on node 1 take the lock ROUNDS times each. A hand-off is an
 * acquisition after the other node's; its time counts from the later of the other's release and
 * the own call, so neither the other's work under the lock nor a lock that nobody wants counts.
 * Between two turns a thread stays away for a while, or the same one would take the lock again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { AWAY_NS = 20000 };

static int rounds;
static OWN_PAGE struct {
    pthread_mutex_t mutex;
    int last; /* who had it, 0 or 1 */
    long count;
    int64_t released;
} lock = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static OWN_PAGE pthread_barrier_t start;
static OWN_PAGE struct {
    int64_t *ns;
    size_t count;
} result[2];

static void take_turns(int me)
{
    int64_t *ns = calloc(rounds, sizeof(*ns));
    size_t handoffs = 0;

    CHECK(ns);
    memset(ns, 0xff, rounds * sizeof(*ns));
    pthread_barrier_wait(&start);
    for (int i = 0; i < rounds; i++) {
        int64_t called = bench_now(), got;

        CHECK(pthread_mutex_lock(&lock.mutex) == 0);
        got = bench_now();
        if (lock.last != me) {
            ns[handoffs++] = got - (called > lock.released ? called : lock.released);
        }
        lock.last = me;
        lock.count++;
        lock.released = bench_now();
        CHECK(pthread_mutex_unlock(&lock.mutex) == 0);
        bench_spin_ns(AWAY_NS);
    }
    result[me].ns = ns;
    result[me].count = handoffs;
}

static void *other(void *arg)
{
    (void)arg;
    take_turns(1);
    bench_say_clock();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    int64_t begin, *all, took;
    size_t handoffs;

    CHECK(argc == 2);
    rounds = bench_arg(argv, 1);
    CHECK(pthread_barrier_init(&start, NULL, 2) == 0);
    bench_start(&thread, 1, other);
    begin = bench_now();
    take_turns(0);
    guest_join(&thread, 1);
    took = bench_now() - begin;
    CHECK(lock.count == 2L * rounds);
    handoffs = result[0].count + result[1].count;
    all = calloc(handoffs, sizeof(*all));
    CHECK(all && handoffs > 0);
    memcpy(all, result[0].ns, result[0].count * sizeof(*all));
    memcpy(all + result[0].count, result[1].ns, result[1].count * sizeof(*all));
    bench_say_samples("handoff", all, handoffs);
    bench_say("turn_ns", (double)took / (2.0 * rounds), "ns");
    return 0;
}
