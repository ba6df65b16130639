/*
 * Placement, and the table of proxies' mailboxes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/threads.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "proto/wire.h"

/* Guards everything below. Innermost: nothing is taken under it, nothing waits under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    int nodes;
    enum dq_placement placement;
    int processors[DQ_MAX_NODES];
    int threads[DQ_MAX_NODES];
} place = {.nodes = 1};

static GHashTable *proxies; /* tid -> struct dq_proxy, not owned */
static GHashTable *carried; /* tid -> int64_t, of threads that came back; NULL: none has */

void dq_place_init(int nodes, enum dq_placement placement, const int *processors)
{
    place.nodes = nodes;
    place.placement = placement;
    memcpy(place.processors, processors, (size_t)nodes * sizeof(*processors));
    place.threads[0] = 1; /* the main thread */
}

static bool is_allowed(uint64_t allowed, int node)
{
    return allowed >> node & 1;
}

/* The first with the fewest threads for its processors. The master, where none is allowed. */
static int least_loaded(uint64_t allowed)
{
    const int *threads = place.threads, *processors = place.processors;
    int best = -1;

    for (int n = 0; n < place.nodes; n++) {
        if (is_allowed(allowed, n) &&
            (best < 0 || threads[n] * processors[best] < threads[best] * processors[n])) {
            best = n;
        }
    }
    return MAX(best, 0);
}

static int choose(uint64_t allowed)
{
    switch (place.placement) {
    case DQ_PLACEMENT_MASTER_ONLY:
        return 0;
    case DQ_PLACEMENT_PACK:
        for (int n = 0; n < place.nodes; n++) {
            if (is_allowed(allowed, n) && place.threads[n] < place.processors[n]) {
                return n;
            }
        }
        break;
    case DQ_PLACEMENT_SPREAD:
        break;
    }
    return least_loaded(allowed);
}

int dq_place_thread(uint64_t allowed)
{
    int node;

    pthread_mutex_lock(&lock);
    node = choose(allowed);
    place.threads[node]++;
    pthread_mutex_unlock(&lock);
    return node;
}

int dq_place_choose(uint64_t allowed)
{
    int node;

    pthread_mutex_lock(&lock);
    node = choose(allowed);
    pthread_mutex_unlock(&lock);
    return node;
}

void dq_place_gone(int node)
{
    pthread_mutex_lock(&lock);
    place.threads[node]--;
    pthread_mutex_unlock(&lock);
}

void dq_place_moved(int from, int to)
{
    pthread_mutex_lock(&lock);
    place.threads[from]--;
    place.threads[to]++;
    pthread_mutex_unlock(&lock);
}

void dq_proxy_open(struct dq_proxy *p, uint32_t tid, int node)
{
    p->tid = tid;
    p->node = node;
    p->mail.word = DQ_GATE_OPEN;
    p->first = NULL;
    p->last = &p->first;
    pthread_mutex_lock(&lock);
    if (!proxies) {
        proxies = g_hash_table_new(NULL, NULL);
    }
    g_hash_table_insert(proxies, GUINT_TO_POINTER(tid), p);
    pthread_mutex_unlock(&lock);
}

/* Under the lock, or it may be gone by the time it is opened. */
void dq_proxy_nudge(uint32_t tid)
{
    struct dq_proxy *p;

    pthread_mutex_lock(&lock);
    p = proxies ? g_hash_table_lookup(proxies, GUINT_TO_POINTER(tid)) : NULL;
    if (p) {
        dq_gate_open(&p->mail);
    }
    pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static void take_out(struct dq_proxy *p)
{
    if (proxies) {
        g_hash_table_remove(proxies, GUINT_TO_POINTER(p->tid));
    }
}

static void drop_mail(struct dq_proxy *p)
{
    while (p->first) {
        struct dq_mail *m = p->first;
        p->first = m->next;
        g_free(m);
    }
}

void dq_proxy_close(struct dq_proxy *p)
{
    pthread_mutex_lock(&lock);
    take_out(p);
    pthread_mutex_unlock(&lock);
    drop_mail(p);
}

void dq_proxy_moved(struct dq_proxy *p, int64_t ns)
{
    pthread_mutex_lock(&lock);
    if (!carried) {
        carried = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    g_hash_table_insert(carried, GUINT_TO_POINTER(p->tid), g_memdup2(&ns, sizeof(ns)));
    take_out(p);
    pthread_mutex_unlock(&lock);
    drop_mail(p);
}

void dq_thread_ends(uint32_t tid)
{
    pthread_mutex_lock(&lock);
    if (carried) {
        g_hash_table_remove(carried, GUINT_TO_POINTER(tid));
    }
    pthread_mutex_unlock(&lock);
}

int dq_thread_clock(uint32_t tid, int64_t *ns)
{
    const struct dq_proxy *p;
    const int64_t *before = NULL;
    int node;

    pthread_mutex_lock(&lock);
    p = proxies ? g_hash_table_lookup(proxies, GUINT_TO_POINTER(tid)) : NULL;
    node = p ? p->node : 0;
    if (carried) {
        before = g_hash_table_lookup(carried, GUINT_TO_POINTER(tid));
    }
    *ns = before ? *before : 0;
    pthread_mutex_unlock(&lock);
    return node;
}

struct dq_where *dq_proxies_list(unsigned *count)
{
    struct dq_where *list;
    GHashTableIter i;
    gpointer value;

    *count = 0;
    pthread_mutex_lock(&lock);
    list = g_new(struct dq_where, proxies ? g_hash_table_size(proxies) : 0);
    if (proxies) {
        g_hash_table_iter_init(&i, proxies);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
            const struct dq_proxy *p = value;
            list[(*count)++] = (struct dq_where){p->tid, p->node};
        }
    }
    pthread_mutex_unlock(&lock);
    return list;
}

struct dq_mail *dq_proxy_take(struct dq_proxy *p)
{
    struct dq_mail *m;

    pthread_mutex_lock(&lock);
    m = p->first;
    if (m) {
        p->first = m->next;
        if (!p->first) {
            p->last = &p->first;
        }
    } else {
        __atomic_store_n(&p->mail.word, DQ_GATE_CLOSED, __ATOMIC_SEQ_CST);
    }
    pthread_mutex_unlock(&lock);
    return m;
}

int dq_proxy_message(int from, unsigned type, const void *body, size_t length)
{
    struct dq_mail *m = g_malloc(sizeof(*m) + length);
    struct dq_proxy *p;
    uint32_t tid;

    memcpy(&tid, body, sizeof(tid)); /* every such body begins with it */
    m->next = NULL;
    m->type = type;
    m->length = length;
    memcpy(m->body, body, length);

    pthread_mutex_lock(&lock);
    p = proxies ? g_hash_table_lookup(proxies, GUINT_TO_POINTER(tid)) : NULL;
    if (!p || p->node != from) {
        pthread_mutex_unlock(&lock);
        g_free(m);
        return -EPROTO;
    }
    *p->last = m;
    p->last = &m->next;
    /* under the lock: the proxy may free its mailbox as soon as it has this mail */
    dq_gate_open(&p->mail);
    pthread_mutex_unlock(&lock);
    return 0;
}

void dq_threads_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    proxies = NULL;
    carried = NULL;
    place.nodes = 1;
}
