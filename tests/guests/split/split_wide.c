/*
 * Loads and stores that are wider than a word: pairs, vectors, pairs of vectors, structures of
 * vectors, single elements, with and without order; in blocks of one thread each, at offsets that
 * cross from one lane to the next, and in 16 bytes each with neighbours close by.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
/* cflags aarch64: -march=armv8.3-a */
#include "split.h"

enum { ROUNDS = 60, BLOCK = 256, OFFSETS = BLOCK - 64 };

/* Thread t's block is in part t; each part also has words and 16 bytes of every thread's. */
static OWN_PAGE struct {
    struct {
        volatile uint64_t count[8];
        unsigned char block[BLOCK];
        volatile uint64_t more[8];
        unsigned char beside[SPLIT_THREADS][16];
    } part[SPLIT_THREADS];
} page;

typedef unsigned char bytes64[64];

/* A load fills registers from SRC, a store takes them to AT. */
#define VIA_REGISTERS(name, load, store)                                                           \
    static void name(unsigned char *at, const unsigned char *src)                                  \
    {                                                                                              \
        __asm__ volatile(load "\n\t" store                                                         \
                         :                                                                         \
                         : "r"(at), "r"(src)                                                       \
                         : "memory", "x8", "x9", "x10", "x11", "v0", "v1", "v2", "v3");            \
    }

VIA_REGISTERS(x_pair, "ldp x8, x9, [%1]", "stp x8, x9, [%0]")
VIA_REGISTERS(w_pair, "ldp w8, w9, [%1]", "stp w8, w9, [%0]")
VIA_REGISTERS(x_pair_hint, "ldnp x8, x9, [%1]", "stnp x8, x9, [%0]")
VIA_REGISTERS(q_single, "ldr q0, [%1]", "str q0, [%0]")
VIA_REGISTERS(d_single, "ldr d0, [%1]", "str d0, [%0]")
VIA_REGISTERS(s_single, "ldr s0, [%1]", "str s0, [%0]")
VIA_REGISTERS(h_single, "ldr h0, [%1]", "str h0, [%0]")
VIA_REGISTERS(b_single, "ldr b0, [%1]", "str b0, [%0]")
VIA_REGISTERS(q_pair, "ldp q0, q1, [%1]", "stp q0, q1, [%0]")
VIA_REGISTERS(d_pair, "ldp d0, d1, [%1]", "stp d0, d1, [%0]")
VIA_REGISTERS(q_pair_hint, "ldnp q0, q1, [%1]", "stnp q0, q1, [%0]")
VIA_REGISTERS(ld1_1, "ld1 {v0.16b}, [%1]", "st1 {v0.16b}, [%0]")
VIA_REGISTERS(ld1_2, "ld1 {v0.2d, v1.2d}, [%1]", "st1 {v0.2d, v1.2d}, [%0]")
VIA_REGISTERS(ld1_4, "ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [%1]",
              "st1 {v0.4s, v1.4s, v2.4s, v3.4s}, [%0]")
VIA_REGISTERS(ld2, "ld2 {v0.8h, v1.8h}, [%1]", "st2 {v0.8h, v1.8h}, [%0]")
VIA_REGISTERS(ld3, "ld3 {v0.16b, v1.16b, v2.16b}, [%1]", "st3 {v0.16b, v1.16b, v2.16b}, [%0]")
VIA_REGISTERS(ld4, "ld4 {v0.4s, v1.4s, v2.4s, v3.4s}, [%1]",
              "st4 {v0.4s, v1.4s, v2.4s, v3.4s}, [%0]")
VIA_REGISTERS(ld4_d, "ld4 {v0.2d, v1.2d, v2.2d, v3.2d}, [%1]",
              "st4 {v0.2d, v1.2d, v2.2d, v3.2d}, [%0]")
VIA_REGISTERS(element, "ld1 {v0.d}[1], [%1]", "st1 {v0.d}[1], [%0]")
VIA_REGISTERS(elements, "ld4 {v0.s, v1.s, v2.s, v3.s}[2], [%1]",
              "st4 {v0.s, v1.s, v2.s, v3.s}[2], [%0]")
