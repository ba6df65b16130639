/*
 * Sets of guest addresses: an interval tree of ranges.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "map.h"
#include "spans.h"

static void insert(struct dq_spans *s, abi_ulong start, abi_ulong last)
{
    IntervalTreeNode *n = g_new0(IntervalTreeNode, 1);

    n->start = start;
    n->last = last;
    interval_tree_insert(n, &s->tree);
    s->bytes += (uint64_t)last - start + 1;
}

static IntervalTreeNode *first(const struct dq_spans *s, abi_ulong start, abi_ulong last)
{
    return interval_tree_iter_first((IntervalTreeRoot *)&s->tree, start, last);
}

/* What of the range lies beside stays. */
static void take_out(struct dq_spans *s, IntervalTreeNode *n, abi_ulong start, abi_ulong last)
{
    const abi_ulong n_start = n->start, n_last = n->last;

    interval_tree_remove(n, &s->tree);
    s->bytes -= (uint64_t)n_last - n_start + 1;
    g_free(n);
    if (n_start < start) {
        insert(s, n_start, start - 1);
    }
    if (n_last > last) {
        insert(s, last + 1, n_last);
    }
}

void dq_spans_remove(struct dq_spans *s, abi_ulong start, abi_ulong len)
{
    IntervalTreeNode *n;

    while ((n = first(s, start, start + len - 1))) {
        take_out(s, n, start, start + len - 1);
    }
}

void dq_spans_add(struct dq_spans *s, abi_ulong start, abi_ulong len)
{
    dq_spans_remove(s, start, len);
    insert(s, start, start + len - 1);
}

bool dq_spans_any(const struct dq_spans *s, abi_ulong start, abi_ulong len)
{
    return first(s, start, start + len - 1);
}

bool dq_spans_each(const struct dq_spans *s, abi_ulong start, abi_ulong len,
                   bool (*fn)(void *arg, abi_ulong start, abi_ulong len), void *arg)
{
    abi_ulong last = start + len - 1;

    for (IntervalTreeNode *n = first(s, start, last); n;
         n = interval_tree_iter_next(n, start, last)) {
        abi_ulong from = MAX(n->start, start);

        if (!fn(arg, from, MIN(n->last, last) - from + 1)) {
            return false;
        }
    }
    return true;
}

static bool note(void *pieces, abi_ulong start, abi_ulong len)
{
    struct dq_run r = {start, len};

    g_array_append_val((GArray *)pieces, r);
    return true;
}

void dq_spans_move(struct dq_spans *s, abi_ulong start, abi_ulong len, abi_ulong to, bool keep)
{
    GArray *pieces;

    if (!dq_spans_any(s, start, len)) { /* the usual case */
        return;
    }
    pieces = g_array_new(false, false, sizeof(struct dq_run));
    dq_spans_each(s, start, len, note, pieces);
    if (!keep) {
        dq_spans_remove(s, start, len);
    }
    for (guint i = 0; i < pieces->len; i++) {
        const struct dq_run *r = &g_array_index(pieces, struct dq_run, i);

        dq_spans_add(s, r->page - start + to, r->count);
    }
    g_array_free(pieces, true);
}
