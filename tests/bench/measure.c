/*
 * Measuring a row.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pairs {
    GPtrArray *ours, *ref; /* metrics, by pair; the same one for SIDE_SAME */
    enum outcome outcome;
    char *why;
};

static GHashTable *known; /* what was run -> struct pairs; kept until the end */

static char *key_of_side(const struct side *s)
{
    return g_strdup_printf("%d %d %s %s %s", s->kind, s->nodes, s->options ? s->options : "-",
                           s->args ? s->args : "-", s->cpu ? s->cpu : "-");
}

static char *key_of(const struct row *row, int pairs)
{
    char *ours = key_of_side(&row->ours), *ref = key_of_side(&row->ref);
    char *key = g_strdup_printf("%d/%s/%s/%d", row->setup, ours, ref, pairs);

    g_free(ref);
    g_free(ours);
    return key;
}

static enum outcome run_side(const struct bench *b, const struct row *row, const struct side *s,
                             GPtrArray *to, char **why)
{
    metrics *m = metrics_new();
    enum outcome outcome = side_run(b, row->setup, s, m, why);

    if (outcome == OUTCOME_GOOD) {
        g_ptr_array_add(to, m);
    } else {
        g_hash_table_unref(m);
    }
    return outcome;
}

static void run_pair(const struct bench *b, const struct row *row, struct pairs *p, bool swap)
{
    if (row->ref.kind == SIDE_SAME) {
        p->outcome = run_side(b, row, &row->ours, p->ours, &p->why);
        return;
    }
    for (int i = 0; i < 2 && p->outcome == OUTCOME_GOOD; i++) {
        bool first = (i == 0) != swap;

        p->outcome =
            run_side(b, row, first ? &row->ours : &row->ref, first ? p->ours : p->ref, &p->why);
    }
}

static struct pairs *run_pairs(const struct bench *b, const struct row *row, int count)
{
    char *key = key_of(row, count);
    struct pairs *p;

    if (!known) {
        known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    }
    p = g_hash_table_lookup(known, key);
    if (p) {
        g_free(key);
        return p;
    }
    p = g_new0(struct pairs, 1);
    p->ours = g_ptr_array_new();
    p->ref = row->ref.kind == SIDE_SAME ? p->ours : g_ptr_array_new();
    for (int i = 0; i < count && p->outcome == OUTCOME_GOOD; i++) {
        run_pair(b, row, p, i % 2);
    }
    g_hash_table_insert(known, key, p);
    return p;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const GArray *values)
{
    double *sorted = g_memdup2(values->data, values->len * sizeof(double));
    guint n = values->len;
    double m;

    qsort(sorted, n, sizeof(double), compare);
    m = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    g_free(sorted);
    return m;
}

/* A counter that this build does not have is no failure of the run. */
static enum outcome missing(const char *metric, char **why)
{
    if (g_str_has_prefix(metric, "messages_per_fault")) {
        *why = g_strdup("this build's --stats has no counter messages_out");
        return OUTCOME_MISSING;
    }
    if (strcmp(metric, "shadow_pages") == 0) {
        *why = g_strdup("this build's --stats has no counter shadow_pages");
        return OUTCOME_MISSING;
    }
    *why = g_strdup_printf("the run gave no number %s", metric);
    return OUTCOME_FAILED;
}

static enum outcome collect(const GPtrArray *runs, const char *metric, GArray *values, char **why)
{
    for (guint i = 0; i < runs->len; i++) {
        double value;

        if (!metrics_get(g_ptr_array_index(runs, i), metric, &value)) {
            return missing(metric, why);
        }
        g_array_append_val(values, value);
    }
    return OUTCOME_GOOD;
}

static void conclude(struct result *r)
{
    const struct row *row = r->row;
    GArray *ratios = g_array_new(FALSE, FALSE, sizeof(double));

    r->low = HUGE_VAL;
    r->high = -HUGE_VAL;
    for (guint i = 0; i < r->ours->len; i++) {
        double ours = g_array_index(r->ours, double, i), ref = g_array_index(r->ref, double, i);
        double ratio = row->inverse ? ref / ours : ours / ref;

        if (!isfinite(ratio)) {
            r->outcome = OUTCOME_FAILED;
            r->why = g_strdup_printf("no ratio of %g and %g", ours, ref);
            g_array_free(ratios, TRUE);
            return;
        }
        r->low = MIN(r->low, ratio);
        r->high = MAX(r->high, ratio);
        g_array_append_val(ratios, ratio);
    }
    r->ours_median = median(r->ours);
    r->ref_median = median(r->ref);
    r->ratio = median(ratios);
    r->met = row->at_least ? r->ratio >= row->goal : r->ratio <= row->goal;
    g_array_free(ratios, TRUE);
}

struct result *measure_row(const struct bench *b, const struct row *row, bool quick, int pairs)
{
    struct result *r = g_new0(struct result, 1);
    struct bench sized = *b;
    gint64 began = g_get_monotonic_time();
    struct pairs *p;

    sized.size *= quick && row->quick_size > 0 ? row->quick_size : 1;
    r->row = row;
    r->ours = g_array_new(FALSE, FALSE, sizeof(double));
    r->ref = g_array_new(FALSE, FALSE, sizeof(double));
    p = run_pairs(&sized, row, pairs);
    r->outcome = p->outcome;
    r->why = g_strdup(p->why);
    if (r->outcome == OUTCOME_GOOD) {
        r->outcome = collect(p->ours, row->ours.metric, r->ours, &r->why);
    }
    if (r->outcome == OUTCOME_GOOD) {
        r->outcome = collect(p->ref, row->ref.metric, r->ref, &r->why);
    }
    if (r->outcome == OUTCOME_GOOD) {
        conclude(r);
    }
    r->took_s = (double)(g_get_monotonic_time() - began) / 1e6;
    return r;
}

void result_free(struct result *r)
{
    g_array_free(r->ours, TRUE);
    g_array_free(r->ref, TRUE);
    g_free(r->why);
    g_free(r);
}

const char *measure_verdict(const struct result *r)
{
    switch (r->outcome) {
    case OUTCOME_GOOD:
        return r->met ? "met" : "missed";
    case OUTCOME_MISSING:
        return "not available";
    case OUTCOME_FAILED:
        break;
    }
    return "failed";
}