VIA_REGISTERS(repeated, "ld1r {v0.2d}, [%1]", "st1 {v0.d}[1], [%0]")
VIA_REGISTERS(indexed, "mov x10, %1\n\tldp x8, x9, [x10], #16",
              "add x11, %0, #32\n\tstp x8, x9, [x11, #-32]!")
VIA_REGISTERS(ordered, "ldar x8, [%1]", "stlr x8, [%0]")
VIA_REGISTERS(ordered_pc, "ldapr x8, [%1]", "stlr x8, [%0]")
VIA_REGISTERS(prefetched, "prfm pldl1keep, [%1]\n\tldr x8, [%1]",
              "prfm pstl1keep, [%0]\n\tstr x8, [%0]")

static const struct {
    void (*copy)(unsigned char *at, const unsigned char *src);
    int size, step; /* offsets are multiples of step; those not of size cross lanes */
} kinds[] = {
    {x_pair, 16, 8},    {w_pair, 8, 4},   {x_pair_hint, 16, 8}, {q_single, 16, 8},
    {d_single, 8, 8},   {s_single, 4, 4}, {h_single, 2, 2},     {b_single, 1, 1},
    {q_pair, 32, 16},   {d_pair, 16, 8},  {q_pair_hint, 32, 8}, {ld1_1, 16, 8},
    {ld1_2, 32, 8},     {ld1_4, 64, 4},   {ld2, 32, 2},         {ld3, 48, 1},
    {ld4, 64, 4},       {ld4_d, 64, 8},   {element, 8, 8},      {elements, 16, 4},
    {repeated, 8, 8},   {indexed, 16, 8}, {ordered, 8, 8},      {ordered_pc, 8, 8},
    {prefetched, 8, 8},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Into the shared page and out of it; what lies around stays as it is. */
static void through(int k, unsigned char *block, int offset, uint64_t *seed)
{
    unsigned char from[64], to[64], want[BLOCK];
    int size = kinds[k].size;

    for (int i = 0; i < size; i++) {
        from[i] = guest_random(seed);
    }
    memcpy(want, block, BLOCK);
    memcpy(want + offset, from, size);
    kinds[k].copy(block + offset, from);
    CHECK(memcmp(block, want, BLOCK) == 0);
    kinds[k].copy(to, block + offset);
    CHECK(memcmp(to, from, size) == 0);
}

/* 16 bytes of mine in each part, between those of the others. */
static void beside(int me, uint64_t n)
{
    for (int t = 0; t < SPLIT_THREADS; t++) {
        unsigned char *mine = page.part[t].beside[me];
        uint64_t in[2] = {n * 3 + t, ~n}, out[2];

        if (n % 2) {
            x_pair(mine, (unsigned char *)in);
            q_single((unsigned char *)out, mine);
        } else {
            ld1_1(mine, (unsigned char *)in);
            x_pair((unsigned char *)out, mine);
        }
        CHECK(memcmp(in, out, 16) == 0);
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t seed = me + 1;

    split_warm(&page.part[me].count[0]);
    for (uint64_t n = 1; n <= ROUNDS; n++) {
        for (int k = 0; k < KINDS; k++) {
            int offset = guest_random(&seed) % (OFFSETS / kinds[k].step) * kinds[k].step;
            through(k, page.part[me].block, offset, &seed);
            page.part[(me + k) % SPLIT_THREADS].more[me] = n;
        }
        beside(me, n);
    }
    return NULL;
}

int main(void)
{
    guest_run(SPLIT_THREADS, worker);
    for (int p = 0; p < SPLIT_THREADS; p++) {
        for (int t = 0; t < SPLIT_THREADS; t++) {
            uint64_t want[2] = {ROUNDS * 3 + p, ~(uint64_t)ROUNDS};
            CHECK(memcmp(page.part[p].beside[t], want, 16) == 0);
            CHECK(page.part[p].more[t] == ROUNDS);
        }
    }
    printf("split_wide: %d kinds\n", KINDS);
    return 0;
}
