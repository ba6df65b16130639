/*
 * Asking ahead of threads: pages of a stream (stream.h decides), and longer runs of untouched
 * pages.
 *
 * A page that marks the progress of a stream arrives like any other, but is withheld: it is
 * held, its bytes are kept here, and the thread that gets to it faults and is served from here.
 * For everybody else it is there: it is given away, upgraded and dropped as if it were present.
 * Where the stream writes to pages that may be read already, the marker stays protected instead.
 *
 * Who touches fresh memory in order is granted twice as much each time: where one run ends (or
 * begins), the next one starts. A run costs no data, so that only other nodes that touch the
 * same area lose by it, each time half as often.
 *
 * See pager.c for the threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "dqemu/runtime.h"
#include "dqemu/stats.h"
#include "dqemu/stream.h"
#include "dqemu/uffd.h"

/* Pages on their way that nobody waits for, all threads together: bounds queues and buffers. */
#define MOST_UNDER_WAY 1024u
/* Ends of runs that are remembered: more than threads of a node that fill memory at a time. */
#define ENDS 256u

struct withheld {
    bool present; /* may be read, but not written to though it could be; then there are no bytes */
    bool writable;
    uint8_t bytes[];
};

/* A page next to a granted run of 2^wish pages. */
struct end {
    uint64_t page;
    unsigned wish;
};

/* The rest of a granted run that has no memory yet. */
struct fill {
    uint64_t page, end;
};

static struct {
    struct dq_streams *streams;
    GHashTable *withheld; /* page -> struct withheld */
    bool show;            /* withhold nothing */
    struct end ends[ENDS];
    struct fill fills[ENDS];
} ahead;

void dq_ahead_start(const struct dq_config *cfg)
{
    ahead.streams = dq_streams_new(cfg->forward_pages);
    ahead.withheld = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
}

/* ---- streams ---- */

static void count_streams(void)
{
    dq_stat_set(forward_used, dq_streams_used(ahead.streams));
    dq_stat_set(forward_wasted, dq_streams_wasted(ahead.streams));
}

void dq_ahead_fault(uint32_t thread, uint64_t page, bool write)
{
    struct dq_ahead a;

    if (!dq_streams_fault(ahead.streams, thread, page, write, &a)) {
        return;
    }
    for (unsigned i = 0; i < a.count && dq_ask_ahead_count() < MOST_UNDER_WAY; i++) {
        /* in ascending order: neighbours share a message */
        unsigned step = a.stride < 0 ? a.count - 1 - i : i;
        uint64_t next = a.first + (uint64_t)((int64_t)step * a.stride);

        if (next >> (64 - DQ_PAGE_BITS)) {
            continue; /* around the end of the address space */
        }
        if (dq_ask_ahead(next, write, next == a.marker)) {
            dq_stat_add(forwarded, 1);
        }
    }
    count_streams();
}

/* ---- withheld pages ---- */

static struct withheld *find(uint64_t page)
{
    return g_hash_table_lookup(ahead.withheld, GSIZE_TO_POINTER(page));
}

/* NULL: the page is no marker, or nothing is withheld now. */
static struct withheld *withhold(uint64_t page, bool writable, size_t bytes)
{
    struct withheld *w;

    if (ahead.show || !dq_ask_is_marker(page)) {
        return NULL;
    }
    w = g_malloc(sizeof(*w) + bytes);
    w->present = bytes == 0;
    w->writable = writable;
    g_hash_table_insert(ahead.withheld, GSIZE_TO_POINTER(page), w);
    return w;
}

bool dq_ahead_withhold(uint64_t page, const void *data, bool writable)
{
    struct withheld *w = withhold(page, writable, DQ_PAGE_SIZE);

    if (!w) {
        return false;
    }
    memcpy(w->bytes, data, DQ_PAGE_SIZE);
    dq_stat_add(pages_in, 1);
    return true;
}

bool dq_ahead_withhold_write(uint64_t page)
{
    return withhold(page, true, 0) != NULL;
}

