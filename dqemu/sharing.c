/*
 * Which pages should be split, and which joined again: see sharing.h.
 *
 * Pages' windows stand in a table of fixed size; the one that began first makes room.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/sharing.h"

#include <glib.h>
#include <string.h>

#include "dqemu/mover.h"
#include "dqemu/splitter.h"

#define MOST_WINDOW 32u
#define SETS_BITS 8u
#define WAYS 4u

#define SLOT_WINDOW 16u /* requests that took a part from another node */

#define NOBODY (-1)

struct request {
    int8_t node;
    bool write;
    uint16_t at;
};

/* The latest requests for a page, the oldest first. */
struct window {
    uint64_t page;
    uint64_t begun;  /* its first request; 0: the place is free */
    uint64_t middle; /* the first of its second half */
    unsigned n;
    struct request requests[MOST_WINDOW];
};

struct slot {
    int16_t has[DQ_SPLIT_GRANULES]; /* who asked last for each part; NOBODY */
    int16_t one;                    /* who has all that anybody asked for; NOBODY */
    uint64_t since;                 /* ... since when */
    bool is_idle;                   /* in the queue of those */
    uint64_t takes[SLOT_WINDOW];    /* when parts were taken from another node; a ring */
    unsigned n;
};

struct dq_sharing {
    struct dq_sharing_rules rules;
    struct window windows[1u << SETS_BITS][WAYS];
    struct slot *slots[DQ_SPLIT_MOST];
    GQueue idle; /* numbers of slots with one owner, the one that has been so the longest first */
};

/* ---- pages ---- */

static struct window *window_of(struct dq_sharing *s, uint64_t page, uint64_t now)
{
    struct window *set = s->windows[page * 0x9e3779b97f4a7c15ull >> (64 - SETS_BITS)];
    struct window *oldest = set;

    for (struct window *w = set; w < set + WAYS; w++) {
        if (w->begun && w->page == page) {
            return w;
        }
        if (w->begun < oldest->begun) {
            oldest = w;
        }
    }
    *oldest = (struct window){.page = page, .begun = now};
    return oldest;
}

/* Would this request have been made with such granules? */
static bool remains(const struct window *w, unsigned i, unsigned shift)
{
    const struct request *r = &w->requests[i];

    for (unsigned j = i; j-- > 0;) {
        const struct request *before = &w->requests[j];

        if (before->at >> shift != r->at >> shift) {
            continue;
        }
        if (before->node == r->node) {
            return false;
        }
        if (before->write || r->write) {
            return true;
        }
    }
    return false;
}

static unsigned remaining(const struct window *w, unsigned shift)
{
    unsigned n = 0;

    for (unsigned i = 0; i < w->n; i++) {
        n += remains(w, i, shift);
    }
    return n;
}

/* The largest granules that are about as good as the best. */
static unsigned best_granules(const struct dq_sharing *s, const struct window *w)
{
    unsigned left[DQ_SPLIT_MOST_SHIFT + 1], least = w->n;
    unsigned shift = DQ_SPLIT_MOST_SHIFT, slack = w->n / 16;
    unsigned allowed = w->n * s->rules.share / 100;

    if (remaining(w, DQ_PAGE_BITS) <= allowed) {
        return 0; /* it does not go to and fro */
    }
    if (w->n < s->rules.window) {
        allowed = 0; /* a window that is not full has to leave no doubt */
    }
    for (unsigned i = DQ_SPLIT_LEAST_SHIFT; i <= DQ_SPLIT_MOST_SHIFT; i++) {
        left[i] = remaining(w, i);
        least = MIN(least, left[i]);
    }
    if (least > allowed) {
        return 0;
    }
    while (left[shift] > MIN(least + slack, allowed)) {
        shift--;
    }
    return shift;
}

static unsigned force(struct window *w, const struct request *r)
{
    struct request last = w->requests[0];

    if (!r->write) {
        return 0;
    }
    w->requests[0] = *r;
    w->n = 1;
    return last.write && last.node != r->node ? DQ_SPLIT_LEAST_SHIFT : 0;
}

