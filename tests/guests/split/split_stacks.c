/*
 * Stacks in shared pages: threads run on small stacks, four to a page, and signals from other nodes
 * run their handlers on alternate stacks whose ends share pages with each other, all of them beside
 * words that other threads write. Every frame keeps what was put there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include <ucontext.h>

#include "split.h"

enum { SMALL = 896, ALTERNATE = 12 * 1024 + 448, ROUNDS = 25, DEPTH = 4 };

/* Four stacks and the words of eight threads fill a page. */
static OWN_PAGE struct {
    struct {
        _Alignas(16) unsigned char stack[SMALL];
        volatile uint64_t count[SPLIT_THREADS];
        unsigned char rest[GUEST_PAGE / SPLIT_HALF - SMALL - SPLIT_THREADS * 8];
    } small[SPLIT_HALF];
} page;

/* Not a multiple of a page, so that where they meet lies elsewhere in each page. */
static OWN_PAGE struct {
    _Alignas(64) unsigned char stack[ALTERNATE];
    volatile uint64_t count[SPLIT_THREADS];
} alternate[SPLIT_HALF];

static OWN_PAGE ucontext_t thread_context[SPLIT_HALF], small_context[SPLIT_HALF];
static OWN_PAGE pthread_t threads[SPLIT_THREADS];
static OWN_PAGE atomic_int handled[SPLIT_HALF], sent[SPLIT_HALF];
static OWN_PAGE atomic_int ready;
static __thread int my_index;

static bool within(const void *p, const void *stack, size_t size)
{
    return (uintptr_t)p - (uintptr_t)stack < size;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    volatile uint64_t frame[16];
    const ucontext_t *uc = context;

    CHECK(sig == SIGUSR1 && info->si_code == SI_TKILL);
    CHECK(within((void *)frame, alternate[my_index].stack, ALTERNATE));
    CHECK(uc->uc_stack.ss_sp == alternate[my_index].stack);
    for (int i = 0; i < 16; i++) {
        frame[i] = (uintptr_t)&frame[i] ^ my_index;
    }
    split_steps(&alternate[my_index].count[my_index], alternate[my_index].count[my_index]);
    for (int i = 0; i < 16; i++) {
        CHECK(frame[i] == ((uintptr_t)&frame[i] ^ my_index));
    }
    atomic_fetch_add(&handled[my_index], 1);
}

/* A few frames, each of which checks itself when those below have come and gone. */
static uint64_t __attribute__((noinline)) deep(int depth, uint64_t seed)
{
    volatile uint64_t frame[4] = {seed, ~seed, seed * 3, depth};
    uint64_t below = depth == 0 ? 0 : deep(depth - 1, seed + 1);

    if (frame[0] != seed || frame[1] != ~seed || frame[2] != seed * 3 ||
        frame[3] != (uint64_t)depth) {
        guest_fail(__FILE__, __LINE__, "a frame changed");
    }
    return below + frame[0];
}

/* Runs on a small stack. */
static void on_small(int me)
{
    volatile char here;

    CHECK(within((char *)&here, page.small[me].stack, SMALL));
    for (uint64_t i = 0; i < 200; i++) {
        CHECK(deep(DEPTH, i) == (DEPTH + 1) * i + DEPTH * (DEPTH + 1) / 2);
    }
}

static void run_on_small(int me)
{
    ucontext_t *context = &small_context[me];

    CHECK(getcontext(context) == 0);
    context->uc_stack = (stack_t){.ss_sp = page.small[me].stack, .ss_size = SMALL};
    context->uc_link = &thread_context[me];
    makecontext(context, (void (*)(void))on_small, 1, me);
    CHECK(swapcontext(&thread_context[me], context) == 0);
}

static void *runs(int me)
{
    stack_t set = {.ss_sp = alternate[me].stack, .ss_size = ALTERNATE};

    my_index = me;
    CHECK(sigaltstack(&set, NULL) == 0);
    /* A signal must not come to a thread that has no alternate stack yet. */
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) != SPLIT_HALF) {
        sched_yield();
    }
    split_warm(&page.small[me].count[me]);
    for (int i = 1; i <= ROUNDS; i++) {
        run_on_small(me);
        /* The next one's signal, from another node; one is on its way at a time. */
        int to = (me + 1) % SPLIT_HALF;
        atomic_fetch_add(&sent[to], 1);
        CHECK(pthread_kill(threads[to], SIGUSR1) == 0);
        while (atomic_load(&handled[to]) != atomic_load(&sent[to])) {
            run_on_small(me);
        }
    }
    /* My stacks are in use until the last signal to me has been handled. */
    while (atomic_load(&handled[me]) != ROUNDS) {
        sched_yield();
    }
    set.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&set, NULL) == 0);
    atomic_fetch_add(&split_done, 1);
    return NULL;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t n = 0;

    if (me < SPLIT_HALF) {
        return runs(me);
    }
    while (!split_over()) {
        uint64_t next = n;
        for (int k = 0; k < SPLIT_HALF; k++) {
            next = split_steps(&page.small[k].count[me], n);
            CHECK(split_steps(&alternate[k].count[me], n) == next);
        }
        n = next;
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    guest_handler(SIGUSR1, on_signal, SA_ONSTACK | SA_RESTART);
    guest_start(threads, SPLIT_THREADS, worker);
    guest_join(threads, SPLIT_THREADS);
    for (int k = 0; k < SPLIT_HALF; k++) {
        CHECK(handled[k] == ROUNDS);
        CHECK(alternate[k].count[k] == ROUNDS * SPLIT_STEPS);
    }
    printf("split_stacks: %d signals to each of %d threads\n", ROUNDS, SPLIT_HALF);
    return 0;
}
