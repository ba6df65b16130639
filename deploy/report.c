/*
 * What each node did.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

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

int dq_report_json(const struct dq_cluster *run, FILE *file)
{
    json_t *nodes = json_array();

    for (int i = 0; i < run->nodes; i++) {
        json_array_append_new(nodes, node_object(&run->members[i]));
    }
    json_t *report = json_pack("{s:i, s:o, s:f}", "schema", SCHEMA, "nodes", nodes, "wall_seconds",
                               run->wall_seconds);
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
    fflush(file);
}
