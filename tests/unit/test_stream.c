/*
 * Streams: when pages are asked for ahead, how far, and when that stops.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "dqemu/stream.h"

#define MOST 32u

/* "first+count*stride!marker" of what is asked for, or "" */
static char *fault(struct dq_streams *s, uint32_t thread, uint64_t page, bool write)
{
    static char text[80];
    struct dq_ahead a;

    text[0] = 0;
    if (dq_streams_fault(s, thread, page, write, &a)) {
        g_snprintf(text, sizeof(text), "%d+%u*%d!%d", (int)a.first, a.count, a.stride,
                   (int)a.marker);
    }
    return text;
}

#define FAULT(s, page, words) g_assert_cmpstr(fault(s, 1, page, false), ==, words)

static void test_grows(void)
{
    struct dq_streams *s = dq_streams_new(MOST);

    FAULT(s, 100, "");
    FAULT(s, 101, "102+4*1!104");
    g_assert_cmpuint(dq_streams_used(s), ==, 0);
    FAULT(s, 104, "106+8*1!110"); /* the marker */
    g_assert_cmpuint(dq_streams_used(s), ==, 4);
    FAULT(s, 108, ""); /* on its way still */
    FAULT(s, 110, "114+16*1!122");
    FAULT(s, 130, "131+32*1!147"); /* outran the window, and one page was here already */
    FAULT(s, 147, "163+32*1!179"); /* no further than that */
    g_assert_cmpuint(dq_streams_used(s), ==, 4 + 8 + 16 + 32);
    g_assert_cmpuint(dq_streams_wasted(s), ==, 0);
    dq_streams_free(s);
}

static void test_backward_and_strided(void)
{
    struct dq_streams *s = dq_streams_new(MOST);

    FAULT(s, 100, "");
    FAULT(s, 99, "98+4*-1!96");
    FAULT(s, 96, "94+8*-1!90");

    FAULT(s, 1000, "");
    FAULT(s, 1003, ""); /* a distance alone is no stream yet */
    FAULT(s, 1006, "1009+4*3!1015");
    FAULT(s, 1015, "1021+8*3!1033");
    /* the first one is still known */
    FAULT(s, 90, "86+16*-1!78");

    FAULT(s, 5000, "");
    FAULT(s, 5005, ""); /* too far */
    FAULT(s, 5010, "");
    FAULT(s, 5015, "");
    dq_streams_free(s);
}

static void test_interleaved(void)
{
    struct dq_streams *s = dq_streams_new(MOST);

    FAULT(s, 100, "");
    FAULT(s, 9000, "");
    FAULT(s, 101, "102+4*1!104");
    FAULT(s, 9001, "9002+4*1!9004");
    FAULT(s, 104, "106+8*1!110");
    FAULT(s, 9004, "9006+8*1!9010");
    /* reading and writing are streams of their own; so are threads */
    g_assert_cmpstr(fault(s, 1, 110, true), ==, "");
    g_assert_cmpstr(fault(s, 2, 110, false), ==, "");
    FAULT(s, 110, "114+16*1!122");
    dq_streams_free(s);
}

static void test_random_asks_for_little(void)
{
    struct dq_streams *s = dq_streams_new(MOST);
    GRand *random = g_rand_new_with_seed(1);
    struct dq_ahead a;
    unsigned asked = 0;

    for (int i = 0; i < 100000; i++) {
        if (dq_streams_fault(s, 1, (uint64_t)g_rand_int_range(random, 0, 10000), false, &a)) {
            asked += a.count;
        }
    }
    g_assert_cmpuint(asked, <, 100000 / 50);
    g_rand_free(random);
    dq_streams_free(s);
}

static void test_waste_asks_for_evidence(void)
{
    struct dq_streams *s = dq_streams_new(MOST);

    FAULT(s, 100, "");
    FAULT(s, 101, "102+4*1!104");
    dq_streams_lost(s, 104); /* somebody else wrote it */
    g_assert_cmpuint(dq_streams_wasted(s), ==, 4);
    FAULT(s, 200, "");
    FAULT(s, 201, "");
    FAULT(s, 202, "");
    FAULT(s, 203, "204+4*1!206");
    /* each window that is used takes away one step of that */
    FAULT(s, 206, "208+8*1!212");
    FAULT(s, 300, "");
    FAULT(s, 301, "");
    FAULT(s, 302, "303+4*1!305");
    dq_streams_free(s);
}

static void test_off(void)
{
    struct dq_streams *s = dq_streams_new(0);

    for (uint64_t p = 100; p < 200; p++) {
        FAULT(s, p, "");
    }
    dq_streams_free(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/grows", test_grows);
    g_test_add_func("/stream/backward-and-strided", test_backward_and_strided);
    g_test_add_func("/stream/interleaved", test_interleaved);
    g_test_add_func("/stream/random", test_random_asks_for_little);
    g_test_add_func("/stream/waste", test_waste_asks_for_evidence);
    g_test_add_func("/stream/off", test_off);
    return g_test_run();
}
