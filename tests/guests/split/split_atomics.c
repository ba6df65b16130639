/*
 * Atomics in pages whose other words are written by others: with one instruction (LSE) and with
 * exclusive loads and stores (LL/SC), on words of one thread, where no update may be lost to a
 * neighbour's, and on words that all share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
/* cflags aarch64: -march=armv8.1-a+lse */
#include "split.h"

#ifndef __ARM_FEATURE_ATOMICS
#error "meant to be built with the atomics extension"
#endif

enum { ROUNDS = 6000 };

struct pair {
    uint64_t low, high;
} __attribute__((aligned(16)));

struct words {
    struct pair by_cas, by_llsc;
    uint64_t add, cas, swapped, dropped, llsc64, bits;
    uint32_t llsc32, cas32;
    uint16_t add16, llsc16, cas16;
    uint8_t add8, llsc8, cas8;
};

static OWN_PAGE struct {
    struct words shared;
    struct words own[SPLIT_THREADS];
    volatile uint64_t count[SPLIT_THREADS]; /* written without atomics */
} page;

/* low counts up, high counts down. What is read first may be torn; then the compare fails. */
static void pair_by_cas(struct pair *p)
{
    register uint64_t old_low __asm__("x0") = __atomic_load_n(&p->low, __ATOMIC_RELAXED);
    register uint64_t old_high __asm__("x1") = __atomic_load_n(&p->high, __ATOMIC_RELAXED);

    for (;;) {
        uint64_t want_low = old_low, want_high = old_high;
        register uint64_t new_low __asm__("x2") = old_low + 1;
        register uint64_t new_high __asm__("x3") = old_high - 1;
        __asm__ volatile("caspal %0, %1, %2, %3, [%4]"
                         : "+r"(old_low), "+r"(old_high)
                         : "r"(new_low), "r"(new_high), "r"(p)
                         : "memory");
        if (old_low == want_low && old_high == want_high) {
            return;
        }
    }
}

static void pair_by_llsc(struct pair *p)
{
    uint64_t low, high;
    uint32_t failed;

    do {
        __asm__ volatile("ldaxp %0, %1, [%3]\n\t"
                         "add %0, %0, #1\n\t"
                         "sub %1, %1, #1\n\t"
                         "stlxp %w2, %0, %1, [%3]"
                         : "=&r"(low), "=&r"(high), "=&r"(failed)
                         : "r"(p)
                         : "memory");
    } while (failed);
}

/* Adds 1 with an exclusive load and store; SIZE is what their names end with. */
#define LLSC(name, type, size, register)                                                           \
    static void name(type *at)                                                                     \
    {                                                                                              \
        uint64_t value;                                                                            \
        uint32_t failed;                                                                           \
        do {                                                                                       \
            __asm__ volatile("ldxr" size " %" register "0, [%2]\n\t"                               \
                                                       "add %0, %0, #1\n\t"                        \
                                                       "stxr" size " %w1, %" register "0, [%2]"    \
                             : "=&r"(value), "=&r"(failed)                                         \
                             : "r"(at)                                                             \
                             : "memory");                                                          \
        } while (failed);                                                                          \
    }
LLSC(llsc8, uint8_t, "b", "w")
LLSC(llsc16, uint16_t, "h", "w")
LLSC(llsc32, uint32_t, "", "w")
LLSC(llsc64, uint64_t, "", "")

#define CAS(type, at)                                                                              \
    do {                                                                                           \
        type old_ = __atomic_load_n(at, __ATOMIC_RELAXED);                                         \
        while (!__atomic_compare_exchange_n(at, &old_, old_ + 1, false, __ATOMIC_ACQ_REL,          \
                                            __ATOMIC_RELAXED)) {                                   \
        }                                                                                          \
    } while (0)

static void update(struct words *w, uint64_t token)
{
    __atomic_fetch_add(&w->add, 7, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&w->add16, 3, __ATOMIC_ACQ_REL);
    __atomic_fetch_sub(&w->add8, 1, __ATOMIC_RELAXED);
    __atomic_fetch_xor(&w->bits, token, __ATOMIC_SEQ_CST);
    /* Each token goes in once and comes out once. */
    uint64_t out = __atomic_exchange_n(&w->swapped, token, __ATOMIC_ACQ_REL);
    __atomic_fetch_add(&w->dropped, out, __ATOMIC_RELAXED);
    CAS(uint64_t, &w->cas);
    CAS(uint32_t, &w->cas32);
    CAS(uint16_t, &w->cas16);
    CAS(uint8_t, &w->cas8);
    llsc8(&w->llsc8);
    llsc16(&w->llsc16);
    llsc32(&w->llsc32);
    llsc64(&w->llsc64);
    pair_by_cas(&w->by_cas);
    pair_by_llsc(&w->by_llsc);
}

/* After tokens FROM to TO. */
static void check(const struct words *w, uint64_t from, uint64_t to)
{
    uint64_t n = to - from + 1, bits = 0;

    for (uint64_t token = from; token <= to; token++) {
        bits ^= token;
    }
    CHECK(w->add == 7 * n && w->add16 == (uint16_t)(3 * n) && w->add8 == (uint8_t)-n);
    CHECK(w->bits == bits);
    CHECK(w->dropped + w->swapped == n * (from + to) / 2);
    CHECK(w->cas == n && w->cas32 == (uint32_t)n);
    CHECK(w->cas16 == (uint16_t)n && w->cas8 == (uint8_t)n);
    CHECK(w->llsc64 == n && w->llsc32 == (uint32_t)n);
    CHECK(w->llsc16 == (uint16_t)n && w->llsc8 == (uint8_t)n);
    CHECK(w->by_cas.low == n && w->by_cas.high == -n);
    CHECK(w->by_llsc.low == n && w->by_llsc.high == -n);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t from = me * ROUNDS + 1;

    split_warm(&page.count[me]);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        update(&page.own[me], from + i);
        page.count[me]++;
        if (i % 4 == 0) {
            update(&page.shared, from / 4 + i / 4 + 1);
        }
    }
    return NULL;
}

int main(void)
{
    guest_run(SPLIT_THREADS, worker);
    for (int t = 0; t < SPLIT_THREADS; t++) {
        check(&page.own[t], t * ROUNDS + 1, (t + 1) * ROUNDS);
        CHECK(page.count[t] == ROUNDS);
    }
    check(&page.shared, 1, SPLIT_THREADS * ROUNDS / 4);
    printf("split_atomics: %d updates of each kind by each of %d threads\n", ROUNDS, SPLIT_THREADS);
    return 0;
}
