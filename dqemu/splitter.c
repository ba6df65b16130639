/*
 * The splitter: see splitter.h for the table.
 *
 * Entries stand in a hash table for as long as a page is split or on the way. Pages that were
 * joined lately are remembered, with the time until which they are left alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/splitter.h"

#include <errno.h>
#include <glib.h>

#include "dqemu/assert.h"
#include "dqemu/mover.h"

/* A page that has been left alone for so many times its cool-down starts anew with the shortest. */
#define FORGIVEN 8u
#define MOST_DOUBLINGS 6u
/* Pages that are left alone together, and how much longer than one. */
#define AREA_PAGES 64u
#define AREA_TIMES 8u
/* Cool-downs that are remembered; more than that, and the old ones go. */
#define MOST_COOL 8192u

enum state { CLOSING, APART, OPENING, SPLIT, TOGETHER };

struct entry {
    uint64_t page;
    uint32_t slot;
    uint8_t shift;
    enum state state;
    enum dq_split_op op; /* what was told last */
    uint64_t awaited;    /* a bit per node that has not answered */
    bool refused;
    bool join; /* as soon as it is split */
    bool regret;
};

/* A slot that was open is used again only when no thread can know addresses in it any more. */
enum slot { FREE, USED, RETIRED, RETIRING };

struct cool {
    uint64_t page; /* or area_key() */
    uint64_t until, length;
};

struct range {
    uint64_t page, count;
};

struct dq_splitter {
    int nodes;
    unsigned most;
    uint64_t cool_ns;
    bool even;
    const struct dq_splitter_ops *ops;
    void *ctx;
    GHashTable *entries;          /* &entry->page -> struct entry */
    GHashTable *cool;             /* &cool->page -> struct cool */
    GArray *excluded;             /* struct range */
    bool waits;                   /* excluded() is due */
    uint8_t slots[DQ_SPLIT_MOST]; /* enum slot */
    unsigned retire, retired;
    uint64_t retiring;         /* a bit per node that has not answered SPLIT_RETIRE */
    bool taken[DQ_SPLIT_MOST]; /* the place in the nodes' tables, by page modulo */
    struct dq_splitter_stats stats;
};

static struct entry *entry_of(const struct dq_splitter *s, uint64_t page)
{
    return g_hash_table_lookup(s->entries, &page);
}

static unsigned granules(const struct entry *e)
{
    return DQ_PAGE_SIZE >> e->shift;
}

static struct dq_msg_split message(const struct entry *e, enum dq_split_op op)
{
    return (struct dq_msg_split){
        .page = e->page, .slot = e->slot, .shift = e->shift, .op = (uint8_t)op};
}

static void tell(struct dq_splitter *s, struct entry *e, enum dq_split_op op)
{
    struct dq_msg_split m = message(e, op);

    e->op = op;
    e->state = op == DQ_SPLIT_CLOSE || op == DQ_JOIN_CLOSE ? CLOSING : OPENING;
    e->awaited = ~UINT64_C(0) >> (64 - s->nodes);
    s->ops->tell(s->ctx, &m);
}

static void move(struct dq_splitter *s, struct entry *e, enum dq_split_op op)
{
    struct dq_msg_split m = message(e, op);

    e->state = op == DQ_SPLIT_OPEN ? APART : TOGETHER;
    s->ops->move(s->ctx, &m);
}

/* ---- cooling down ---- */

static gboolean is_old(gpointer key, gpointer value, gpointer now)
{
    const struct cool *c = value;

    (void)key;
    return c->until + FORGIVEN * c->length < *(const uint64_t *)now;
}

/* Not the number of any page. */
static uint64_t area_key(uint64_t page)
{
    return ~(page / AREA_PAGES);
}

static bool cools(const struct dq_splitter *s, uint64_t key, uint64_t now)
{
    const struct cool *c = g_hash_table_lookup(s->cool, &key);

    return c && now < c->until;
}

static bool is_hot(const struct dq_splitter *s, uint64_t page, uint64_t now)
{
    return cools(s, page, now) || cools(s, area_key(page), now);
}

/* page: or area_key() */
static void cool_down(struct dq_splitter *s, uint64_t page, uint64_t shortest, uint64_t now)
{
    struct cool *c = g_hash_table_lookup(s->cool, &page);

    if (g_hash_table_size(s->cool) >= MOST_COOL) {
        g_hash_table_foreach_remove(s->cool, is_old, &now);
        c = g_hash_table_lookup(s->cool, &page);
    }
    if (!c) {
        c = g_new0(struct cool, 1);
        c->page = page;
        g_hash_table_insert(s->cool, &c->page, c);
    } else if (is_old(NULL, c, &now)) {
        c->length = 0;
    }
    if (s->even || c->length == 0) {
        c->length = shortest;
    } else {
        c->length = MIN(2 * c->length, shortest << MOST_DOUBLINGS);
    }
    c->until = now + c->length;
}

