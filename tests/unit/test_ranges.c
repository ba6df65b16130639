/*
 * Sets of pages as ranges: setting, clearing and looking up, by examples and against a plain array.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/ranges.h"
#include "proto/wire.h"

#define PAGES 64u

static void has(const struct dq_ranges *r, uint64_t page, uintptr_t expected)
{
    uintptr_t address = 0;

    g_assert_true(dq_ranges_has(r, page, &address));
    g_assert_cmpuint(address, ==, expected);
}

static void stretch(const struct dq_ranges *r, uint64_t page, bool is, uint64_t from, uint64_t to)
{
    uint64_t first, end;

    g_assert_true(dq_ranges_stretch(r, page, &first, &end) == is);
    g_assert_cmpuint(first, ==, from);
    g_assert_cmpuint(end, ==, to);
}

static void test_parts(void)
{
    struct dq_ranges *r = dq_ranges_new(DQ_PAGE_SIZE);
    uintptr_t unused;

    stretch(r, 7, false, 0, UINT64_MAX);
    dq_ranges_clear(r, 0, UINT64_MAX);
    dq_ranges_set(r, 10, 10, 0x100000);
    has(r, 10, 0x100000);
    has(r, 19, 0x109000);
    g_assert_false(dq_ranges_has(r, 9, &unused));
    g_assert_false(dq_ranges_has(r, 20, &unused));
    /* a part goes, and what is left keeps its addresses */
    dq_ranges_clear(r, 13, 2);
    has(r, 12, 0x102000);
    has(r, 15, 0x105000);
    stretch(r, 13, false, 13, 15);
    stretch(r, 18, true, 15, 20);
    /* other addresses in the middle */
    dq_ranges_set(r, 16, 2, 0x900000);
    has(r, 15, 0x105000);
    has(r, 17, 0x901000);
    has(r, 18, 0x108000);
    stretch(r, 17, true, 16, 18);
    /* over all of it */
    dq_ranges_set(r, 8, 20, 0x200000);
    stretch(r, 12, true, 8, 28);
    has(r, 13, 0x205000);
    dq_ranges_clear(r, 20, UINT64_MAX);
    stretch(r, 30, false, 20, UINT64_MAX);
    dq_ranges_set(r, 5, 0, 0x300000);
    dq_ranges_clear(r, 9, 0);
    stretch(r, 9, true, 8, 20);
    dq_ranges_free(r);
    dq_ranges_free(NULL);
}

static void test_neighbours_join(void)
{
    struct dq_ranges *r = dq_ranges_new(DQ_PAGE_SIZE);

    dq_ranges_set(r, 4, 2, 0x4000);
    dq_ranges_set(r, 8, 2, 0x8000);
    dq_ranges_set(r, 6, 2, 0x6000);
    stretch(r, 5, true, 4, 10);
    dq_ranges_set(r, 10, 2, 0x6000);
    stretch(r, 5, true, 4, 10);
    stretch(r, 11, true, 10, 12);
    dq_ranges_free(r);
}

static void test_one_value(void)
{
    struct dq_ranges *r = dq_ranges_new(0);

    dq_ranges_set(r, 4, 4, 6);
    dq_ranges_set(r, 8, 2, 6);
    stretch(r, 5, true, 4, 10);
    has(r, 9, 6);
    dq_ranges_set(r, 6, 1, 7);
    has(r, 5, 6);
    has(r, 6, 7);
    has(r, 7, 6);
    stretch(r, 9, true, 7, 10);
    dq_ranges_set(r, 6, 1, 6);
    stretch(r, 9, true, 4, 10);
    dq_ranges_free(r);
}

static void test_random(void)
{
    struct dq_ranges *r = dq_ranges_new(DQ_PAGE_SIZE);
    GRand *random = g_rand_new_with_seed(1);
    uintptr_t model[PAGES] = {0};

    for (int step = 0; step < 20000; step++) {
        uint64_t page = (uint64_t)g_rand_int_range(random, 0, PAGES);
        uint64_t count = (uint64_t)g_rand_int_range(random, 0, (int)(PAGES - page) + 1);
        bool set = g_rand_boolean(random);
        uintptr_t address = (uintptr_t)g_rand_int_range(random, 1, 1000) << DQ_PAGE_BITS;

        if (set) {
            dq_ranges_set(r, page, count, address);
        } else {
            dq_ranges_clear(r, page, count);
        }
        for (uint64_t i = 0; i < count; i++) {
            model[page + i] = set ? address + (i << DQ_PAGE_BITS) : 0;
        }
        for (uint64_t p = 0; p < PAGES; p++) {
            uintptr_t found = 0;
            uint64_t first, end;
            bool is = dq_ranges_stretch(r, p, &first, &end);

            g_assert_true(dq_ranges_has(r, p, &found) == is);
            g_assert_cmpuint(found, ==, model[p]);
            g_assert_true(first <= p && p < end);
            for (uint64_t q = first; q < MIN(end, PAGES); q++) {
                g_assert_true((model[q] != 0) == is);
            }
        }
    }
    g_rand_free(random);
    dq_ranges_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ranges/parts", test_parts);
    g_test_add_func("/ranges/neighbours", test_neighbours_join);
    g_test_add_func("/ranges/one-value", test_one_value);
    g_test_add_func("/ranges/random", test_random);
    return g_test_run();
}
