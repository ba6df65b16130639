/*
 * The pages asked for most: found among many others, never counted too high.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/hot.h"

static void test_counts(void)
{
    struct dq_hot_page top[4];

    dq_hot_reset();
    g_assert_cmpuint(dq_hot_top(top, 4), ==, 0);
    dq_hot_asked(7, 3, true);
    g_assert_cmpuint(dq_hot_top(top, 4), ==, 0); /* once is not again and again */
    dq_hot_asked(7, 0, false);
    dq_hot_asked(7, 63, false);
    dq_hot_asked(8, 1, true);
    dq_hot_asked(8, 1, true);
    g_assert_cmpuint(dq_hot_top(top, 4), ==, 2);
    g_assert_cmpuint(top[0].page, ==, 7);
    g_assert_cmpuint(top[0].asked, ==, 3);
    g_assert_cmpuint(top[0].writes, ==, 1);
    g_assert_cmphex(top[0].nodes, ==, UINT64_C(1) << 63 | 1 << 3 | 1);
    g_assert_cmpuint(top[1].page, ==, 8);
    g_assert_cmpuint(top[1].writes, ==, 2);
    g_assert_cmphex(top[1].nodes, ==, 1 << 1);
    g_assert_cmpuint(dq_hot_top(top, 1), ==, 1);
    g_assert_cmpuint(top[0].page, ==, 7);
    dq_hot_reset();
    g_assert_cmpuint(dq_hot_top(top, 4), ==, 0);
}

/* Some pages again and again, and between two of them a page that never comes again. */
static void test_among_many(void)
{
    enum { HOT = 10, ROUNDS = 2000 };
    struct dq_hot_page top[HOT];
    uint64_t cold = 1u << 20;
    bool seen[HOT] = {false};

    dq_hot_reset();
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned h = 0; h < HOT; h++) {
            dq_hot_asked(1000 + 7 * h, (int)h, true);
            dq_hot_asked(cold++, 11, false);
        }
    }
    g_assert_cmpuint(dq_hot_top(top, HOT), ==, HOT);
    for (unsigned i = 0; i < HOT; i++) {
        unsigned h = (unsigned)(top[i].page - 1000) / 7;

        g_assert_cmpuint(h, <, HOT);
        g_assert_cmpuint(top[i].page, ==, 1000 + 7 * h);
        g_assert_false(seen[h]);
        seen[h] = true;
        /* a lower bound, and a good one */
        g_assert_cmpuint(top[i].asked, <=, ROUNDS);
        g_assert_cmpuint(top[i].asked, >, ROUNDS / 10 * 9);
        g_assert_cmphex(top[i].nodes, ==, UINT64_C(1) << h);
        g_assert_true(i == 0 || top[i].asked <= top[i - 1].asked);
    }
    dq_hot_reset();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hot/counts", test_counts);
    g_test_add_func("/hot/among-many", test_among_many);
    return g_test_run();
}
