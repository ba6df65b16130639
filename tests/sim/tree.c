/*
 * The tree of what goes to all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/sim/tree.h"

#include <stdint.h>

/* Numbers counted from the root's on, in a circle. */
static uint64_t place_of(int node, int nodes, int root)
{
    return (uint64_t)(node >= root ? node - root : node - root + nodes);
}

static int node_at(uint64_t place, int nodes, int root)
{
    return (int)((place + (uint64_t)root) % (uint64_t)nodes);
}

int tree_parent(int node, int nodes, int root, unsigned fan)
{
    uint64_t place = place_of(node, nodes, root);

    return place ? node_at((place - 1) / fan, nodes, root) : TREE_NOBODY;
}

unsigned tree_children(int node, int nodes, int root, unsigned fan)
{
    uint64_t first = place_of(node, nodes, root) * fan + 1, end = (uint64_t)nodes;

    if (first >= end) {
        return 0;
    }
    return end - first < fan ? (unsigned)(end - first) : fan;
}

int tree_child(int node, int nodes, int root, unsigned fan, unsigned index)
{
    if (index >= tree_children(node, nodes, root, fan)) {
        return TREE_NOBODY;
    }
    return node_at(place_of(node, nodes, root) * fan + 1 + index, nodes, root);
}

unsigned tree_depth(int nodes, unsigned fan)
{
    unsigned depth = 0;

    for (uint64_t place = (uint64_t)nodes - 1; place; place = (place - 1) / fan) {
        depth++;
    }
    return depth;
}
