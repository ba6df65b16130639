/*
 * Pages whose use changes: two threads write their own words in them, then one reads all, then both
 * write again.
 *
 *   phases all|share|walk PAGES BURSTS ROUNDS
 *
 * To share is BURSTS times BURST increments for each thread, going round its words, one in each
 * page; to walk is to read all of PAGES pages ROUNDS times. The amount of work is fixed, so that a
 * phase's time contains what it takes to settle. share and walk do one of them in fresh memory; all
 * does that with both, and then share, walk, share in one memory: sequence_ns is the time of that,
 * alone_ns what its parts took by themselves.
 *
 * Thread 0 on node 1 walks; the memory that is walked alone was written by thread 1 on node 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { WORDS = GUEST_PAGE / sizeof(uint64_t), LINE = 64 / sizeof(uint64_t), BURST = 64 };

static const char *mode;
static int pages, bursts, rounds;
static OWN_PAGE struct {
    volatile uint64_t *share, *walk, *all;
} memory_of;
static OWN_PAGE pthread_barrier_t together;

static volatile uint64_t *fresh(void)
{
    return guest_map((size_t)pages * GUEST_PAGE, PROT_READ | PROT_WRITE);
}

/* Each of a thread's words gets that much by one phase of sharing. */
static uint64_t added_to(int page)
{
    return (uint64_t)BURST * (bursts / pages + (page < bursts % pages));
}

static void share(volatile uint64_t *memory, int index)
{
    int page = 0;

    for (int i = 0; i < bursts; i++) {
        volatile uint64_t *word = memory + (size_t)page * WORDS + index * LINE;

        for (int j = 0; j < BURST; j++) {
            (*word)++;
        }
        page = page + 1 < pages ? page + 1 : 0;
    }
}

/* As after one phase of sharing. */
static void fill(volatile uint64_t *memory)
{
    for (int page = 0; page < pages; page++) {
        for (int index = 0; index < 2; index++) {
            memory[(size_t)page * WORDS + index * LINE] = added_to(page);
        }
    }
}

/* After SHARED phases of sharing. */
static void walk(volatile uint64_t *memory, int times, int shared)
{
    for (int round = 0; round < times; round++) {
        uint64_t sum = 0;

        for (size_t i = 0; i < (size_t)pages * WORDS; i++) {
            sum += memory[i];
        }
        CHECK(sum == 2ull * BURST * bursts * shared);
    }
}

static void check(volatile uint64_t *memory, int shared)
{
    for (int page = 0; page < pages; page++) {
        for (int i = 0; i < WORDS; i++) {
            bool used = i == 0 || i == LINE;

            CHECK(memory[(size_t)page * WORDS + i] == (used ? added_to(page) * shared : 0));
        }
    }
}

/* Both threads; the time from when both are there until both are done. */
static int64_t time_share(volatile uint64_t *memory, int index)
{
    int64_t begin;

    pthread_barrier_wait(&together);
    begin = bench_now();
    share(memory, index);
    pthread_barrier_wait(&together);
    return bench_now() - begin;
}

static int64_t time_walk(volatile uint64_t *memory, int index)
{
    int64_t begin;

    pthread_barrier_wait(&together);
    begin = bench_now();
    if (index == 0) {
        walk(memory, rounds, 1);
    }
    pthread_barrier_wait(&together);
    return bench_now() - begin;
}

static int64_t time_sequence(volatile uint64_t *memory, int index)
{
    int64_t took = time_share(memory, index);

    took += time_walk(memory, index);
    took += time_share(memory, index);
    return took;
}

static void *worker(void *arg)
{
    int index = (int)(intptr_t)arg;
    bool all = strcmp(mode, "all") == 0;
    int64_t shared = 0, walked = 0, sequence = 0;

    if (all || strcmp(mode, "share") == 0) {
        shared = time_share(memory_of.share, index);
    }
    if (index == 1) {
        fill(memory_of.walk);
    }
    if (all || strcmp(mode, "walk") == 0) {
        walked = time_walk(memory_of.walk, index);
    }
    if (all) {
        sequence = time_sequence(memory_of.all, index);
    }
    if (index == 0) {
        bench_say("share_ns", (double)shared, "ns");
        bench_say("walk_ns", (double)walked, "ns");
        bench_say("alone_ns", (double)(2 * shared + walked), "ns");
        bench_say("sequence_ns", (double)sequence, "ns");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[2];

    CHECK(argc == 5);
    mode = argv[1];
    pages = bench_arg(argv, 2);
    bursts = bench_arg(argv, 3);
    rounds = bench_arg(argv, 4);
    memory_of.share = fresh();
    memory_of.walk = fresh();
    memory_of.all = fresh();
    CHECK(pthread_barrier_init(&together, NULL, 2) == 0);
    bench_start(thread, 2, worker);
    guest_join(thread, 2);
    check(memory_of.share, strcmp(mode, "walk") != 0);
    check(memory_of.walk, 1);
    check(memory_of.all, strcmp(mode, "all") == 0 ? 2 : 0);
    return 0;
}
