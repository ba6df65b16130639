/*
 * Sums of pages: see sums.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/sums.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "proto/wire.h"

#define STEPS 8u

struct step {
    const char *what; /* NULL: none yet */
    int node;
    uint64_t sum, when;
};

struct record {
    bool kept;
    uint64_t sum;
    struct step steps[STEPS]; /* a ring; `next` is the oldest */
    unsigned next;
};

struct dq_sums {
    GHashTable *records; /* page -> struct record */
};

struct dq_sums *dq_sums_new(void)
{
    struct dq_sums *s = g_new0(struct dq_sums, 1);

    s->records = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    return s;
}

void dq_sums_free(struct dq_sums *s)
{
    if (s) {
        g_hash_table_destroy(s->records);
        g_free(s);
    }
}

/* The first 64 bits of a checksum that nobody need be kept from forging. */
uint64_t dq_sums_of(const void *bytes)
{
    GChecksum *checksum = g_checksum_new(G_CHECKSUM_MD5);
    uint8_t digest[16];
    gsize length = sizeof(digest);
    uint64_t sum;

    g_checksum_update(checksum, bytes, DQ_PAGE_SIZE);
    g_checksum_get_digest(checksum, digest, &length);
    g_checksum_free(checksum);
    memcpy(&sum, digest, sizeof(sum));
    return sum;
}

static struct record *find(const struct dq_sums *s, uint64_t page)
{
    return g_hash_table_lookup(s->records, GSIZE_TO_POINTER(page));
}

static struct record *make(struct dq_sums *s, uint64_t page)
{
    struct record *r = find(s, page);

    if (!r) {
        r = g_new0(struct record, 1);
        g_hash_table_insert(s->records, GSIZE_TO_POINTER(page), r);
    }
    return r;
}

static void note(struct record *r, const char *what, int node, uint64_t sum, uint64_t now)
{
    r->steps[r->next] = (struct step){what, node, sum, now};
    r->next = (r->next + 1) % STEPS;
}

char *dq_sums_steps(const struct dq_sums *s, uint64_t page, uint64_t now)
{
    const struct record *r = find(s, page);
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; r && i < STEPS; i++) {
        const struct step *step = &r->steps[(r->next + i) % STEPS];

        if (!step->what) {
            continue;
        }
        g_string_append_printf(text, "%s%s", text->len ? ", " : "", step->what);
        if (step->node != DQ_SUMS_NOBODY) {
            g_string_append_printf(text, " node %d", step->node);
        }
        if (step->sum) {
            g_string_append_printf(text, " (%" PRIx64 ")", step->sum);
        }
        g_string_append_printf(text, " %" PRIu64 " us ago", (now - step->when) / 1000);
    }
    return g_string_free(text, FALSE);
}

char *dq_sums_look(struct dq_sums *s, uint64_t page, uint64_t sum, bool keep, const char *step,
                   int node, uint64_t now)
{
    struct record *r = make(s, page);
    bool same = !r->kept || r->sum == sum;
    uint64_t before = r->sum;
    char *steps, *text;

    note(r, step, node, sum, now);
    if (keep || r->kept) {
        r->kept = true;
        r->sum = sum;
    }
    if (same) {
        return NULL;
    }
    steps = dq_sums_steps(s, page, now);
    text = g_strdup_printf("page %" PRIx64 " changed while nobody could write to it: its sum was "
                           "%" PRIx64 " and is %" PRIx64 "; the latest steps: %s",
                           page, before, sum, steps);
    g_free(steps);
    return text;
}

void dq_sums_let_go(struct dq_sums *s, uint64_t page, const char *step, uint64_t now)
{
    struct record *r = find(s, page);

    if (r) {
        note(r, step, DQ_SUMS_NOBODY, 0, now);
        r->kept = false;
    }
}

bool dq_sums_is_kept(const struct dq_sums *s, uint64_t page)
{
    const struct record *r = find(s, page);

    return r && r->kept;
}