/* ---- the map ---- */

static bool is_excluded(const struct dq_splitter *s, uint64_t page)
{
    for (guint i = 0; i < s->excluded->len; i++) {
        const struct range *r = &g_array_index(s->excluded, struct range, i);

        if (page - r->page < r->count) {
            return true;
        }
    }
    return false;
}

/* Join what is split in the ranges. True: something is, or is on the way. */
static bool join_excluded(struct dq_splitter *s)
{
    GHashTableIter it;
    gpointer value;
    bool some = false;

    g_hash_table_iter_init(&it, s->entries);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        struct entry *e = value;

        if (is_excluded(s, e->page)) {
            some = true;
            e->join = true;
            if (e->state == SPLIT) {
                tell(s, e, DQ_JOIN_CLOSE);
            }
        }
    }
    return some;
}

static void settle_exclusion(struct dq_splitter *s)
{
    if (s->waits && !join_excluded(s)) {
        s->waits = false;
        s->ops->excluded(s->ctx);
    }
}

void dq_splitter_exclude(struct dq_splitter *s, uint64_t page, uint64_t count)
{
    struct range r = {page, count};

    dq_assert(!s->waits);
    g_array_append_val(s->excluded, r);
    s->waits = true;
    settle_exclusion(s);
}

void dq_splitter_include(struct dq_splitter *s)
{
    dq_assert(!s->waits);
    g_array_set_size(s->excluded, 0);
}

/* ---- events ---- */

static void change_slots(struct dq_splitter *s, enum slot from, enum slot to)
{
    for (uint32_t i = 0; i < DQ_SPLIT_MOST; i++) {
        if (s->slots[i] == from) {
            s->slots[i] = (uint8_t)to;
        }
    }
}

static void start_retiring(struct dq_splitter *s)
{
    struct dq_msg_split m = {.op = DQ_SPLIT_RETIRE, .shift = DQ_SPLIT_LEAST_SHIFT};

    s->retired = 0;
    s->retiring = ~UINT64_C(0) >> (64 - s->nodes);
    change_slots(s, RETIRED, RETIRING);
    s->ops->tell(s->ctx, &m);
}

static bool find_slot(struct dq_splitter *s, uint32_t *slot)
{
    if (s->stats.pages == s->most) {
        return false;
    }
    for (uint32_t i = 0; i < DQ_SPLIT_MOST; i++) {
        if (s->slots[i] == FREE) {
            *slot = i;
            return true;
        }
    }
    if (s->retired && !s->retiring) {
        start_retiring(s);
    }
    return false;
}

static void retire(struct dq_splitter *s, uint32_t slot)
{
    s->slots[slot] = RETIRED;
    s->retired++;
    if (s->retired >= s->retire && !s->retiring) {
        start_retiring(s);
    }
}

static int on_retired(struct dq_splitter *s, int node, const struct dq_msg_split *m)
{
    uint64_t bit = UINT64_C(1) << node;

    if (!(s->retiring & bit) || m->page || m->slot || m->refused) {
        return -EPROTO;
    }
    s->retiring &= ~bit;
    if (!s->retiring) {
        change_slots(s, RETIRING, FREE);
    }
    return 0;
}

bool dq_splitter_ask(struct dq_splitter *s, uint64_t page, unsigned shift, uint64_t now)
{
    struct entry *e;
    uint32_t slot;

    if (entry_of(s, page) || s->taken[page % DQ_SPLIT_MOST] || is_excluded(s, page) ||
        is_hot(s, page, now) || !find_slot(s, &slot)) {
        return false;
    }
    e = g_new0(struct entry, 1);
    e->page = page;
    e->slot = slot;
    e->shift = (uint8_t)shift;
    s->slots[slot] = USED;
    s->taken[page % DQ_SPLIT_MOST] = true;
    g_hash_table_insert(s->entries, &e->page, e);
    s->stats.pages++;
    tell(s, e, DQ_SPLIT_CLOSE);
    return true;
}

