/*
 * What an increment costs in a page that another node writes to as well, elsewhere in it.
 *
 *   access SETTLE_MS COUNT
 *
 * Thread 0 on node 1 measures, COUNT increments at a time; thread 1 on node 0 increments all the
 * while, so that all times have the same company. plain_ns is that of a word in a page of its own,
 * before the nodes share anything; redirected_ns, of one in the page that both write to;
 * plain_again_ns, of the first again while the other goes on in the shared page. Before the first
 * two it does the same for SETTLE_MS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bench.h"

enum { LINE = 64 / sizeof(uint64_t), BURST = 64, SAMPLES = 21 };

enum state { APART, TOGETHER, DONE };

static int settle_ms, count;
static OWN_PAGE volatile enum state state;
static OWN_PAGE struct {
    volatile uint64_t *shared, *own[2];
} pages;
static OWN_PAGE uint64_t added[2];

static inline __attribute__((always_inline)) void add(volatile uint64_t *word, int n)
{
    for (int i = 0; i < n; i++) {
        (*word)++;
    }
}

/*
 * Code of its own for each kind of page: what a translator does to code because of the one kind
 * must not show in the time of the other.
 */
static __attribute__((noipa)) void add_plain(volatile uint64_t *word, int n)
{
    add(word, n);
}

static __attribute__((noipa)) void add_shared(volatile uint64_t *word, int n)
{
    add(word, n);
}

static double one_ns(void (*adder)(volatile uint64_t *word, int n), volatile uint64_t *word)
{
    int64_t sample[SAMPLES];

    for (int i = 0; i < SAMPLES; i++) {
        int64_t begin = bench_now();

        adder(word, count);
        sample[i] = bench_now() - begin;
    }
    qsort(sample, SAMPLES, sizeof(*sample), bench_compare);
    return (double)sample[SAMPLES / 2] / count;
}

static uint64_t settle(void (*adder)(volatile uint64_t *word, int n), volatile uint64_t *word)
{
    int64_t end = bench_now() + settle_ms * 1000000ll;
    uint64_t n = 0;

    while (bench_now() < end) {
        adder(word, BURST);
        n += BURST;
    }
    return n;
}

static void measure(void)
{
    uint64_t each = (uint64_t)SAMPLES * count, settled;

    settled = settle(add_plain, pages.own[0]);
    bench_say("plain_ns", one_ns(add_plain, pages.own[0]), "ns");
    state = TOGETHER;
    added[0] = settle(add_shared, pages.shared) + each;
    bench_say("redirected_ns", one_ns(add_shared, pages.shared), "ns");
    bench_say("plain_again_ns", one_ns(add_plain, pages.own[0]), "ns");
    state = DONE;
    CHECK(*pages.own[0] == settled + 2 * each);
}

static uint64_t add_while(enum state now, void (*adder)(volatile uint64_t *word, int n),
                          volatile uint64_t *word)
{
    uint64_t n = 0;

    while (state == now) {
        adder(word, BURST);
        n += BURST;
    }
    return n;
}

static void *worker(void *arg)
{
    uint64_t own;

    if ((intptr_t)arg == 0) {
        measure();
        return NULL;
    }
    own = add_while(APART, add_plain, pages.own[1]);
    added[1] = add_while(TOGETHER, add_shared, pages.shared + LINE);
    CHECK(*pages.own[1] == own);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[2];

    CHECK(argc == 3);
    settle_ms = bench_arg(argv, 1);
    count = bench_arg(argv, 2);
    pages.shared = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 2; i++) {
        pages.own[i] = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    }
    bench_start(thread, 2, worker);
    guest_join(thread, 2);
    CHECK(pages.shared[0] == added[0] && pages.shared[LINE] == added[1]);
    return 0;
}
