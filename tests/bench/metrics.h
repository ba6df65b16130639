/*
 * Named numbers that one run gave: what a guest or a tool printed, and what the launcher counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_METRICS_H
#define BENCH_METRICS_H

#include <glib.h>
#include <stdbool.h>

typedef GHashTable metrics;

metrics *metrics_new(void);
void metrics_set(metrics *m, const char *name, double value);
bool metrics_get(metrics *m, const char *name, double *value);

/* Lines "name value unit"; other lines are passed over. */
void metrics_add_lines(metrics *m, const char *text);
/* The numbers of one JSON object. False if the text is none. */
bool metrics_add_json(metrics *m, const char *text);
/*
 * The launcher's statistics: nodeK.COUNTER for each node, sum.COUNTER, and where the counters
 * exist messages_per_fault, futex_asked_share (node 1: of its futex calls, those that asked the
 * master) and shadow_pages (the sum). False if the file is none.
 */
bool metrics_add_stats(metrics *m, const char *path, int nodes);
/* The table that tests/sim/scale prints: PATTERN_NODES_messages, _hops. */
void metrics_add_scale(metrics *m, const char *text);

#endif
