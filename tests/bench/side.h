/*
 * Running one side of a comparison once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include "metrics.h"
#include "rows.h"

/* Where things are; filled by bench.c. */
struct paths {
    char *build, *top, *launch, *plain, *guests, *scratch;
};

struct bench {
    struct paths paths;
    GArray *cpus; /* int: the processors that this process may use */
    double size;  /* factor of @N */
};

enum outcome {
    OUTCOME_GOOD,
    OUTCOME_MISSING, /* cannot be had on this machine or with this build; not a failure */
    OUTCOME_FAILED,
};

/* Adds to `m` what the run gave. Otherwise *why says what was in the way; the caller frees it. */
enum outcome side_run(const struct bench *b, enum setup setup, const struct side *s, metrics *m,
                      char **why);

#endif
