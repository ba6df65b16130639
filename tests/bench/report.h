/*
 * What the measurements say: a table for people, JSON for programs, charts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "measure.h"

void report_head(void);
/* One line at once, as soon as it is known. */
void report_line(const struct result *r);
/* Below the table: notes of the rows that missed (file `notes`), what could not be had, why. */
void report_feet(const GPtrArray *results, const char *notes);
/* False and a line on stderr if the file cannot be written. */
bool report_json(const GPtrArray *results, bool quick, const char *path);
/* PNG files in `folder`; says so when gnuplot is not there. */
void report_charts(const GPtrArray *results, const char *folder);

#endif
