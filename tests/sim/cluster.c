/*
 * Many nodes of the coherence engine: what it asks of a node's pager, as far as it matters here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/sim/cluster.h"

#include <stdio.h>
#include <stdlib.h>

#include "dqemu/coherence.h"

#define RUN_PAGES 16

struct member {
    struct cluster *c;
    int number;
    struct dq_dir *dir;
    struct dq_cache *cache;
    size_t empty; /* bytes of the directory at first */
};

static void dir_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    struct member *n = ctx;

    loops_send(n->c->loops, n->number, to, type, n->c->hops, m);
}

static void dir_reset_done(void *ctx, uint64_t cookie)
{
    (void)ctx, (void)cookie;
}

static const struct dq_dir_ops dir_ops = {.send = dir_send, .reset_done = dir_reset_done};

static void cache_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m,
                       bool with_page)
{
    struct member *n = ctx;

    (void)with_page;
    if (type == DQ_MSG_DONE && to == n->number) {
        dq_dir_message(n->dir, to, type, m);
    } else {
        dir_send(n, to, type, m);
    }
}

static void cache_install(void *ctx, uint64_t page, uint32_t count, const void *data, bool writable)
{
    (void)ctx, (void)page, (void)count, (void)data, (void)writable;
}

static bool cache_fill(void *ctx, uint64_t page)
{
    (void)ctx, (void)page;
    return false; /* no page is of a file */
}

static void cache_change(void *ctx, uint64_t page)
{
    (void)ctx, (void)page;
}

static bool cache_release(void *ctx, uint64_t page)
{
    (void)ctx, (void)page;
    return true;
}

static void cache_timer(void *ctx, uint64_t when)
{
    (void)ctx, (void)when;
}

/* The last grant of a fault counts: an early one (to read) is not what was asked for. */
static void cache_granted(void *ctx, uint64_t page, enum dq_page_state state)
{
    struct member *n = ctx;

    (void)page, (void)state;
    n->c->hops_granted = n->c->depth;
    n->c->granted = MAX(n->c->granted, loops_time(n->c->loops, n->number));
}

static const struct dq_cache_ops cache_ops = {
    .send = cache_send,
    .install = cache_install,
    .fill = cache_fill,
    .make_writable = cache_change,
    .make_readonly = cache_change,
    .drop = cache_change,
    .release = cache_release,
    .timer = cache_timer,
    .granted = cache_granted,
};

static void deliver(struct cluster *c, const struct packet *p)
{
    struct member *n = &c->member[p->to];
    bool to_home = p->type == DQ_MSG_GET_S || p->type == DQ_MSG_GET_X || p->type == DQ_MSG_DONE ||
                   p->type == DQ_MSG_RACK;
    bool data = p->type == DQ_MSG_DATA_S || p->type == DQ_MSG_DATA_X || p->type == DQ_MSG_DATA_M;
    int error;

    c->hops = p->hops;
    if (p->to == c->asker) {
        c->depth = MAX(c->depth, p->hops);
    }
    error = to_home ? dq_dir_message(n->dir, p->from, p->type, &p->m)
                    : dq_cache_message(n->cache, p->from, p->type, &p->m, data ? "" : NULL, 1);
    if (error) {
        fprintf(stderr, "scale: node %d refuses message %u from node %d\n", p->to, p->type,
                p->from);
        exit(1);
    }
}

void cluster_want(struct cluster *c, int node, uint64_t index, bool write)
{
    c->asker = node;
    c->hops = c->depth = 0;
    c->used[index] = true;
    c->faults += !dq_cache_want(c->member[node].cache, c->number[index], write, 0, 1);
}

void cluster_run(struct cluster *c)
{
    struct packet p;

    while (loops_next(c->loops, &p)) {
        deliver(c, &p);
    }
}

void cluster_access(struct cluster *c, int node, uint64_t index, bool write)
{
    uint64_t before = c->faults;

    c->granted = loops_settle(c->loops);
    cluster_want(c, node, index, write);
    if (c->faults > before) {
        cluster_run(c);
        c->hops_most = MAX(c->hops_most, c->hops_granted);
        c->hops_sum += c->hops_granted;
    }
}

uint64_t cluster_part(const struct cluster *c, int node)
{
    uint64_t nodes = (uint64_t)c->nodes;

    return ((uint64_t)node * c->pages + nodes - 1) / nodes;
}

int cluster_sharers(const struct cluster *c, uint64_t index)
{
    int sharers = 0;

    for (int n = 0; n < c->nodes; n++) {
        sharers += dq_cache_state(c->member[n].cache, c->number[index]) != DQ_INVALID;
    }
    return sharers;
}

uint64_t cluster_directory(const struct cluster *c)
{
    uint64_t bytes = 0;

    for (int n = 0; n < c->nodes; n++) {
        bytes += dq_dir_memory(c->member[n].dir) - c->member[n].empty;
    }
    return bytes;
}

/* Chunk after chunk goes to its home's part, until all parts are full. */
static void number_by_home(struct cluster *c)
{
    uint64_t *filled = g_new0(uint64_t, (gsize)c->nodes);
    uint64_t left = c->pages;

    for (uint64_t page = 0; left; page += DQ_CHUNK_PAGES) {
        int home = dq_home(page, c->nodes);
        uint64_t index = cluster_part(c, home) + filled[home];

        if (index < cluster_part(c, home + 1)) {
            c->number[index] = page;
            filled[home]++;
            left--;
        }
    }
    g_free(filled);
}

static void number_pages(struct cluster *c, enum cluster_homes homes)
{
    c->number = g_new0(uint64_t, c->pages);
    if (homes == CLUSTER_OWN) {
        number_by_home(c);
        return;
    }
    for (uint64_t i = 0; i < c->pages; i++) {
        c->number[i] = homes == CLUSTER_DENSE ? i : i * DQ_CHUNK_PAGES;
    }
}

struct cluster *cluster_new(int nodes, uint64_t pages, enum cluster_homes homes,
                            const struct loops_cost *cost)
{
    struct cluster *c = g_new0(struct cluster, 1);

    c->nodes = nodes;
    c->pages = pages;
    c->used = g_new0(bool, pages);
    c->random = g_rand_new_with_seed(1);
    c->loops = loops_new(nodes, cost);
    c->member = g_new0(struct member, (gsize)nodes);
    number_pages(c, homes);
    for (int i = 0; i < nodes; i++) {
        struct member *n = &c->member[i];

        n->c = c;
        n->number = i;
        n->dir = dq_dir_new(i, nodes, RUN_PAGES, &dir_ops, n);
        n->cache = dq_cache_new(i, nodes, 0, &cache_ops, n);
        n->empty = dq_dir_memory(n->dir);
    }
    return c;
}

void cluster_forget(struct cluster *c)
{
    c->faults = c->hops_sum = 0;
    c->hops_most = 0;
    loops_forget(c->loops);
}

void cluster_free(struct cluster *c)
{
    for (int i = 0; i < c->nodes; i++) {
        dq_dir_free(c->member[i].dir);
        dq_cache_free(c->member[i].cache);
    }
    loops_free(c->loops);
    g_rand_free(c->random);
    g_free(c->member);
    g_free(c->number);
    g_free(c->used);
    g_free(c);
}
