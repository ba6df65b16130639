/*
 * What each node did.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/report.h"

#include <errno.h>
#include <inttypes.h>
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "deploy/pages.h"

#define SCHEMA 1

static json_t *node_object(const struct dq_member *m)
{
    json_t *object = json_pack("{s:i}", "node", m->node);

    for (int i = 0; i < DQ_STAT_COUNT; i++) {
        json_object_set_new(object, dq_stat_info[i].name,
                            m->counted ? json_integer((json_int_t)m->counts[i]) : json_null());
    }
    return object;
}

static json_t *page_object(const struct dq_page_report *page)
{
    json_t *nodes = json_array();
    char address[2 + 16 + 1];

    for (uint64_t set = page->nodes; set; set &= set - 1) {
        json_array_append_new(nodes, json_integer(__builtin_ctzll(set)));
    }
    g_snprintf(address, sizeof(address), "0x%" PRIx64, page->address);
    return json_pack("{s:s, s:I, s:I, s:o, s:i, s:b, s:s}", "address", address, "asked",
                     (json_int_t)page->asked, "writes", (json_int_t)page->writes, "nodes", nodes,
                     "home", page->home, "split", page->split, "what", page->what);
}

static json_t *page_objects(const struct dq_cluster *run)
{
    struct dq_page_report pages[DQ_CONTROL_PAGES];
    unsigned count = dq_pages_collect(run, pages);
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list, page_object(&pages[i]));
    }
    dq_pages_free(pages, count);
    return list;
}

int dq_report_json(const struct dq_cluster *run, FILE *file)
{
    json_t *nodes = json_array();

    for (int i = 0; i < run->nodes; i++) {
        json_array_append_new(nodes, node_object(&run->members[i]));
    }
    json_t *report = json_pack("{s:i, s:o, s:f, s:o}", "schema", SCHEMA, "nodes", nodes,
                               "wall_seconds", run->wall_seconds, "pages", page_objects(run));
    errno = 0;
    int rc = json_dumpf(report, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(report);
    if (rc < 0 || fputc('\n', file) == EOF || fflush(file) == EOF) {
        return errno ? -errno : -EIO;
    }
    return 0;
}

static void print_cell(FILE *file, bool known, uint64_t value)
{
    if (known) {
        fprintf(file, " %12" PRIu64, value);
    } else {
        fprintf(file, " %12s", "-");
    }
}

static void print_line(const struct dq_cluster *run, FILE *file, int stat)
{
    uint64_t sum = 0;

    fprintf(file, "%-20s", dq_stat_info[stat].name);
    for (int i = 0; i < run->nodes; i++) {
        const struct dq_member *m = &run->members[i];
        print_cell(file, m->counted, m->counts[stat]);
        sum += m->counts[stat];
    }
    print_cell(file, true, sum);
    fprintf(file, " %s\n", dq_stat_info[stat].unit);
}

/* "0-3,5": for a set of nodes. */
static char *node_list(uint64_t set)
{
    GString *list = g_string_new(NULL);

    for (int first = 0; first < DQ_MAX_NODES; first++) {
        int last = first;

        if (!(set >> first & 1)) {
            continue;
        }
        while (last + 1 < DQ_MAX_NODES && set >> (last + 1) & 1) {
            last++;
        }
        g_string_append_printf(list, "%s%d", list->len ? "," : "", first);
        if (last > first) {
            g_string_append_printf(list, "%c%d", last == first + 1 ? ',' : '-', last);
        }
        first = last;
    }
    return g_string_free(list, FALSE);
}

static void print_pages(const struct dq_cluster *run, FILE *file)
{
    struct dq_page_report pages[DQ_CONTROL_PAGES];
    unsigned count = dq_pages_collect(run, pages);

    if (count) {
        fprintf(file, "\n%-18s %10s %10s  %-10s %-5s %s\n", "pages asked for most", "asked",
                "writes", "nodes", "split", "what");
    }
    for (unsigned i = 0; i < count; i++) {
        char *nodes = node_list(pages[i].nodes);

        fprintf(file, "0x%-18" PRIx64 " %10" PRIu64 " %10" PRIu64 "  %-10s %-5s %s\n",
                pages[i].address, pages[i].asked, pages[i].writes, nodes,
                pages[i].split ? "yes" : "no", pages[i].what);
        g_free(nodes);
    }
    dq_pages_free(pages, count);
}

void dq_report_table(const struct dq_cluster *run, FILE *file)
{
    fprintf(file, "dqemu: %.3f s on %d node%s\n%-20s", run->wall_seconds, run->nodes,
            run->nodes == 1 ? "" : "s", "");
    for (int i = 0; i < run->nodes; i++) {
        fprintf(file, " %*s%2d", 10, "node", i);
    }
    fprintf(file, "          all\n");
    for (int stat = 0; stat < DQ_STAT_COUNT; stat++) {
        print_line(run, file, stat);
    }
    print_pages(run, file);
    fflush(file);
}
