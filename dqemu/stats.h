/*
 * The counters of this node (declared once, in dqemu/stats.inc).
 *
 * Any thread of any node may count; nothing blocks. Counts are exact, but a snapshot taken
 * while others count is not one moment in time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_STATS_H
#define DQ_STATS_H

#include <stdint.h>

enum dq_stat {
#define X(name, unit, help) DQ_STAT_##name,
#include "dqemu/stats.inc"
#undef X
    DQ_STAT_COUNT
};

struct dq_stat_info {
    const char *name, *unit, *help;
};
extern const struct dq_stat_info dq_stat_info[DQ_STAT_COUNT];

/* A cache line each: threads that count different things do not disturb one another. */
struct dq_stat_cell {
    _Alignas(64) uint64_t value;
};
extern struct dq_stat_cell dq_stat_cells[DQ_STAT_COUNT];

#define dq_stat_add(name, n)                                                                       \
    ((void)__atomic_fetch_add(&dq_stat_cells[DQ_STAT_##name].value, (uint64_t)(n),                 \
                              __ATOMIC_RELAXED))
/* For a count that another layer keeps (the transport's bytes). */
#define dq_stat_set(name, n)                                                                       \
    __atomic_store_n(&dq_stat_cells[DQ_STAT_##name].value, (uint64_t)(n), __ATOMIC_RELAXED)
#define dq_stat_get(name) __atomic_load_n(&dq_stat_cells[DQ_STAT_##name].value, __ATOMIC_RELAXED)

void dq_stats_snapshot(uint64_t out[DQ_STAT_COUNT]);
/* In a forked child, which counts for itself. */
void dq_stats_reset(void);

#endif
