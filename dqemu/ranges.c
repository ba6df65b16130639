/*
 * Sets of pages as ranges: see ranges.h. Ranges stand in ascending order; neighbours whose values
 * go on are one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/ranges.h"

#include <glib.h>

struct range {
    uint64_t page, end;
    uintptr_t value; /* of the first page */
};

struct dq_ranges {
    GArray *ranges; /* struct range */
    uintptr_t step;
};

struct dq_ranges *dq_ranges_new(uintptr_t step)
{
    struct dq_ranges *r = g_new(struct dq_ranges, 1);

    r->step = step;
    r->ranges = g_array_new(FALSE, FALSE, sizeof(struct range));
    return r;
}

void dq_ranges_free(struct dq_ranges *r)
{
    if (r) {
        g_array_free(r->ranges, TRUE);
        g_free(r);
    }
}

static struct range *at(const struct dq_ranges *r, unsigned i)
{
    return &g_array_index(r->ranges, struct range, i);
}

/* The first range that ends after the page; the number of ranges if there is none. */
static unsigned find(const struct dq_ranges *r, uint64_t page)
{
    unsigned low = 0, high = r->ranges->len;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (at(r, middle)->end <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uintptr_t value_of(const struct dq_ranges *r, const struct range *range, uint64_t page)
{
    return range->value + (uintptr_t)(page - range->page) * r->step;
}

/* No range reaches over the page. The first one that does not end before it. */
static unsigned cut(struct dq_ranges *r, uint64_t page)
{
    unsigned i = find(r, page);

    if (i < r->ranges->len && at(r, i)->page < page) {
        struct range tail = {page, at(r, i)->end, value_of(r, at(r, i), page)};

        at(r, i)->end = page;
        g_array_insert_val(r->ranges, ++i, tail);
    }
    return i;
}

void dq_ranges_clear(struct dq_ranges *r, uint64_t page, uint64_t count)
{
    uint64_t end = count > UINT64_MAX - page ? UINT64_MAX : page + count;
    unsigned from, to;

    if (r->ranges->len == 0 || count == 0) {
        return;
    }
    from = cut(r, page);
    to = cut(r, end);
    if (to > from) {
        g_array_remove_range(r->ranges, from, to - from);
    }
}

/* Range i, if it goes on where the one before it ends, becomes a part of that. */
static void join(struct dq_ranges *r, unsigned i)
{
    if (i == 0 || i >= r->ranges->len || at(r, i - 1)->end != at(r, i)->page ||
        value_of(r, at(r, i - 1), at(r, i)->page) != at(r, i)->value) {
        return;
    }
    at(r, i - 1)->end = at(r, i)->end;
    g_array_remove_index(r->ranges, i);
}

void dq_ranges_set(struct dq_ranges *r, uint64_t page, uint64_t count, uintptr_t value)
{
    struct range range = {page, page + count, value};
    unsigned i;

    if (count == 0) {
        return;
    }
    dq_ranges_clear(r, page, count);
    i = find(r, page);
    g_array_insert_val(r->ranges, i, range);
    join(r, i + 1);
    join(r, i);
}

bool dq_ranges_has(const struct dq_ranges *r, uint64_t page, uintptr_t *value)
{
    unsigned i = find(r, page);

    if (i == r->ranges->len || at(r, i)->page > page) {
        return false;
    }
    *value = value_of(r, at(r, i), page);
    return true;
}

bool dq_ranges_stretch(const struct dq_ranges *r, uint64_t page, uint64_t *first, uint64_t *end)
{
    unsigned i = find(r, page);
    bool has = i < r->ranges->len && at(r, i)->page <= page;

    if (has) {
        *first = at(r, i)->page;
        *end = at(r, i)->end;
    } else {
        *first = i > 0 ? at(r, i - 1)->end : 0;
        *end = i < r->ranges->len ? at(r, i)->page : UINT64_MAX;
    }
    return has;
}
