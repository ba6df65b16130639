/*
 * Stacks: the main thread's grows by itself to its limit, large thread stacks are used to their
 * ends from any node, recursion gives the right result, an overflow is a SIGSEGV at the guard on
 * an alternate stack, and variables on one thread's stack are shared with another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <setjmp.h>

#include "guest.h"

enum { THREADS = 4, BIG = 8 << 20 };

static __thread sigjmp_buf back;
static atomic_int overflows;

static long __attribute__((noinline)) deep(int depth)
{
    volatile char frame[1000];

    frame[0] = depth;
    frame[999] = 1;
    return depth == 0 ? 0 : deep(depth - 1) + frame[999] + (frame[0] - (char)depth);
}

static void on_overflow(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGSEGV && info->si_code == SEGV_ACCERR);
    siglongjmp(back, 1);
}

static void *worker(void *arg)
{
    (void)arg;
    CHECK(deep(6000) == 6000);

    stack_t alt = {.ss_sp = malloc(65536), .ss_size = 65536};
    CHECK(alt.ss_sp && sigaltstack(&alt, NULL) == 0);
    if (sigsetjmp(back, 1) == 0) {
        deep(INT_MAX);
        guest_fail(__FILE__, __LINE__, "no overflow");
    }
    atomic_fetch_add(&overflows, 1);
    alt.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&alt, NULL) == 0);
    free(alt.ss_sp);
    return NULL;
}

struct shared {
    pthread_barrier_t gate;
    int values[8];
};

static void *on_mains_stack(void *arg)
{
    struct shared *s = arg;

    for (int i = 0; i < 8; i++) {
        s->values[i] += i * i;
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t attr;

    /* About 4 MiB: the main stack is mapped as it grows, or at once, but either way it is there. */
    CHECK(deep(3500) == 3500);

    struct shared s = {.values = {1, 1, 1, 1, 1, 1, 1, 1}};
    guest_elsewhere(on_mains_stack, &s);
    for (int i = 0; i < 8; i++) {
        CHECK(s.values[i] == 1 + i * i);
    }

    guest_handler(SIGSEGV, on_overflow, SA_ONSTACK);
    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstacksize(&attr, BIG) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], &attr, worker, NULL) == 0);
    }
    guest_join(threads, THREADS);
    printf("stacks: %d overflows caught\n", overflows);
    return 0;
}
