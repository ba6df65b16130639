/*
 * The loops of many nodes: a queue of packets by time of arrival, and a clock for each node.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/sim/loops.h"

#include <glib.h>
#include <string.h>

struct event {
    uint64_t at, serial; /* the earlier one first; of two at the same time that sent first */
    struct packet p;
};

struct node {
    uint64_t time;   /* of its loop */
    uint64_t beside; /* of its other thread */
    uint64_t handled;
};

struct loops {
    int nodes;
    struct loops_cost cost;
    GSequence *queue; /* struct event, owned */
    struct node *node;
    uint64_t settled, latest; /* no clock is before the one, or after the other */
    uint64_t serial, messages;
    bool *met; /* nodes times nodes */
};

static int compare(gconstpointer a, gconstpointer b, gpointer unused)
{
    const struct event *x = a, *y = b;

    (void)unused;
    if (x->at != y->at) {
        return x->at < y->at ? -1 : 1;
    }
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

struct loops *loops_new(int nodes, const struct loops_cost *cost)
{
    struct loops *l = g_new0(struct loops, 1);

    l->nodes = nodes;
    l->cost = *cost;
    l->queue = g_sequence_new(g_free);
    l->node = g_new0(struct node, (gsize)nodes);
    l->met = g_new0(bool, (gsize)nodes *(gsize)nodes);
    return l;
}

void loops_free(struct loops *l)
{
    g_sequence_free(l->queue);
    g_free(l->node);
    g_free(l->met);
    g_free(l);
}

/* The clock goes on by `more` from `at`, or from where it stands if that is later. */
static uint64_t spend(struct loops *l, uint64_t *clock, uint64_t at, uint64_t more)
{
    *clock = MAX(MAX(*clock, l->settled), at) + more;
    l->latest = MAX(l->latest, *clock);
    return *clock;
}

static void put(struct loops *l, uint64_t *clock, const struct packet *p)
{
    bool travels = p->from != p->to;
    struct event *e = g_new0(struct event, 1);

    e->at = spend(l, clock, 0, travels ? l->cost.send : 0) + (travels ? l->cost.travel : 0);
    e->serial = l->serial++;
    e->p = *p;
    if (travels) {
        l->messages++;
        l->node[p->from].handled++;
        loops_meet(l, p->from, p->to);
    }
    g_sequence_insert_sorted(l->queue, e, compare, NULL);
}

void loops_send(struct loops *l, int from, int to, unsigned type, unsigned hops,
                const struct dq_msg_page *m)
{
    struct packet p = {.from = from, .to = to, .type = type, .hops = hops + (from != to)};

    if (m) {
        p.m = *m;
    }
    put(l, &l->node[from].time, &p);
}

void loops_send_beside(struct loops *l, int from, int to, unsigned type)
{
    struct packet p = {.from = from, .to = to, .type = type, .hops = from != to};

    put(l, &l->node[from].beside, &p);
}

bool loops_next(struct loops *l, struct packet *p)
{
    GSequenceIter *first = g_sequence_get_begin_iter(l->queue);
    struct event *e;

    if (g_sequence_iter_is_end(first)) {
        return false;
    }
    e = g_sequence_get(first);
    *p = e->p;
    if (p->from != p->to) {
        spend(l, &l->node[p->to].time, e->at, l->cost.receive);
        l->node[p->to].handled++;
    }
    g_sequence_remove(first);
    return true;
}

uint64_t loops_time(const struct loops *l, int node)
{
    return MAX(l->node[node].time, l->settled);
}

uint64_t loops_settle(struct loops *l)
{
    l->settled = l->latest;
    return l->settled;
}

uint64_t loops_messages(const struct loops *l)
{
    return l->messages;
}

uint64_t loops_busiest(const struct loops *l)
{
    uint64_t most = 0;

    for (int n = 0; n < l->nodes; n++) {
        most = MAX(most, l->node[n].handled);
    }
    return most;
}

void loops_forget(struct loops *l)
{
    l->messages = 0;
    for (int n = 0; n < l->nodes; n++) {
        l->node[n].handled = 0;
    }
}

void loops_meet(struct loops *l, int a, int b)
{
    l->met[(gsize)a * (gsize)l->nodes + (gsize)b] = true;
    l->met[(gsize)b * (gsize)l->nodes + (gsize)a] = true;
}

int loops_peers(const struct loops *l, int node)
{
    int peers = 0;

    for (int n = 0; n < l->nodes; n++) {
        peers += n != node && l->met[(gsize)node * (gsize)l->nodes + (gsize)n];
    }
    return peers;
}
