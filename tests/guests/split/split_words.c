/*
 * Loads and stores of every size, signed and unsigned, whole and floating, of words that belong to
 * one thread each: as neighbours in the same few bytes, and with a lane of its own for each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include "split.h"

enum { PAGES = 3, TIME_MS = 150, SLICE = 20 };

#define EACH_KIND(X)                                                                               \
    X(uint8_t, u8)                                                                                 \
    X(int8_t, s8)                                                                                  \
    X(uint16_t, u16)                                                                               \
    X(int16_t, s16)                                                                                \
    X(uint32_t, u32)                                                                               \
    X(int32_t, s32)                                                                                \
    X(uint64_t, u64)                                                                               \
    X(int64_t, s64)                                                                                \
    X(float, f32)                                                                                  \
    X(double, f64)

/* A float holds whole numbers up to here exactly. */
#define AS(type, n) ((type)((n) % 100000))

static OWN_PAGE struct {
    struct {
#define NEIGHBOURS(type, name) volatile type name[SPLIT_THREADS];
        EACH_KIND(NEIGHBOURS)
    } near;
    struct {
#define ALONE(type, name) volatile type name;
        EACH_KIND(ALONE)
    } far[SPLIT_THREADS] __attribute__((aligned(SPLIT_LANE)));
    volatile uint64_t untouched __attribute__((aligned(GUEST_PAGE / 2)));
} OWN_PAGE pages[PAGES];

static OWN_PAGE int64_t counted[SPLIT_THREADS];

/* Signed ones also go below zero, unsigned ones through their largest value. */
#define STEP(type, name)                                                                           \
    CHECK(pages[p].near.name[me] == AS(type, n));                                                  \
    pages[p].near.name[me] += AS(type, n - 1) - AS(type, n);                                       \
    CHECK(pages[p].far[me].name == AS(type, -n));                                                  \
    pages[p].far[me].name = AS(type, 1 - n);

static void step(int p, int me, int64_t n)
{
    EACH_KIND(STEP)
}

static void check(int p, int me, int64_t n)
{
#define FINAL(type, name)                                                                          \
    CHECK(pages[p].near.name[me] == AS(type, n));                                                  \
    CHECK(pages[p].far[me].name == AS(type, -n));
    EACH_KIND(FINAL)
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    int64_t n = 0, end = guest_now_ns(CLOCK_MONOTONIC) + TIME_MS * 1000000ll;

    while (guest_now_ns(CLOCK_MONOTONIC) < end) {
        for (int p = 0; p < PAGES; p++) {
            for (int i = 0; i < SLICE; i++) {
                step(p, me, n - i);
            }
        }
        n -= SLICE;
    }
    counted[me] = n;
    return NULL;
}

int main(void)
{
    guest_run(SPLIT_THREADS, worker);
    for (int p = 0; p < PAGES; p++) {
        for (int t = 0; t < SPLIT_THREADS; t++) {
            check(p, t, counted[t]);
        }
        CHECK(pages[p].untouched == 0);
    }
    printf("split_words: %d threads, %d pages\n", SPLIT_THREADS, PAGES);
    return 0;
}
