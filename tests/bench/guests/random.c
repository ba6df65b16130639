/*
 * Reading remote pages in random order, by several threads of one node at once.
 *
 *   random THREADS PAGES      on two nodes
 *
 * The main thread's node has written the pages and let them rest. The readers are on node 1; of
 * the threads that are created every second one is there, the others only wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { WORDS = GUEST_PAGE / sizeof(uint64_t), MOST = 64 };

static int readers, pages;
static volatile uint64_t *memory;
static uint32_t *order;
static OWN_PAGE pthread_barrier_t ready, done;
static OWN_PAGE int64_t started[MOST], ended[MOST];

/* Its share of the order, copied first: the order is not what is measured. */
static void read_share(int reader)
{
    int count = pages / readers;
    uint32_t *mine = malloc(count * sizeof(*mine));
    int64_t start;

    CHECK(mine);
    memcpy(mine, order + (size_t)reader * count, count * sizeof(*mine));
    pthread_barrier_wait(&ready);
    start = bench_now();
    for (int i = 0; i < count; i++) {
        CHECK(memory[(size_t)mine[i] * WORDS] == mine[i] + 1ull);
    }
    ended[reader] = bench_now();
    started[reader] = start;
}

static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg;

    if (index % 2 == 0) {
        read_share(index / 2);
    }
    pthread_barrier_wait(&done);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[2 * MOST];
    int64_t first = INT64_MAX, last = 0;

    CHECK(argc == 3);
    readers = bench_arg(argv, 1);
    pages = bench_arg(argv, 2);
    CHECK(readers <= MOST && pages >= readers);
    memory = guest_map((size_t)pages * GUEST_PAGE, PROT_READ | PROT_WRITE);
    order = bench_shuffled(pages, 1);
    CHECK(pthread_barrier_init(&ready, NULL, readers + 1) == 0);
    CHECK(pthread_barrier_init(&done, NULL, 2 * readers + 1) == 0);
    bench_start(thread, 2 * readers, worker);
    for (int i = 0; i < pages; i++) {
        memory[(size_t)i * WORDS] = i + 1ull;
    }
    bench_sleep_ms(BENCH_AGE_MS);
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&done);
    guest_join(thread, 2 * readers);
    for (int i = 0; i < readers; i++) {
        first = started[i] < first ? started[i] : first;
        last = ended[i] > last ? ended[i] : last;
    }
    bench_say("random_pages_per_second", pages / readers * readers * 1e9 / (double)(last - first),
              "pages/s");
    return 0;
}
