/*
 * The body of the two atomics guests, which differ in the instructions that the compiler uses:
 * every size and kind of read-modify-write, contended from several nodes, loses no update.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum { THREADS = 6, ROUNDS = 150 };

/* All on one page, the contended case; the wide pair on its own. */
static OWN_PAGE struct {
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t dword;
    uint64_t exchanged, dropped;
    uint64_t cas;
    uint64_t bits_or, bits_xor, bits_and;
    int64_t max;
} shared = {.bits_and = ~0ull};

/* Two words that change together; what has no more is content with 8 bytes. */
#if defined(__arm__) || defined(__riscv)
typedef uint32_t half_pair;
#else
typedef uint64_t half_pair;
#endif
struct pair {
    half_pair low, high;
} __attribute__((aligned(2 * sizeof(half_pair))));
static OWN_PAGE struct pair wide;

/* One step: low counts up, high counts down. */
static void step_wide(struct pair *p)
{
#if defined(__arm__) || defined(__riscv)
    uint64_t *both = (uint64_t *)p, old = __atomic_load_n(both, __ATOMIC_RELAXED), new;
    do {
        new = (uint32_t)(old + 1) | (old - (1ull << 32)) >> 32 << 32;
    } while (
        !__atomic_compare_exchange_n(both, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
#elif defined(__x86_64__)
    uint64_t low = p->low, high = p->high; /* torn, perhaps: see below */
    bool done;
    do {
        __asm__ volatile("lock cmpxchg16b %1"
                         : "=@cce"(done), "+m"(*p), "+a"(low), "+d"(high)
                         : "b"(low + 1), "c"(high - 1)
                         : "memory");
    } while (!done);
#elif defined(__s390x__)
    unsigned __int128 old = (unsigned __int128)p->low << 64 | p->high, was, new;
    do {
        was = old;
        new = (unsigned __int128)(uint64_t)((was >> 64) + 1) << 64 | (uint64_t)(was - 1);
        __asm__ volatile("cdsg %0, %2, %1" : "+d"(old), "+S"(*p) : "d"(new) : "memory", "cc");
    } while (old != was);
#elif defined(__ARM_FEATURE_ATOMICS)
    /* Read halves may be torn; then the compare fails and brings the true value. */
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
#else
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
#endif
}

static void *worker(void *arg)
{
    uint64_t me = (intptr_t)arg;

    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t token = me * ROUNDS + i + 1;

        __atomic_fetch_add(&shared.byte, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&shared.half, 3, __ATOMIC_ACQ_REL);
        __atomic_fetch_sub(&shared.word, 5, __ATOMIC_RELAXED);
        __atomic_add_fetch(&shared.dword, 7, __ATOMIC_RELEASE);
        __atomic_fetch_xor(&shared.bits_xor, token, __ATOMIC_SEQ_CST);
        __atomic_fetch_or(&shared.bits_or, 1ull << (token % 64), __ATOMIC_SEQ_CST);
        __atomic_fetch_and(&shared.bits_and, ~(1ull << (token % 61)), __ATOMIC_SEQ_CST);

        /* Each token goes in once and comes out once. */
        uint64_t out = __atomic_exchange_n(&shared.exchanged, token, __ATOMIC_ACQ_REL);
        __atomic_fetch_add(&shared.dropped, out, __ATOMIC_RELAXED);

        uint64_t old = __atomic_load_n(&shared.cas, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&shared.cas, &old, old + 1, true, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED)) {
        }
        int64_t v = me * ROUNDS + i, seen = __atomic_load_n(&shared.max, __ATOMIC_RELAXED);
        while (v > seen && !__atomic_compare_exchange_n(&shared.max, &seen, v, false,
                                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        step_wide(&wide);
    }
    return NULL;
}

int main(void)
{
    uint64_t n = THREADS * ROUNDS, xored = 0;

    guest_run(THREADS, worker);
    for (uint64_t token = 1; token <= n; token++) {
        xored ^= token;
    }
    CHECK(shared.byte == (uint8_t)n);
    CHECK(shared.half == (uint16_t)(3 * n));
    CHECK(shared.word == (uint32_t)(0 - 5 * n));
    CHECK(shared.dword == 7 * n);
    CHECK(shared.bits_xor == xored);
    CHECK(shared.bits_or == ~0ull);
    CHECK(shared.bits_and == ~0ull << 61);
    CHECK(shared.dropped + shared.exchanged == n * (n + 1) / 2);
    CHECK(shared.cas == n);
    CHECK(shared.max == (int64_t)n - 1);
    CHECK(wide.low == n && wide.high == (half_pair)(0 - n));
    printf("atomics: %llu updates of each kind\n", (unsigned long long)n);
    return 0;
}
