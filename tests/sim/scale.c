/*
 * What a fault costs on 2 to 1024 nodes: the coherence engine on simulated nodes, one fault at a
 * time, counting the messages that cross the network and the hops until the thread goes on.
 *
 *   scale [NODES...]
 *
 * prints, for each access pattern and number of nodes: faults, messages per fault, mean and
 * greatest number of hops, and bytes of directory per touched page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dqemu/coherence.h"

#define PAGES 4096u
#define FAULTS 20000u
#define READERS 8

struct cluster;

struct node {
    struct cluster *c;
    int number;
    struct dq_dir *dir;
    struct dq_cache *cache;
};

struct packet {
    int from, to;
    unsigned type, hops;
    struct dq_msg_page m;
};

struct cluster {
    int nodes;
    struct node *node;
    GQueue queue; /* struct packet, owned */
    GRand *random;
    unsigned hops;         /* from the fault to what is being handled */
    unsigned hops_granted; /* from the fault to the last grant */
    uint64_t faults, messages, hops_sum;
    unsigned hops_most;
};

static void send(struct node *n, int to, unsigned type, const struct dq_msg_page *m)
{
    bool travels = to != n->number;
    struct packet p = {n->number, to, type, n->c->hops + travels, *m};

    n->c->messages += travels;
    g_queue_push_tail(&n->c->queue, g_memdup2(&p, sizeof(p)));
}

static void dir_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    send(ctx, to, type, m);
}

static void dir_reset_done(void *ctx, uint64_t cookie)
{
    (void)ctx;
    (void)cookie;
}

static const struct dq_dir_ops dir_ops = {.send = dir_send, .reset_done = dir_reset_done};

static void cache_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m,
                       bool with_page)
{
    struct node *n = ctx;

    (void)with_page;
    if (type == DQ_MSG_DONE && to == n->number) {
        dq_dir_message(n->dir, to, type, m);
    } else {
        send(n, to, type, m);
    }
}

static void cache_install(void *ctx, uint64_t page, uint32_t count, const void *data, bool writable)
{
    (void)ctx, (void)page, (void)count, (void)data, (void)writable;
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
    struct node *n = ctx;

    (void)page, (void)state;
    n->c->hops_granted = n->c->hops;
}

static const struct dq_cache_ops cache_ops = {
    .send = cache_send,
    .install = cache_install,
    .make_writable = cache_change,
    .make_readonly = cache_change,
    .drop = cache_change,
    .release = cache_release,
    .timer = cache_timer,
    .granted = cache_granted,
};

static void deliver(struct cluster *c, const struct packet *p)
{
    struct node *n = &c->node[p->to];
    bool to_home = p->type == DQ_MSG_GET_S || p->type == DQ_MSG_GET_X || p->type == DQ_MSG_DONE ||
                   p->type == DQ_MSG_RACK;
    bool data = p->type == DQ_MSG_DATA_S || p->type == DQ_MSG_DATA_X || p->type == DQ_MSG_DATA_M;
    int error;

    c->hops = p->hops;
    error = to_home ? dq_dir_message(n->dir, p->from, p->type, &p->m)
                    : dq_cache_message(n->cache, p->from, p->type, &p->m, data ? "" : NULL, 1);
    if (error) {
        fprintf(stderr, "scale: node %d refuses message %u from node %d\n", p->to, p->type,
                p->from);
        exit(1);
    }
}

static void access_page(struct cluster *c, int node, uint64_t page, bool write)
{
    struct packet *p;

    c->hops = 0;
    if (dq_cache_want(c->node[node].cache, page, write, 0, 1)) {
        return;
    }
    c->faults++;
    while ((p = g_queue_pop_head(&c->queue))) {
        deliver(c, p);
        g_free(p);
    }
    c->hops_most = MAX(c->hops_most, c->hops_granted);
    c->hops_sum += c->hops_granted;
}

static int any_node(struct cluster *c)
{
    return g_rand_int_range(c->random, 0, c->nodes);
}

static uint64_t any_page(struct cluster *c)
{
    return (uint64_t)g_rand_int_range(c->random, 0, PAGES);
}

/* A page wanders from writer to writer: locks, queues, work that is handed over. */
static void migratory(struct cluster *c)
{
    while (c->faults < FAULTS) {
        access_page(c, any_node(c), any_page(c), true);
    }
}

/* One writes, eight read, somebody else writes. */
static void shared(struct cluster *c)
{
    while (c->faults < FAULTS) {
        uint64_t page = any_page(c);

        access_page(c, any_node(c), page, true);
        for (int i = 0; i < READERS; i++) {
            access_page(c, any_node(c), page, false);
        }
    }
}

/* One writes, all read: a flag, a table of constants. */
static void broadcast(struct cluster *c)
{
    while (c->faults < FAULTS) {
        uint64_t page = any_page(c);

        access_page(c, any_node(c), page, true);
        for (int n = 0; n < c->nodes; n++) {
            access_page(c, n, page, false);
        }
    }
}

/* Memory that one node alone uses, granted in runs. */
static void private(struct cluster *c)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        access_page(c, (int)(page * (uint64_t)c->nodes / PAGES), page, true);
    }
}

static const struct {
    const char *name;
    void (*run)(struct cluster *c);
} patterns[] = {
    {"private", private},
    {"migratory", migratory},
    {"shared", shared},
    {"broadcast", broadcast},
};

static void measure(int nodes, const char *name, void (*run)(struct cluster *c))
{
    struct cluster c = {.nodes = nodes, .random = g_rand_new_with_seed(1)};
    size_t empty = 0, memory = 0;

    g_queue_init(&c.queue);
    c.node = g_new0(struct node, (gsize)nodes);
    for (int i = 0; i < nodes; i++) {
        struct node *n = &c.node[i];

        n->c = &c;
        n->number = i;
        n->dir = dq_dir_new(i, nodes, 16, &dir_ops, n);
        n->cache = dq_cache_new(i, nodes, 0, &cache_ops, n);
        empty += dq_dir_memory(n->dir);
    }
    run(&c);
    for (int i = 0; i < nodes; i++) {
        memory += dq_dir_memory(c.node[i].dir);
        dq_dir_free(c.node[i].dir);
        dq_cache_free(c.node[i].cache);
    }
    printf("%-10s %6d %8" PRIu64 " %10.2f %8.2f %8u %10.1f\n", name, nodes, c.faults,
           (double)c.messages / (double)c.faults, (double)c.hops_sum / (double)c.faults,
           c.hops_most, (double)(memory - empty) / PAGES);
    g_rand_free(c.random);
    g_free(c.node);
}

int main(int argc, char **argv)
{
    printf("%-10s %6s %8s %10s %8s %8s %10s\n", "pattern", "nodes", "faults", "messages", "hops",
           "most", "bytes/page");
    for (unsigned p = 0; p < G_N_ELEMENTS(patterns); p++) {
        for (int i = 1; i < argc; i++) {
            int nodes = atoi(argv[i]);

            if (nodes < 2 || nodes > 4096) {
                fprintf(stderr, "usage: scale [NODES...], each 2 to 4096\n");
                return 2;
            }
            measure(nodes, patterns[p].name, patterns[p].run);
        }
        for (int nodes = 2; argc == 1 && nodes <= 1024; nodes *= 2) {
            measure(nodes, patterns[p].name, patterns[p].run);
        }
    }
    return 0;
}
