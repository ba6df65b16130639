/*
 * The results as JSON: the unit of every number is the last part of its key.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define SCHEMA 1

static json_t *numbers(const GArray *values)
{
    json_t *list = json_array();

    for (guint i = 0; i < values->len; i++) {
        json_array_append_new(list, json_real(g_array_index(values, double, i)));
    }
    return list;
}

/* dqemu_METRIC and its samples; the metric's name ends with its unit. */
static void put_side(json_t *o, const char *side, const char *metric, double median,
                     const GArray *values)
{
    char *key = g_strdup_printf("%s_%s", side, metric);
    char *samples = g_strdup_printf("%s_each_%s", side, metric);

    json_object_set_new(o, key, json_real(median));
    json_object_set_new(o, samples, numbers(values));
    g_free(samples);
    g_free(key);
}

static json_t *row_object(const struct result *r)
{
    const struct row *row = r->row;
    char *setup = row_setup_text(row);
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:s, s:b, s:f, s:s, s:f}", "row", row->name,
                          "operation", row->operation, "setup", setup, "nodes", row->ours.nodes,
                          "reference", row->ref.label, "goal_is_least", row->at_least, "goal_ratio",
                          row->goal, "verdict", measure_verdict(r), "took_s", r->took_s);

    if (r->outcome == OUTCOME_GOOD) {
        json_object_set_new(o, "ratio", json_real(r->ratio));
        json_object_set_new(o, "least_ratio", json_real(r->low));
        json_object_set_new(o, "greatest_ratio", json_real(r->high));
        put_side(o, "dqemu", row->ours.metric, r->ours_median, r->ours);
        put_side(o, "reference", row->ref.metric, r->ref_median, r->ref);
    } else {
        json_object_set_new(o, "reason", json_string(r->why));
    }
    g_free(setup);
    return o;
}

bool report_json(const GPtrArray *results, bool quick, const char *path)
{
    json_t *list = json_array(), *report;
    struct utsname u;
    bool good;

    for (guint i = 0; i < results->len; i++) {
        json_array_append_new(list, row_object(g_ptr_array_index(results, i)));
    }
    uname(&u);
    report = json_pack("{s:i, s:b, s:I, s:s, s:I, s:o}", "schema", SCHEMA, "quick", quick,
                       "time_unix_s", (json_int_t)time(NULL), "kernel", u.release, "processors",
                       (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "rows", list);
    good = json_dump_file(report, path, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0;
    if (!good) {
        g_printerr("bench: %s cannot be written\n", path);
    }
    json_decref(report);
    return good;
}
