/*
 * A mutex that only one node uses.
 *
 *   mutex alone COUNT             one thread, nobody else wants it
 *   mutex crowd THREADS ROUNDS    THREADS of one node; who has it yields, so that others must sleep
 *
 * The threads are on node 1 of two: of those that are created every second one is there, the
 * others only wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { MOST = 64 };

static int threads = 1, rounds;
static bool crowd;
static OWN_PAGE struct {
    pthread_mutex_t mutex;
    long count;
} lock = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static OWN_PAGE pthread_barrier_t ready, done;
static OWN_PAGE int64_t started[MOST], ended[MOST];

static void take_turns(void)
{
    for (int i = 0; i < rounds; i++) {
        pthread_mutex_lock(&lock.mutex);
        lock.count++;
        if (crowd) {
            sched_yield();
        }
        pthread_mutex_unlock(&lock.mutex);
    }
}

static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg;

    if (index % 2 == 0) {
        int64_t start, end;

        pthread_barrier_wait(&ready);
        start = bench_now();
        take_turns();
        end = bench_now();
        started[index / 2] = start;
        ended[index / 2] = end;
    }
    pthread_barrier_wait(&done);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[2 * MOST];
    int64_t first = INT64_MAX, last = 0;

    CHECK(argc >= 3);
    crowd = strcmp(argv[1], "crowd") == 0;
    threads = crowd ? bench_arg(argv, 2) : 1;
    rounds = bench_arg(argv, crowd ? 3 : 2);
    CHECK(threads <= MOST);
    CHECK(pthread_barrier_init(&ready, NULL, threads) == 0);
    CHECK(pthread_barrier_init(&done, NULL, 2 * threads) == 0);
    bench_start(thread, 2 * threads, worker);
    guest_join(thread, 2 * threads);
    CHECK(lock.count == (long)threads * rounds);
    for (int i = 0; i < threads; i++) {
        first = started[i] < first ? started[i] : first;
        last = ended[i] > last ? ended[i] : last;
    }
    bench_say("lock_ns", (double)(last - first) / ((double)threads * rounds), "ns");
    return 0;
}
