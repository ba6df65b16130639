/*
 * The tree of what goes to all: everybody is told once, and nobody tells too many.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "tests/sim/tree.h"

#define MOST 1100

static const int sizes[] = {1, 2, 3, 4, 16, 17, 18, 64, 256, 273, 274, 1000, 1024, MOST};
static const unsigned fans[] = {1, 2, 3, 16, 64, MOST, G_MAXUINT};

/* Tell everybody below node; how far down the farthest is. */
static unsigned tell(int node, int nodes, int root, unsigned fan, unsigned *told)
{
    unsigned children = tree_children(node, nodes, root, fan), depth = 0;

    g_assert_cmpuint(children, <=, fan);
    g_assert_cmpint(tree_child(node, nodes, root, fan, children), ==, TREE_NOBODY);
    told[node]++;
    for (unsigned i = 0; i < children; i++) {
        int child = tree_child(node, nodes, root, fan, i);
        unsigned below;

        g_assert_cmpint(child, >=, 0);
        g_assert_cmpint(child, <, nodes);
        g_assert_cmpint(tree_parent(child, nodes, root, fan), ==, node);
        below = tell(child, nodes, root, fan, told) + 1;
        depth = MAX(depth, below);
    }
    return depth;
}

static void check_tree(int nodes, int root, unsigned fan)
{
    unsigned told[MOST] = {0}, depth = tell(root, nodes, root, fan, told);

    g_assert_cmpint(tree_parent(root, nodes, root, fan), ==, TREE_NOBODY);
    g_assert_cmpuint(depth, ==, tree_depth(nodes, fan));
    for (int n = 0; n < nodes; n++) {
        g_assert_cmpuint(told[n], ==, 1);
    }
}

static void test_everybody_once(void)
{
    for (unsigned s = 0; s < G_N_ELEMENTS(sizes); s++) {
        for (unsigned f = 0; f < G_N_ELEMENTS(fans); f++) {
            check_tree(sizes[s], 0, fans[f]);
            check_tree(sizes[s], sizes[s] / 2, fans[f]);
            check_tree(sizes[s], sizes[s] - 1, fans[f]);
        }
    }
}

static void test_any_root(void)
{
    for (int root = 0; root < 40; root++) {
        check_tree(40, root, 3);
    }
}

static void test_as_drawn(void)
{
    static const int parents[] = {TREE_NOBODY, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3};

    for (int n = 0; n < 12; n++) {
        g_assert_cmpint(tree_parent(n, 12, 0, 3), ==, parents[n]);
    }
    g_assert_cmpint(tree_child(0, 12, 0, 3, 2), ==, 3);
    g_assert_cmpint(tree_child(3, 12, 0, 3, 1), ==, 11);
    g_assert_cmpuint(tree_children(3, 12, 0, 3), ==, 2);
    g_assert_cmpint(tree_parent(1, 12, 10, 3), ==, 10); /* place 3 */
}

static void test_depth(void)
{
    g_assert_cmpuint(tree_depth(1, 16), ==, 0);
    g_assert_cmpuint(tree_depth(17, 16), ==, 1);
    g_assert_cmpuint(tree_depth(18, 16), ==, 2);
    g_assert_cmpuint(tree_depth(273, 16), ==, 2);
    g_assert_cmpuint(tree_depth(1024, 16), ==, 3);
    g_assert_cmpuint(tree_depth(1024, 1023), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tree/everybody-once", test_everybody_once);
    g_test_add_func("/tree/any-root", test_any_root);
    g_test_add_func("/tree/as-drawn", test_as_drawn);
    g_test_add_func("/tree/depth", test_depth);
    return g_test_run();
}
