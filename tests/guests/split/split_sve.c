/*
 * Scalable vectors in shared pages: contiguous loads and stores, in part and in full, structures,
 * loads that stop at the first fault, and gathers and scatters whose elements lie between the words
 * of other threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
/* cflags aarch64: -march=armv8.2-a+sve */
#include <arm_sve.h>

#include "split.h"

/* A vector has at most 256 bytes, so a structure of two fits the part of a thread. */
enum { ROUNDS = 20, PART = GUEST_PAGE / SPLIT_THREADS, WORDS = GUEST_PAGE / 8, PAGES = 2 };

static OWN_PAGE unsigned char parts[SPLIT_THREADS][PART];
/* Word i of these belongs to thread i % SPLIT_THREADS. */
static OWN_PAGE uint64_t words[PAGES * WORDS];
static OWN_PAGE uint32_t halves[PAGES * WORDS * 2];

/* Nothing read before is taken for what memory holds now. */
static void forget(void)
{
    __asm__ volatile("" : : : "memory");
}

static void contiguous(unsigned char *part, uint64_t *seed)
{
    int length = svcntb();
    int offset = guest_random(seed) % (PART - length + 1), count = guest_random(seed) % length;
    unsigned char value = guest_random(seed);

    memset(part, ~value, PART);
    svst1(svwhilelt_b8(0, count), part + offset, svdup_u8(value));
    forget();
    for (int i = 0; i < PART; i++) {
        bool written = i >= offset && i < offset + count;
        CHECK(part[i] == (unsigned char)(written ? value : ~value));
    }
    svst1(svptrue_b8(), part + offset, svindex_u8(value, 1));
    forget();
    svuint8_t back = svld1(svptrue_b8(), part + offset);
    CHECK(!svptest_any(svptrue_b8(), svcmpne(svptrue_b8(), back, svindex_u8(value, 1))));
}

static void structures(unsigned char *part, uint64_t *seed)
{
    uint32_t value = guest_random(seed), *at = (uint32_t *)part;
    int n = svcntw();
    svbool_t all = svptrue_b32();

    svst2(all, at, svcreate2(svindex_u32(value, 1), svindex_u32(~value, 2)));
    forget();
    for (int i = 0; i < n; i++) {
        CHECK(at[2 * i] == value + i && at[2 * i + 1] == ~value + 2 * i);
    }
    svuint32x2_t both = svld2(all, at);
    CHECK(!svptest_any(all, svcmpne(all, svget2(both, 0), svindex_u32(value, 1))));
    CHECK(!svptest_any(all, svcmpne(all, svget2(both, 1), svindex_u32(~value, 2))));
}

/* At least the first element is there; those that are have what memory holds. */
static void first_fault(const unsigned char *part, uint64_t *seed)
{
    int offset = guest_random(seed) % (PART - svcntb() + 1);
    svbool_t all = svptrue_b8();

    svsetffr();
    svuint8_t got = svldff1(all, part + offset);
    svbool_t there = svrdffr();
    unsigned char out[256];
    int n = svcntp_b8(all, there);

    CHECK(n >= 1);
    svst1(there, out, got);
    CHECK(memcmp(out, part + offset, n) == 0);
}

/* All my words of both pages, one vector after the other. */
static void scattered(int me, uint64_t n)
{
    for (int i = me; i < PAGES * WORDS; i += SPLIT_THREADS * svcntd()) {
        svbool_t valid = svwhilelt_b64(i, PAGES * WORDS);
        svuint64_t index = svindex_u64(0, SPLIT_THREADS);
        svbool_t inside = svcmplt(valid, index, PAGES * WORDS - i);
        svuint64_t old = svld1_gather_index(inside, words + i, index);

        CHECK(!svptest_any(inside, svcmpne(inside, old, n - 1)));
        svst1_scatter_index(inside, words + i, index, svdup_u64(n));
    }
    for (int i = me; i < PAGES * WORDS * 2; i += SPLIT_THREADS * svcntw()) {
        svbool_t valid = svwhilelt_b32(i, PAGES * WORDS * 2);
        svuint32_t index = svindex_u32(0, SPLIT_THREADS);
        svbool_t inside = svcmplt(valid, index, PAGES * WORDS * 2 - i);
        svuint32_t old = svld1_gather_index(inside, halves + i, index);

        CHECK(!svptest_any(inside, svcmpne(inside, old, n - 1)));
        svst1_scatter_index(inside, halves + i, index, svdup_u32(n));
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t seed = me + 1;

    split_warm((volatile uint64_t *)parts[me]);
    for (uint64_t n = 1; n <= ROUNDS; n++) {
        contiguous(parts[me], &seed);
        first_fault(parts[me], &seed);
        structures(parts[me], &seed);
        scattered(me, n);
    }
    memset(parts[me], me, PART);
    return NULL;
}

int main(void)
{
    guest_run(SPLIT_THREADS, worker);
    for (int i = 0; i < PAGES * WORDS; i++) {
        CHECK(words[i] == ROUNDS && halves[2 * i] == ROUNDS && halves[2 * i + 1] == ROUNDS);
    }
    for (int i = 0; i < SPLIT_THREADS * PART; i++) {
        CHECK(parts[i / PART][i % PART] == i / PART);
    }
    printf("split_sve: %d rounds\n", ROUNDS);
    return 0;
}
