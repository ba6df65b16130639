/*
 * Many nodes of the production coherence engine over the loops of loops.h, and threads that touch
 * their pages, one fault at a time.
 *
 * Pages are named by an index from 0 on. Each node has an equal part of them, in order, which is of
 * interest only to those patterns in which nodes have memory of their own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/loops.h"

/* Where the pages lie, which decides who is their home. */
enum cluster_homes {
    CLUSTER_DENSE,  /* one beside the other */
    CLUSTER_HASHED, /* each in a chunk of its own, which it stands for: homes as the code has them */
    CLUSTER_OWN,    /* likewise, and in such chunks that nodes are the homes of their own part */
};

struct member;

struct cluster {
    int nodes;
    uint64_t pages;
    uint64_t *number; /* of each page in the guest's memory */
    bool *used;       /* a pattern has touched it, and not only a run that was granted */
    struct loops *loops;
    struct member *member;
    GRand *random;
    uint64_t visits; /* of the pattern that runs: see pattern.h */
    /* the fault under way */
    int asker;
    unsigned hops, depth; /* of what is being handled; the greatest that the asker has seen */
    unsigned hops_granted;
    uint64_t granted; /* when */
    /* since cluster_forget() */
    uint64_t faults, hops_sum;
    unsigned hops_most;
};

struct cluster *cluster_new(int nodes, uint64_t pages, enum cluster_homes homes,
                            const struct loops_cost *cost);
void cluster_free(struct cluster *c);
void cluster_forget(struct cluster *c); /* what was counted */

/* A thread of the node touches the page; returns when it has it. */
void cluster_access(struct cluster *c, int node, uint64_t index, bool write);

/* The same in two steps: several nodes ask, then all goes on until each has it, the last at c->granted. */
void cluster_want(struct cluster *c, int node, uint64_t index, bool write);
void cluster_run(struct cluster *c);

/* The first page of the node's part; that of node c->nodes is past the last. */
uint64_t cluster_part(const struct cluster *c, int node);

int cluster_sharers(const struct cluster *c, uint64_t index); /* nodes that have a copy */
uint64_t cluster_directory(const struct cluster *c);          /* bytes, on all nodes */

#endif
