/*
 * How programs use memory that nodes share: access patterns for a simulated cluster.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SIM_PATTERN_H
#define SIM_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/cluster.h"

struct pattern {
    const char *name;
    void (*visit)(struct cluster *c); /* one turn: a page, or what belongs together */
    bool once;                        /* each page is visited once; otherwise it goes on and on */
    bool own;                         /* nodes have memory of their own, which each fills first */
};

extern const struct pattern patterns[];
extern const unsigned pattern_count;

/* Runs until there were so many faults; what comes before them (see `own`) is not counted. */
void pattern_run(const struct pattern *p, struct cluster *c, uint64_t faults);

#endif