void dq_splitter_join(struct dq_splitter *s, uint64_t page)
{
    struct entry *e = entry_of(s, page);

    if (e && e->state == SPLIT) {
        tell(s, e, DQ_JOIN_CLOSE);
    } else if (e) {
        e->join = true;
    }
}

void dq_splitter_regret(struct dq_splitter *s, uint64_t page)
{
    struct entry *e = entry_of(s, page);

    if (e) {
        e->regret = true;
        dq_splitter_join(s, page);
    }
}

static void is_split(struct dq_splitter *s, struct entry *e)
{
    e->state = SPLIT;
    s->stats.splits++;
    s->stats.shadow += granules(e);
    s->stats.shadow_most = MAX(s->stats.shadow_most, s->stats.shadow);
    if (e->join) {
        tell(s, e, DQ_JOIN_CLOSE);
    }
}

static void is_one_page(struct dq_splitter *s, struct entry *e, uint64_t now)
{
    if (e->refused) {
        s->slots[e->slot] = FREE;
    } else {
        s->stats.merges++;
        s->stats.shadow -= granules(e);
        retire(s, e->slot);
    }
    cool_down(s, e->page, s->cool_ns, now);
    if (e->regret && !cools(s, area_key(e->page), now)) {
        cool_down(s, area_key(e->page), AREA_TIMES * s->cool_ns, now);
    }
    s->taken[e->page % DQ_SPLIT_MOST] = false;
    s->stats.pages--;
    g_hash_table_remove(s->entries, &e->page);
    settle_exclusion(s);
}

static void all_have_answered(struct dq_splitter *s, struct entry *e, uint64_t now)
{
    switch (e->op) {
    case DQ_SPLIT_CLOSE:
        if (e->refused) {
            tell(s, e, DQ_JOIN_OPEN);
        } else {
            move(s, e, DQ_SPLIT_OPEN);
        }
        break;
    case DQ_SPLIT_OPEN:
        is_split(s, e);
        break;
    case DQ_JOIN_CLOSE:
        move(s, e, DQ_JOIN_OPEN);
        break;
    case DQ_JOIN_OPEN:
        is_one_page(s, e, now);
        break;
    case DQ_SPLIT_RETIRE: /* of no page */
        break;
    }
}

int dq_splitter_done(struct dq_splitter *s, int node, const struct dq_msg_split *m, uint64_t now)
{
    struct entry *e = entry_of(s, m->page);
    uint64_t bit;

    if (node >= 0 && node < s->nodes && m->op == DQ_SPLIT_RETIRE) {
        return on_retired(s, node, m);
    }
    if (node < 0 || node >= s->nodes || !e || (e->state != CLOSING && e->state != OPENING) ||
        m->op != e->op || m->slot != e->slot || m->shift != e->shift ||
        m->refused > (m->op == DQ_SPLIT_CLOSE)) {
        return -EPROTO;
    }
    bit = UINT64_C(1) << node;
    if (!(e->awaited & bit)) {
        return -EPROTO;
    }
    e->awaited &= ~bit;
    e->refused |= m->refused;
    if (!e->awaited) {
        all_have_answered(s, e, now);
    }
    return 0;
}

void dq_splitter_moved(struct dq_splitter *s, uint64_t page)
{
    struct entry *e = entry_of(s, page);

    dq_assert(e && (e->state == APART || e->state == TOGETHER));
    tell(s, e, e->state == APART ? DQ_SPLIT_OPEN : DQ_JOIN_OPEN);
}

struct dq_splitter_stats dq_splitter_stats(const struct dq_splitter *s)
{
    return s->stats;
}

/* ---- life ---- */

struct dq_splitter *dq_splitter_new(int nodes, unsigned most, uint64_t cool_ns, bool even,
                                    unsigned retire, const struct dq_splitter_ops *ops, void *ctx)
{
    struct dq_splitter *s = g_new0(struct dq_splitter, 1);

    dq_assert(nodes >= 1 && nodes <= DQ_MAX_NODES && most <= DQ_SPLIT_MOST && retire >= 1);
    s->nodes = nodes;
    s->most = most;
    s->cool_ns = cool_ns;
    s->even = even;
    s->retire = retire;
    s->ops = ops;
    s->ctx = ctx;
    s->entries = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    s->cool = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    s->excluded = g_array_new(FALSE, FALSE, sizeof(struct range));
    return s;
}

void dq_splitter_free(struct dq_splitter *s)
{
    if (s) {
        g_hash_table_destroy(s->entries);
        g_hash_table_destroy(s->cool);
        g_array_free(s->excluded, TRUE);
        g_free(s);
    }
}
