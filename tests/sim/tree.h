/*
 * A tree over the nodes of a run, for what goes to all and is answered by all: a node tells its
 * children, waits for their answers, and then answers its parent once.
 *
 *                     root
 *          /           |          \          fan-out 3: a node's place is its number, counted from
 *         1            2           3         the root's on; the children of place p have the
 *      /  |  \      /  |  \     /  |         places p * 3 + 1 to p * 3 + 3
 *     4   5   6    7   8   9  10  11
 *
 * Every node can compute its own part: nothing is kept, and nothing is agreed upon. With a fan-out
 * of at least nodes - 1 the root tells everybody itself.
 *
 * Pure: no memory of its own, no threads, never blocks. 0 <= node, root < nodes, and fan >= 1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SIM_TREE_H
#define SIM_TREE_H

#define TREE_NOBODY (-1)

/* Who tells `node`, and gets its answer; TREE_NOBODY for the root. */
int tree_parent(int node, int nodes, int root, unsigned fan);

/* How many children the node has: at most fan. */
unsigned tree_children(int node, int nodes, int root, unsigned fan);

/* The child of that index; TREE_NOBODY if there are no more. */
int tree_child(int node, int nodes, int root, unsigned fan, unsigned index);

/* Messages one after another until the last node is told: 0 for one node alone. */
unsigned tree_depth(int nodes, unsigned fan);

#endif
