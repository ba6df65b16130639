/*
 * Code in pages that are shared like data: a writable and executable page, where one thread writes
 * functions that all run, beside words that others write; and a page of data that is made code by
 * mprotect, and data again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=40 splits=1 */
#include "code/code.h"
#include "split.h"

enum { ROUNDS = 8, TURNS = 4, SLOT = SPLIT_LANE / sizeof(uint32_t) };

/* Lane 2t of the page is a function, lane 2t + 1 has the words of all threads. */
static uint32_t *both;  /* code and data at once */
static uint32_t *turns; /* one or the other */
static pthread_barrier_t gate;

static uint32_t *function(uint32_t *page, int t)
{
    return page + 2 * t * SLOT;
}

static volatile uint64_t *word(uint32_t *page, int t, int me)
{
    return (volatile uint64_t *)(page + (2 * t + 1) * SLOT) + me;
}

/* Four words fill the lane of a function. */
static volatile uint64_t *beside(uint32_t *page, int t, int me)
{
    return (volatile uint64_t *)(function(page, t) + SLOT / 2) + me;
}

static void publish(uint32_t *page, int t, uint32_t value)
{
    uint32_t *at = function(page, t);

    code_flush(at, code_constant(at, value));
}

static void wait_for_all(void)
{
    pthread_barrier_wait(&gate);
#if defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("isb" : : : "memory");
#elif defined(__riscv)
    __asm__ volatile("fence.i" : : : "memory");
#elif defined(__s390x__)
    __asm__ volatile("bcr 15, 0" : : : "memory");
#elif defined(__x86_64__)
    unsigned a = 0, b, c, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d) : : "memory");
#endif
}

static void beside_words(int me)
{
    uint64_t n = 0;

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        int writer = round % SPLIT_HALF;
        if (me == writer) {
            publish(both, me, round * 0x10001);
        }
        wait_for_all();
        for (int i = 0; i < 8; i++) {
            CHECK(code_run(function(both, writer)) == round * 0x10001);
            n = split_steps(word(both, 0, me), n);
            *beside(both, writer, me) = n;
        }
        CHECK(*beside(both, writer, me) == n);
        wait_for_all();
    }
    atomic_fetch_add(&split_done, 1);
}

/* Nobody writes while it is code; each then runs it and still reads what is beside. */
static void in_turns(int me)
{
    uint64_t n = 0;

    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        for (int i = 0; i < 50; i++) {
            n = split_steps(word(turns, 0, me), n);
        }
        if (turn % SPLIT_THREADS == (uint32_t)me) {
            publish(turns, 1, turn * 0x20003);
        }
        wait_for_all();
        if ((turn + 1) % SPLIT_THREADS == (uint32_t)me) {
            CHECK(mprotect(turns, GUEST_PAGE, PROT_READ | PROT_EXEC) == 0);
        }
        wait_for_all();
        CHECK(code_run(function(turns, 1)) == turn * 0x20003);
        for (int t = 0; t < SPLIT_THREADS; t++) {
            CHECK(*word(turns, 0, t) == n);
        }
        wait_for_all();
        if ((turn + 2) % SPLIT_THREADS == (uint32_t)me) {
            CHECK(mprotect(turns, GUEST_PAGE, PROT_READ | PROT_WRITE) == 0);
        }
        wait_for_all();
    }
}

static void *writer(void *arg)
{
    int me = (intptr_t)arg;

    if (me >= SPLIT_HALF) {
        split_count(word(both, 0, me));
    } else {
        split_warm(word(both, 0, me));
        beside_words(me);
    }
    return NULL;
}

static void *turner(void *arg)
{
    int me = (intptr_t)arg;

    split_warm(word(turns, 0, me));
    wait_for_all();
    in_turns(me);
    return NULL;
}

int main(void)
{
    both = code_pages(1);
    CHECK(pthread_barrier_init(&gate, NULL, SPLIT_HALF) == 0);
    guest_run(SPLIT_THREADS, writer);

    turns = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    CHECK(pthread_barrier_init(&gate, NULL, SPLIT_THREADS) == 0);
    guest_run(SPLIT_THREADS, turner);
    printf("split_code: %d functions, %d turns\n", ROUNDS, TURNS);
    return 0;
}
