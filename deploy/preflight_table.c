/*
 * The table of the preflight: one row a host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "deploy/preflight.h"
#include "dqemu/build_id.h"

enum {
    COLUMN_HOST,
    COLUMN_NODES,
    COLUMN_ADDRESS,
    COLUMN_BUILD,
    COLUMN_KERNEL,
    COLUMN_UFFD,
    COLUMN_PAGE,
    COLUMN_FILES,
    COLUMN_LOCKED,
    COLUMN_MAPS,
    COLUMN_CPUS,
    COLUMN_MEMORY,
    COLUMN_CLOCK,
    COLUMN_REACHES,
    COLUMNS
};

static const char *const titles[COLUMNS] = {
    "host",  "nodes",  "address", "build", "kernel", "userfaultfd", "page",
    "files", "locked", "maps",    "cpus",  "memory", "clock",       "reaches",
};

static json_int_t number(const struct dq_remote *r, const char *key)
{
    return json_integer_value(json_object_get(r->facts, key));
}

static char *limit(json_int_t value, json_int_t unit, const char *suffix)
{
    return value < 0 ? g_strdup("any")
                     : g_strdup_printf("%lld%s", (long long)(value / unit), suffix);
}

static char *text(const struct dq_remote *r, const char *key)
{
    const char *value = json_string_value(json_object_get(r->facts, key));
    return g_strdup(value ? value : "-");
}

/* Both programs, the agent's and the nodes'. */
static char *builds(const struct dq_remote *r)
{
    const char *agent = json_string_value(json_object_get(r->facts, "build"));
    const char *node = json_string_value(json_object_get(r->facts, "node_build"));

    if (!node) {
        return g_strdup("missing");
    }
    return g_strdup(agent && strcmp(agent, dq_build_id) == 0 && strcmp(node, dq_build_id) == 0
                        ? "same"
                        : "other");
}

/* "all", with the longest time it took; or whom it does not reach. */
static char *reaches(const struct dq_preflight *p, const struct dq_remote *r)
{
    GString *not = g_string_new(NULL);
    double most = 0;

    for (int to = 0; r->reached && to < p->rack->count; to++) {
        const json_t *result = json_array_get(r->reached, (size_t)to);
        if (!p->rack->remotes[to].port) {
            continue;
        }
        if (json_is_string(result)) {
            g_string_append_printf(not, "%s%s", not ->len ? "," : "not ",
                                   p->rack->remotes[to].host->name);
        }
        most = MAX(most, json_real_value(result));
    }
    if (!r->reached) {
        g_string_assign(not, "-");
    } else if (not ->len == 0) {
        g_string_printf(not, "all, %.1f ms", most);
    }
    return g_string_free(not, FALSE);
}

static void fill_row(const struct dq_preflight *p, const struct dq_remote *r, char **row)
{
    row[COLUMN_HOST] = g_strdup(r->host->name);
    row[COLUMN_NODES] = r->host->nodes == 1 ? g_strdup_printf("%d", r->host->first)
                                            : g_strdup_printf("%d-%d", r->host->first,
                                                              r->host->first + r->host->nodes - 1);
    row[COLUMN_ADDRESS] = g_strdup(r->address[0] ? r->address : "-");
    if (!r->facts) {
        for (int c = COLUMN_BUILD; c < COLUMNS; c++) {
            row[c] = g_strdup("-");
        }
        return;
    }
    row[COLUMN_BUILD] = builds(r);
    row[COLUMN_KERNEL] = text(r, "kernel");
    row[COLUMN_UFFD] = text(r, "userfaultfd");
    row[COLUMN_PAGE] = limit(number(r, "page"), 1, "");
    row[COLUMN_FILES] = limit(number(r, "files"), 1, "");
    row[COLUMN_LOCKED] = limit(number(r, "locked"), 1024, "K");
    row[COLUMN_MAPS] = limit(number(r, "maps"), 1, "");
    row[COLUMN_CPUS] = limit(number(r, "processors"), 1, "");
    row[COLUMN_MEMORY] = limit(number(r, "memory_mb"), 1, "M");
    row[COLUMN_CLOCK] = g_strdup_printf("%+.2fs", (double)number(r, "offset_us") / 1e6);
    row[COLUMN_REACHES] = reaches(p, r);
}

static void print_row(FILE *out, const char *const *row, const size_t *widths)
{
    for (int c = 0; c < COLUMNS; c++) {
        if (c == COLUMNS - 1) {
            fprintf(out, "%s\n", row[c]);
        } else {
            fprintf(out, "%-*s  ", (int)widths[c], row[c]);
        }
    }
}

void dq_preflight_table(const struct dq_preflight *p, FILE *out)
{
    char *rows[DQ_MAX_NODES + 1][COLUMNS];
    size_t widths[COLUMNS];

    for (int c = 0; c < COLUMNS; c++) {
        widths[c] = strlen(titles[c]);
    }
    for (int i = 0; i < p->rack->count; i++) {
        fill_row(p, &p->rack->remotes[i], rows[i]);
        for (int c = 0; c < COLUMNS; c++) {
            widths[c] = MAX(widths[c], strlen(rows[i][c]));
        }
    }
    print_row(out, titles, widths);
    for (int i = 0; i < p->rack->count; i++) {
        print_row(out, (const char *const *)rows[i], widths);
        for (int c = 0; c < COLUMNS; c++) {
            g_free(rows[i][c]);
        }
    }
    fflush(out);
}