bool dq_ahead_withholds(uint64_t page)
{
    return find(page) != NULL;
}

static void show(uint64_t page, const struct withheld *w, bool writable)
{
    if (w->present) {
        dq_uffd_unprotect(dq_pager_host(page), 1);
    } else {
        dq_uffd_copy(dq_pager_host(page), w->bytes, 1, writable);
    }
}

bool dq_ahead_show(uint64_t page, bool writable)
{
    const struct withheld *w = find(page);

    if (!w) {
        return false;
    }
    show(page, w, w->writable || writable);
    g_hash_table_remove(ahead.withheld, GSIZE_TO_POINTER(page));
    return true;
}

static gboolean show_one(gpointer page, gpointer value, gpointer arg)
{
    const struct withheld *w = value;

    (void)arg;
    show(GPOINTER_TO_SIZE(page), w, w->writable);
    return TRUE;
}

void dq_ahead_show_all(void)
{
    ahead.show = true;
    g_hash_table_foreach_remove(ahead.withheld, show_one, NULL);
}

void dq_ahead_resume(void)
{
    ahead.show = false;
}

void dq_ahead_protect(uint64_t page)
{
    struct withheld *w = find(page);

    if (w && w->present) {
        dq_ahead_drop(page); /* nothing is withheld any more */
    } else if (w) {
        w->writable = false;
    }
}

void dq_ahead_read(uint64_t page, void *to)
{
    const struct withheld *w = find(page);

    if (w && !w->present) {
        memcpy(to, w->bytes, DQ_PAGE_SIZE);
    }
}

void dq_ahead_drop(uint64_t page)
{
    if (g_hash_table_remove(ahead.withheld, GSIZE_TO_POINTER(page))) {
        dq_streams_lost(ahead.streams, page);
        count_streams();
    }
}

/* ---- fresh memory ---- */

static unsigned slot(uint64_t page)
{
    return (unsigned)(page * 0x9e3779b97f4a7c15ull >> 56);
}

static struct end *end_at(uint64_t page)
{
    return &ahead.ends[slot(page)];
}

unsigned dq_ahead_wish(uint64_t page)
{
    const struct end *e = end_at(page);

    return e->page == page && e->wish ? MIN(e->wish + 1, DQ_MOST_WISH) : 0;
}

void dq_ahead_granted(uint64_t page, uint32_t count)
{
    unsigned wish = 31 - (unsigned)__builtin_clz(count);

    *end_at(page + count) = (struct end){page + count, wish};
    if (page > 0) {
        *end_at(page - 1) = (struct end){page - 1, wish};
    }
}

static void fill_later(uint64_t page, uint64_t end)
{
    if (page < end) {
        ahead.fills[slot(page)] = (struct fill){page, end};
    }
}

bool dq_ahead_fills(uint64_t page, uint32_t count)
{
    if (count <= DQ_ZERO_PAGES || !dq_ahead_wish(page) || !dq_ask_writes(page)) {
        return false;
    }
    for (uint32_t i = DQ_ZERO_PAGES; i < count; i++) {
        if (dq_ask_is_waited_for(page + i)) {
            return false; /* who waits must be woken: not in order, then */
        }
    }
    fill_later(page + DQ_ZERO_PAGES, page + count);
    return true;
}

unsigned dq_ahead_fill(uint64_t page)
{
    struct fill f = ahead.fills[slot(page)];
    unsigned due;

    if (f.page != page || f.end <= page || dq_cache_state(dq_pager.cache, page) != DQ_EXCLUSIVE) {
        return 1;
    }
    ahead.fills[slot(page)] = (struct fill){0};
    for (due = 1; due < DQ_ZERO_PAGES && page + due < f.end; due++) {
        if (dq_cache_state(dq_pager.cache, page + due) != DQ_EXCLUSIVE || find(page + due)) {
            return due; /* others have come between */
        }
    }
    fill_later(page + due, f.end);
    return due;
}
