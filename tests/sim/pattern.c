/*
 * Access patterns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/sim/pattern.h"

#define READERS 8

static int any_node(struct cluster *c)
{
    return g_rand_int_range(c->random, 0, c->nodes);
}

static uint64_t any_page(struct cluster *c)
{
    return (uint64_t)g_rand_int_range(c->random, 0, (gint32)c->pages);
}

/* Memory that one node alone uses, granted in runs. */
static void private(struct cluster *c)
{
    uint64_t page = c->visits % c->pages;

    cluster_access(c, (int)(page * (uint64_t)c->nodes / c->pages), page, true);
}

/* A page wanders from writer to writer: locks, queues, work that is handed over. */
static void migratory(struct cluster *c)
{
    uint64_t page = any_page(c);

    cluster_access(c, any_node(c), page, true);
}

/* One writes, eight read, somebody else writes. */
static void shared(struct cluster *c)
{
    uint64_t page = any_page(c);

    cluster_access(c, any_node(c), page, true);
    for (int i = 0; i < READERS; i++) {
        cluster_access(c, any_node(c), page, false);
    }
}

/* One writes, all read: a flag, a table of constants. */
static void broadcast(struct cluster *c)
{
    uint64_t page = any_page(c);

    cluster_access(c, any_node(c), page, true);
    for (int n = 0; n < c->nodes; n++) {
        cluster_access(c, n, page, false);
    }
}

/*
 * Each node computes the edges of its part anew, and whoever has the part beside it reads them:
 * stencils, particles in cells.
 */
static void neighbours(struct cluster *c)
{
    int node = (int)(c->visits % (uint64_t)c->nodes);
    uint64_t first = cluster_part(c, node), last = cluster_part(c, node + 1) - 1;

    cluster_access(c, node, first, true);
    cluster_access(c, node, last, true);
    if (node > 0) {
        cluster_access(c, node - 1, first, false);
    }
    if (node + 1 < c->nodes) {
        cluster_access(c, node + 1, last, false);
    }
}

const struct pattern patterns[] = {
    {.name = "private", .visit = private, .once = true},
    {.name = "migratory", .visit = migratory},
    {.name = "shared", .visit = shared},
    {.name = "broadcast", .visit = broadcast},
    {.name = "neighbours", .visit = neighbours, .own = true},
};
const unsigned pattern_count = G_N_ELEMENTS(patterns);

void pattern_run(const struct pattern *p, struct cluster *c, uint64_t faults)
{
    for (c->visits = 0; p->own && c->visits < c->pages; c->visits++) {
        private(c);
    }
    cluster_forget(c);
    for (c->visits = 0; p->once ? c->visits < c->pages : c->faults < faults; c->visits++) {
        p->visit(c);
    }
}
