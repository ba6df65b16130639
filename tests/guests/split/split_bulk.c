/*
 * Instructions and functions that write or copy many bytes at once, in parts of a shared page that
 * belong to one thread each: DC ZVA, the set and copy instructions, and those of the C library.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include <sys/auxv.h>

#include "split.h"

#ifndef HWCAP2_MOPS
#define HWCAP2_MOPS (1ul << 43)
#endif

/* The part of each thread holds the largest block that DC ZVA may have in a page of eight. */
enum { ROUNDS = 40, PART = GUEST_PAGE / SPLIT_THREADS, PAGES = 2 };

static OWN_PAGE unsigned char pages[PAGES][SPLIT_THREADS][PART];
static OWN_PAGE volatile uint64_t words[SPLIT_THREADS][SPLIT_THREADS];
static size_t zva_size;
static bool mops;

static void find_features(void)
{
    uint64_t dczid;

    __asm__("mrs %0, dczid_el0" : "=r"(dczid));
    zva_size = dczid & 0x10 ? 0 : 4u << (dczid & 0xf);
    mops = getauxval(AT_HWCAP2) & HWCAP2_MOPS;
}

static void expect(const unsigned char *at, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK(at[i] == byte);
    }
}

/* One block of my part is zeroed; what is before and behind it stays. */
static void zero_block(unsigned char *part, uint32_t random)
{
    if (zva_size == 0 || zva_size > PART) {
        return;
    }
    size_t start = random % (PART / zva_size) * zva_size, end = start + zva_size;

    memset(part, 0x5a, PART);
    /* Any address in the block will do. */
    __asm__ volatile("dc zva, %0" : : "r"(part + start + random % zva_size) : "memory");
    expect(part, 0x5a, start);
    expect(part + start, 0, zva_size);
    expect(part + end, 0x5a, PART - end);
}

static void set_bytes(unsigned char *at, int byte, size_t n)
{
    __asm__ volatile(".arch armv8.6-a+mops\n\t"
                     "setp [%0]!, %1!, %2\n\t"
                     "setm [%0]!, %1!, %2\n\t"
                     "sete [%0]!, %1!, %2"
                     : "+&r"(at), "+&r"(n)
                     : "r"((uint64_t)byte)
                     : "memory", "cc");
}

static void copy_bytes(unsigned char *to, const unsigned char *from, size_t n)
{
    __asm__ volatile(".arch armv8.6-a+mops\n\t"
                     "cpyp [%0]!, [%1]!, %2!\n\t"
                     "cpym [%0]!, [%1]!, %2!\n\t"
                     "cpye [%0]!, [%1]!, %2!"
                     : "+&r"(to), "+&r"(from), "+&r"(n)
                     :
                     : "memory", "cc");
}

/* Bytes START to END of my part, set and copied from the first page's part to the second's. */
static void by_instructions(unsigned char *one, unsigned char *two, size_t start, size_t end)
{
    if (!mops) {
        return;
    }
    memset(one, 1, PART);
    memset(two, 2, PART);
    set_bytes(one + start, 3, end - start);
    expect(one, 1, start);
    expect(one + start, 3, end - start);
    expect(one + end, 1, PART - end);
    copy_bytes(two + start, one + start, end - start);
    expect(two, 2, start);
    expect(two + start, 3, end - start);
    expect(two + end, 2, PART - end);
    /* Within itself, both ways. */
    for (size_t i = 0; i < PART; i++) {
        one[i] = i;
    }
    copy_bytes(one + start / 2, one + start, PART - end);
    for (size_t i = 0; i < PART - end; i++) {
        CHECK(one[start / 2 + i] == (unsigned char)(start + i));
    }
}

static void by_functions(unsigned char *one, unsigned char *two, size_t start, size_t end)
{
    for (size_t i = 0; i < PART; i++) {
        one[i] = i * 7;
    }
    memset(two, 0, PART);
    memcpy(two + start, one + start, end - start);
    CHECK(memcmp(two + start, one + start, end - start) == 0);
    expect(two, 0, start);
    expect(two + end, 0, PART - end);
    memmove(one + 1, one, PART - 1);
    for (size_t i = 1; i < PART; i++) {
        CHECK(one[i] == (unsigned char)((i - 1) * 7));
    }
    memset(one, 'a', PART);
    one[end] = 0;
    CHECK(strlen((char *)one + start) == end - start);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t seed = me + 1;

    split_warm((volatile uint64_t *)pages[0][me]);
    for (uint64_t n = 1; n <= ROUNDS; n++) {
        size_t start = guest_random(&seed) % (PART / 2);
        size_t end = start + guest_random(&seed) % (PART / 2 - 1) + 1;

        zero_block(pages[n % PAGES][me], guest_random(&seed));
        by_instructions(pages[0][me], pages[1][me], start, end);
        by_functions(pages[1][me], pages[0][me], start, end);
        for (int t = 0; t < SPLIT_THREADS; t++) {
            words[t][me] = n;
        }
    }
    memset(pages[0][me], me, PART);
    memset(pages[1][me], ~me, PART);
    return NULL;
}

int main(void)
{
    find_features();
    guest_run(SPLIT_THREADS, worker);
    for (int t = 0; t < SPLIT_THREADS; t++) {
        expect(pages[0][t], t, PART);
        expect(pages[1][t], (unsigned char)~t, PART);
        for (int i = 0; i < SPLIT_THREADS; i++) {
            CHECK(words[i][t] == ROUNDS);
        }
    }
    printf("split_bulk: %d rounds\n", ROUNDS);
    return 0;
}
