/*
 * Space in a ring: nothing is given out twice, everything comes back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "proto/ring.h"

#define SIZE 4096u

static void test_fills_and_empties(void)
{
    struct dq_ring r;
    uint64_t at, mark;

    dq_ring_init(&r, SIZE);
    g_assert_false(dq_ring_take(&r, SIZE + 1, &at));
    for (unsigned i = 0; i < SIZE / 128; i++) {
        g_assert_true(dq_ring_take(&r, 128, &at));
        g_assert_cmpuint(at, ==, i * 128);
    }
    mark = dq_ring_mark(&r);
    g_assert_false(dq_ring_take(&r, 1, &at));
    g_assert_false(dq_ring_extend(&r, 1));
    dq_ring_release(&r, mark);
    g_assert_true(dq_ring_take(&r, SIZE, &at));
    g_assert_cmpuint(at, ==, 0);
}

static void test_skips_the_end(void)
{
    struct dq_ring r;
    uint64_t at, first;

    dq_ring_init(&r, SIZE);
    g_assert_true(dq_ring_take(&r, 2000, &at));
    first = dq_ring_mark(&r);
    g_assert_true(dq_ring_take(&r, 1500, &at));
    g_assert_cmpuint(at, ==, 2048);
    /* 548 bytes are left at the end, and nothing before the first one is gone. */
    g_assert_false(dq_ring_take(&r, 600, &at));
    dq_ring_release(&r, first);
    g_assert_true(dq_ring_take(&r, 600, &at));
    g_assert_cmpuint(at, ==, 0);
    g_assert_false(dq_ring_extend(&r, 1500));
    g_assert_true(dq_ring_extend(&r, 1400));
}

static void test_untaken_leaves_no_trace(void)
{
    struct dq_ring r, before;
    uint64_t at;

    dq_ring_init(&r, SIZE);
    g_assert_true(dq_ring_take(&r, 3000, &at));
    dq_ring_release(&r, dq_ring_mark(&r));
    before = r;
    g_assert_true(dq_ring_take(&r, 2000, &at)); /* behind the end of the ring */
    g_assert_true(dq_ring_extend(&r, 500));
    dq_ring_untake(&r);
    g_assert_cmpuint(r.head, ==, before.head);
    g_assert_cmpuint(r.tail, ==, before.tail);
    g_assert_true(dq_ring_take(&r, 1000, &at));
    g_assert_cmpuint(at, ==, 3008);
}

struct piece {
    uint64_t at, length, mark;
};

/* Against a map of the bytes. */
static void test_random(void)
{
    struct dq_ring r;
    static uint8_t owner[SIZE];
    GQueue taken = G_QUEUE_INIT;

    dq_ring_init(&r, SIZE);
    for (unsigned i = 0; i < 200000; i++) {
        struct piece *newest = g_queue_peek_tail(&taken);
        unsigned what = (unsigned)g_test_rand_int_range(0, 8);
        uint64_t length = (uint64_t)g_test_rand_int_range(1, 700), at;

        if (what < 4 && dq_ring_take(&r, length, &at)) {
            g_assert_cmpuint(at % DQ_RING_ALIGN, ==, 0);
            g_assert_cmpuint(at + length, <=, SIZE);
            struct piece p = {at, length, dq_ring_mark(&r)};
            g_queue_push_tail(&taken, g_memdup2(&p, sizeof(p)));
            for (uint64_t k = 0; k < length; k++) {
                g_assert_cmpuint(owner[at + k]++, ==, 0);
            }
        } else if (what < 6 && newest && dq_ring_extend(&r, length)) {
            g_assert_cmpuint(newest->at + newest->length + length, <=, SIZE);
            for (uint64_t k = 0; k < length; k++) {
                g_assert_cmpuint(owner[newest->at + newest->length + k]++, ==, 0);
            }
            newest->length += length;
            newest->mark = dq_ring_mark(&r);
        } else if (what >= 6 && g_queue_get_length(&taken) > 1) {
            /* not the newest: that may still grow */
            struct piece *p = g_queue_pop_head(&taken);
            for (uint64_t k = 0; k < p->length; k++) {
                g_assert_cmpuint(owner[p->at + k]--, ==, 1);
            }
            dq_ring_release(&r, p->mark);
            g_free(p);
        }
    }
    g_queue_clear_full(&taken, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ring/fills-and-empties", test_fills_and_empties);
    g_test_add_func("/ring/skips-the-end", test_skips_the_end);
    g_test_add_func("/ring/untaken-leaves-no-trace", test_untaken_leaves_no_trace);
    g_test_add_func("/ring/random", test_random);
    return g_test_run();
}