unsigned dq_sharing_asked(struct dq_sharing *s, uint64_t page, int node, bool write, unsigned at,
                          uint64_t now)
{
    struct request r = {(int8_t)node, write, (uint16_t)at};
    struct window *w = window_of(s, page, now);
    unsigned half = s->rules.window / 2, shift;

    if (s->rules.force) {
        return force(w, &r);
    }
    if (now - w->begun > s->rules.period_ns) {
        w->begun = now;
        w->n = 0;
    }
    if (w->n == s->rules.window) {
        memmove(w->requests, w->requests + half, (w->n - half) * sizeof(r));
        w->n -= half;
        w->begun = w->middle;
    }
    if (w->n == half) {
        w->middle = now;
    }
    w->requests[w->n++] = r;
    if (w->n != half && w->n != s->rules.window) {
        return 0;
    }
    shift = best_granules(s, w);
    if (shift) {
        w->n = 0;
        w->begun = now;
    }
    return shift;
}

/* ---- slots ---- */

static struct slot *slot_of(struct dq_sharing *s, uint32_t number)
{
    struct slot *slot = s->slots[number];

    if (!slot) {
        slot = g_new0(struct slot, 1);
        memset(slot->has, NOBODY, sizeof(slot->has));
        slot->one = NOBODY;
        s->slots[number] = slot;
    }
    return slot;
}

static int only_owner(const struct slot *slot)
{
    int one = NOBODY;

    for (unsigned i = 0; i < DQ_SPLIT_GRANULES; i++) {
        if (slot->has[i] != NOBODY && one != NOBODY && slot->has[i] != one) {
            return NOBODY;
        }
        one = slot->has[i] == NOBODY ? one : slot->has[i];
    }
    return one;
}

/* A part has been taken from another node. True: it happens too often. */
static bool note_take(const struct dq_sharing *s, struct slot *slot, uint64_t now)
{
    uint64_t *oldest = &slot->takes[slot->n % SLOT_WINDOW];
    bool often = slot->n >= SLOT_WINDOW && now - *oldest < SLOT_WINDOW * s->rules.take_ns;

    *oldest = now;
    slot->n++;
    return often;
}

/* As long as the owner stays the same, so does the time; but who was advised and did nothing waits anew. */
static void note_owner(struct dq_sharing *s, uint32_t number, int one, uint64_t now)
{
    struct slot *slot = s->slots[number];

    if (slot->one == one && slot->is_idle) {
        return;
    }
    if (slot->is_idle) {
        g_queue_remove(&s->idle, GUINT_TO_POINTER(number));
    }
    slot->one = (int16_t)one;
    slot->since = now;
    slot->is_idle = one != NOBODY;
    if (slot->is_idle) {
        g_queue_push_tail(&s->idle, GUINT_TO_POINTER(number));
    }
}

bool dq_sharing_slot_asked(struct dq_sharing *s, uint32_t number, unsigned granule, int node,
                           uint64_t now)
{
    struct slot *slot = slot_of(s, number);
    int before = slot->has[granule];

    if (s->rules.force) {
        return false;
    }
    slot->has[granule] = (int16_t)node;
    note_owner(s, number, only_owner(slot), now);
    if (before == NOBODY || before == node) {
        return false;
    }
    return note_take(s, slot, now);
}

uint64_t dq_sharing_due(const struct dq_sharing *s)
{
    const struct slot *slot;

    if (g_queue_is_empty((GQueue *)&s->idle)) {
        return 0;
    }
    slot = s->slots[GPOINTER_TO_UINT(g_queue_peek_head((GQueue *)&s->idle))];
    return slot->since + s->rules.idle_ns;
}

bool dq_sharing_idle(struct dq_sharing *s, uint64_t now, uint32_t *number, int *node)
{
    uint64_t due = dq_sharing_due(s);

    if (!due || now < due) {
        return false;
    }
    *number = GPOINTER_TO_UINT(g_queue_pop_head(&s->idle));
    s->slots[*number]->is_idle = false;
    *node = s->slots[*number]->one;
    return true;
}

void dq_sharing_forget(struct dq_sharing *s, uint32_t number)
{
    g_queue_remove(&s->idle, GUINT_TO_POINTER(number));
    g_free(s->slots[number]);
    s->slots[number] = NULL;
}

/* ---- life ---- */

struct dq_sharing *dq_sharing_new(const struct dq_sharing_rules *rules)
{
    struct dq_sharing *s = g_new0(struct dq_sharing, 1);

    s->rules = *rules;
    g_queue_init(&s->idle);
    return s;
}

void dq_sharing_free(struct dq_sharing *s)
{
    if (s) {
        for (uint32_t i = 0; i < DQ_SPLIT_MOST; i++) {
            g_free(s->slots[i]);
        }
        g_queue_clear(&s->idle);
        g_free(s);
    }
}
