/*
 * Pages at rest: memory that a thread here has filled and that others now read, page by page.
 *
 * Each read of an Exclusive page makes its owner write-protect it, which costs more than all the
 * rest of the answer while other processors are busy (README.md has figures); many neighbours in
 * one system call cost little more than one. So once others have read a few pages of an area, its
 * other Exclusive pages are protected together, after the answers have left: they are Clean then
 * (coherence.h), and the next reads find them so.
 *
 * What a thread here writes to again after that costs a local fault. The first such fault in an
 * area makes one page writable, the next two, then four, so that an area that is rewritten in order
 * costs a few. An area whose rest did not pay rests again only after twice as many reads.
 *
 * See pager.c for the threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/runtime.h"
#include "dqemu/stats.h"

/* Reads of Exclusive pages after which an area rests; at most as many as it can have. */
#define LEAST_READS 4u
#define MOST_READS 512u

/*
 * A rest pays if so many pages were read at rest, and as many for each regret: in system calls
 * alone, a rest costs some 6 protections, a regret 2 (a fault and the page made writable).
 */
#define READS_FOR_REST 6u
#define READS_FOR_REGRET 2u

struct area {
    unsigned due;     /* reads of Exclusive pages after which it rests */
    unsigned reads;   /* of those, since the last time */
    unsigned rested;  /* pages read at rest, since the last time */
    unsigned regrets; /* write faults in pages at rest, since the last time */
    bool has_rested, is_queued;
};

static struct {
    unsigned pages;    /* of an area, which is aligned; 0: nothing rests */
    GHashTable *areas; /* page / pages -> struct area */
    GQueue queue;      /* the keys of those that are to rest */
} rest;

void dq_rest_start(const struct dq_config *cfg)
{
    rest.pages = cfg->rest_pages;
    rest.areas = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    g_queue_init(&rest.queue);
}

static struct area *area_of(uint64_t page)
{
    gpointer key = GSIZE_TO_POINTER(page / rest.pages);
    struct area *a = g_hash_table_lookup(rest.areas, key);

    if (!a) {
        a = g_new0(struct area, 1);
        a->due = LEAST_READS;
        g_hash_table_insert(rest.areas, key, a);
    }
    return a;
}

void dq_rest_read(uint64_t page)
{
    struct area *a;

    if (!rest.pages) {
        return;
    }
    if (dq_cache_is_rested(dq_pager.cache, page)) {
        area_of(page)->rested++;
    } else if (dq_cache_state(dq_pager.cache, page) == DQ_EXCLUSIVE) {
        a = area_of(page);
        if (++a->reads >= a->due && !a->is_queued) {
            a->is_queued = true;
            g_queue_push_tail(&rest.queue, GSIZE_TO_POINTER(page / rest.pages));
        }
    }
}

void dq_rest_regret(uint64_t page)
{
    struct area *a = area_of(page);
    uint64_t end = (page / rest.pages + 1) * rest.pages;
    uint64_t more = UINT64_C(1) << MIN(a->regrets, DQ_MOST_WISH); /* with the page itself */

    a->regrets++;
    dq_stat_add(rest_regrets, 1);
    for (uint64_t p = page + 1; p < MIN(end, page + more); p++) {
        if (dq_cache_is_rested(dq_pager.cache, p)) {
            dq_cache_want(dq_pager.cache, p, true, 0, dq_node_now());
        }
    }
}

/* How the last rest went decides when the next one is due. */
static void learn(struct area *a)
{
    if (!a->has_rested || a->rested >= READS_FOR_REST + READS_FOR_REGRET * a->regrets) {
        a->due = LEAST_READS;
    } else {
        a->due = MIN(2 * a->due, MOST_READS);
    }
    a->has_rested = true;
    a->reads = a->rested = a->regrets = 0;
}

static void rest_area(uint64_t number)
{
    uint64_t now = dq_node_now();

    for (uint64_t page = number * rest.pages; page < (number + 1) * rest.pages; page++) {
        if (dq_cache_rest(dq_pager.cache, page, now)) {
            dq_stat_add(rested, 1);
        }
    }
}

void dq_rest_run(void)
{
    while (!g_queue_is_empty(&rest.queue)) {
        uint64_t number = GPOINTER_TO_SIZE(g_queue_pop_head(&rest.queue));
        struct area *a = g_hash_table_lookup(rest.areas, GSIZE_TO_POINTER(number));

        a->is_queued = false;
        learn(a);
        rest_area(number);
        dq_batch_flush();
    }
}
