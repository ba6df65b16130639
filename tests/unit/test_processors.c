/*
 * The guest's processors: counted over hosts that nodes share or have alone, masks that are cut to what
 * exists, the nodes that a mask means, shares, and a /proc/cpuinfo made longer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/processors.h"

/* Hosts with 2, 66 and 4 processors; the second has two nodes. */
static const struct dq_config cfg = {
    .nodes = 4,
    .processors = {{0, 2}, {2, 66}, {2, 66}, {68, 4}},
};
static const struct dq_config one_machine = {.nodes = 4};

static void test_count(void)
{
    g_assert_cmpint(dq_processors_count(&cfg), ==, 72);
    g_assert_cmpuint(dq_processors_words(&cfg), ==, 2);
    g_assert_cmpint(dq_processors_count(&one_machine), ==, 0);
}

static void test_filter(void)
{
    unsigned long out[2], all[] = {~0ul, ~0ul, ~0ul}, none[] = {0, 1ul << 8}, some[] = {5, 128};

    g_assert_true(dq_processors_filter(&cfg, all, 3, out));
    g_assert_cmphex(out[0], ==, ~0ul);
    g_assert_cmphex(out[1], ==, 0xff);
    g_assert_false(dq_processors_filter(&cfg, none, 2, out));
    g_assert_false(dq_processors_filter(&cfg, all, 0, out));
    g_assert_true(dq_processors_filter(&cfg, some, 2, out));
    g_assert_cmphex(out[0], ==, 5);
    g_assert_cmphex(out[1], ==, 128);
    g_assert_true(dq_processors_filter(&cfg, some, 1, out)); /* the rest is not given */
    g_assert_cmphex(out[1], ==, 0);
}

static void test_nodes(void)
{
    unsigned long first[] = {2, 0}, shared[] = {4, 0}, last[] = {0, 128}, two[] = {1, 16},
                  none[2] = {0};

    g_assert_cmphex(dq_processors_nodes(&cfg, first), ==, 1);
    g_assert_cmphex(dq_processors_nodes(&cfg, shared), ==, 6);
    g_assert_cmphex(dq_processors_nodes(&cfg, last), ==, 8);
    g_assert_cmphex(dq_processors_nodes(&cfg, two), ==, 9);
    g_assert_cmphex(dq_processors_nodes(&cfg, none), ==, 0);
}

static void test_of_node(void)
{
    unsigned long mask[] = {1ul << 1 | 1ul << 2 | 1ul << 5, 1ul << 3 | 1ul << 4}, own[2];

    g_assert_true(dq_processors_of_node(&cfg, 0, mask, 2, own, 2));
    g_assert_cmphex(own[0], ==, 2);
    g_assert_true(dq_processors_of_node(&cfg, 2, mask, 2, own, 2));
    g_assert_cmphex(own[0], ==, 1 | 1 << 3);
    g_assert_cmphex(own[1], ==, 2); /* 67, the last of 66 from 2 on */
    g_assert_true(dq_processors_of_node(&cfg, 3, mask, 2, own, 2));
    g_assert_cmphex(own[0], ==, 1);
    g_assert_false(dq_processors_of_node(&cfg, 3, mask, 1, own, 2)); /* the rest is not given */
    g_assert_cmphex(own[0], ==, 0);
}

static void test_shares(void)
{
    static const struct dq_config crowd = {.nodes = 3, .processors = {{0, 2}, {0, 2}, {0, 2}}};
    int share[DQ_MAX_NODES];

    dq_processors_shares(&cfg, share);
    g_assert_cmpint(share[0], ==, 2);
    g_assert_cmpint(share[1], ==, 33);
    g_assert_cmpint(share[2], ==, 33);
    g_assert_cmpint(share[3], ==, 4);
    dq_processors_shares(&crowd, share);
    g_assert_cmpint(share[2], ==, 1);
}

static void check_info(const char *info, int count, const char *wanted)
{
    char *text = dq_processors_info(info, count);
    g_assert_cmpstr(text, ==, wanted);
    g_free(text);
}

static void test_info(void)
{
    check_info(
        "processor\t: 4\nmhz\t: 1\n\nprocessor\t: 9\nmhz\t: 2\n\n", 3,
        "processor\t: 0\nmhz\t: 1\n\nprocessor\t: 1\nmhz\t: 2\n\nprocessor\t: 2\nmhz\t: 1\n\n");
    check_info("processor : 0\n\nHardware : x\n", 2,
               "processor : 0\n\nprocessor : 1\n\nHardware : x\n");
    check_info("vendor: x\n", 2, "vendor: x\n");
    check_info("", 2, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/processors/count", test_count);
    g_test_add_func("/processors/filter", test_filter);
    g_test_add_func("/processors/nodes", test_nodes);
    g_test_add_func("/processors/of_node", test_of_node);
    g_test_add_func("/processors/shares", test_shares);
    g_test_add_func("/processors/info", test_info);
    return g_test_run();
}
