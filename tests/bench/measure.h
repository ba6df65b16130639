/*
 * Measuring a row: both sides in alternating pairs (A B, B A, ...), so that what the machine does
 * beside meets both; medians over the pairs, and the ratio pair by pair.
 *
 * Rows that differ only in which numbers they look at share their runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "rows.h"
#include "side.h"

struct result {
    const struct row *row;
    enum outcome outcome;
    char *why;          /* unless good */
    GArray *ours, *ref; /* double, by pair */
    double ours_median, ref_median;
    double ratio, low, high; /* median, least and greatest of the pairs' ratios */
    double took_s;
    bool met;
};

struct result *measure_row(const struct bench *b, const struct row *row, bool quick, int pairs);
void result_free(struct result *r);

/* "met", "missed", "not available" or "failed", for the table and the JSON. Static text. */
const char *measure_verdict(const struct result *r);

#endif
