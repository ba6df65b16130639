/*
 * The table and its notes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report.h"

#include <stdio.h>
#include <string.h>

#define FORMAT "%-41s %-27s %10s  %-34s %7s  %-15s %-8s %s\n"

void report_head(void)
{
    printf(FORMAT, "operation", "set-up", "dqemu", "reference", "ratio", "spread", "goal",
           "verdict");
    fflush(stdout);
}

static char *quantity(const char *metric, double value)
{
    if (g_str_has_suffix(metric, "_ns")) {
        return value < 1e3   ? g_strdup_printf("%.1f ns", value)
               : value < 1e6 ? g_strdup_printf("%.1f us", value / 1e3)
               : value < 1e9 ? g_strdup_printf("%.2f ms", value / 1e6)
                             : g_strdup_printf("%.2f s", value / 1e9);
    }
    if (g_str_has_suffix(metric, "bytes_per_second")) {
        return g_strdup_printf("%.1f MB/s", value / 1e6);
    }
    if (g_str_has_suffix(metric, "_per_second")) {
        return g_strdup_printf("%.0f /s", value);
    }
    if (g_str_has_suffix(metric, "_percent")) {
        return g_strdup_printf("%.1f %%", value);
    }
    return g_strdup_printf("%.4g", value);
}

static char *goal(const struct row *row)
{
    return g_strdup_printf("%s %.4g", row->at_least ? ">=" : "<=", row->goal);
}

void report_line(const struct result *r)
{
    const struct row *row = r->row;
    char *setup = row_setup_text(row), *target = goal(row);
    char *ours = g_strdup("-"), *ref = g_strdup(row->ref.label), *ratio = g_strdup("-");
    char *spread = g_strdup("-");

    if (r->outcome == OUTCOME_GOOD) {
        char *value = quantity(row->ref.metric, r->ref_median);

        g_free(ours);
        g_free(ref);
        g_free(ratio);
        g_free(spread);
        ours = quantity(row->ours.metric, r->ours_median);
        ref = g_strdup_printf("%s %s", value, row->ref.label);
        ratio = g_strdup_printf("%.3f", r->ratio);
        spread = g_strdup_printf("%.3f..%.3f", r->low, r->high);
        g_free(value);
    }
    printf(FORMAT, row->operation, setup, ours, ref, ratio, spread, target, measure_verdict(r));
    fflush(stdout);
    g_free(spread);
    g_free(ratio);
    g_free(ref);
    g_free(ours);
    g_free(target);
    g_free(setup);
}

/* The text for a row in the file of notes ("NAME: text" lines); NULL: none. */
static char *note_for(const char *notes, const char *name)
{
    char **lines = g_strsplit(notes, "\n", -1), *found = NULL;
    gsize length = strlen(name);

    for (char **line = lines; *line && !found; line++) {
        if (strncmp(*line, name, length) == 0 && (*line)[length] == ':') {
            found = g_strdup(g_strstrip(*line + length + 1));
        }
    }
    g_strfreev(lines);
    return found;
}

static void print_missed(const GPtrArray *results, const char *notes)
{
    bool head = false;

    for (guint i = 0; i < results->len; i++) {
        const struct result *r = g_ptr_array_index(results, i);
        char *note;

        if (r->outcome != OUTCOME_GOOD || r->met) {
            continue;
        }
        if (!head) {
            printf("\nWhere the time goes in rows that missed (from an earlier measurement, not "
                   "from this run):\n");
            head = true;
        }
        note = note_for(notes, r->row->name);
        printf("  %s: %s\n", r->row->name, note ? note : "not taken apart yet");
        g_free(note);
    }
}

static void print_without(const GPtrArray *results, enum outcome outcome, const char *head)
{
    for (guint i = 0; i < results->len; i++) {
        const struct result *r = g_ptr_array_index(results, i);

        if (r->outcome == outcome) {
            printf("%s  %s: %s\n", head, r->row->name, r->why);
            head = "";
        }
    }
}

void report_feet(const GPtrArray *results, const char *notes)
{
    char *text = NULL;

    printf(
        "\n"
        "dqemu and reference: medians over alternating pairs of runs; ratio: median of the "
        "pairs' ratios; spread: least and greatest of them.\n"
        "real: node K pinned to processor K modulo their number. slow motion: the guest threads "
        "of each node, and they alone, under\n"
        "a quota of 1 ms of a processor every 8 ms (more than 8 nodes: every as many ms as there "
        "are nodes): only ratios mean anything.\n"
        "namespaces: each node a host of its own, every link limited to 1 Gbit/s. A single fault "
        "or call includes one reading of\n"
        "the guest's clock (clock_ns in the guest's output); nothing is subtracted.\n");
    if (!g_file_get_contents(notes, &text, NULL, NULL)) {
        text = g_strdup("");
    }
    print_missed(results, text);
    print_without(results, OUTCOME_MISSING, "\nNot available here:\n");
    print_without(results, OUTCOME_FAILED, "\nFailed:\n");
    g_free(text);
}
