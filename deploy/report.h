/*
 * What each node did, as its counters tell (dqemu/stats.inc): JSON for programs, a table for
 * people.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_REPORT_H
#define DQ_REPORT_H

#include <stdio.h>

#include "deploy/cluster.h"

/*
 * {"schema": 1, "nodes": [{"node": 0, COUNTER: n, ...}, ...], "wall_seconds": s,
 * "pages": [{"address": "0x...", "asked": n, "writes": n, "nodes": [k, ...], "home": k,
 * "what": text}, ...]}; the counters of a node that never reported are null. 0 or -errno.
 */
int dq_report_json(const struct dq_cluster *run, FILE *file);

/* A line per counter, a column per node and one for the sum; then the pages asked for most. */
void dq_report_table(const struct dq_cluster *run, FILE *file);

#endif
