/*
 * The pages that are asked for most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/hot.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define SETS_BITS 6u
#define WAYS 8u

/* Written by the loop, each word by itself: see dq_hot_top(). asked 0: free. */
struct place {
    uint64_t page;
    uint64_t asked;
    uint64_t others; /* what of `asked` was counted for earlier pages */
    uint64_t writes, nodes;
};

static struct place places[1u << SETS_BITS][WAYS];

#define GET(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define SET(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static struct place *take_over(struct place *p, uint64_t page)
{
    SET(p->page, page);
    SET(p->others, p->asked);
    SET(p->writes, 0);
    SET(p->nodes, 0);
    return p;
}

/* Its own, or that of the one asked for least. */
static struct place *place_of(uint64_t page)
{
    struct place *set = places[page * 0x9e3779b97f4a7c15ull >> (64 - SETS_BITS)], *least = set;

    for (struct place *p = set; p < set + WAYS; p++) {
        if (p->asked && p->page == page) {
            return p;
        }
        if (p->asked < least->asked) {
            least = p;
        }
    }
    return take_over(least, page);
}

void dq_hot_asked(uint64_t page, int from, bool write)
{
    struct place *p = place_of(page);

    SET(p->asked, p->asked + 1);
    SET(p->writes, p->writes + write);
    SET(p->nodes, p->nodes | UINT64_C(1) << from);
}

static int by_count(const void *a, const void *b)
{
    const struct dq_hot_page *x = a, *y = b;

    if (x->asked != y->asked) {
        return x->asked > y->asked ? -1 : 1;
    }
    return x->page < y->page ? -1 : x->page > y->page;
}

size_t dq_hot_top(struct dq_hot_page *top, size_t most)
{
    static const size_t all = sizeof(places) / sizeof(places[0][0]);
    struct dq_hot_page *list = g_new(struct dq_hot_page, all);
    struct place *p = places[0];
    size_t n = 0;

    for (size_t i = 0; i < all; i++, p++) {
        uint64_t asked = GET(p->asked), others = GET(p->others);

        if (asked > others + 1) {
            list[n++] =
                (struct dq_hot_page){GET(p->page), asked - others, GET(p->writes), GET(p->nodes)};
        }
    }
    qsort(list, n, sizeof(*list), by_count);
    n = MIN(n, most);
    memcpy(top, list, n * sizeof(*list));
    g_free(list);
    return n;
}

void dq_hot_reset(void)
{
    memset(places, 0, sizeof(places));
}
