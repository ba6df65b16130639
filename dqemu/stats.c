/*
 * The counters of this node.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/stats.h"

struct dq_stat_cell dq_stat_cells[DQ_STAT_COUNT];

const struct dq_stat_info dq_stat_info[DQ_STAT_COUNT] = {
#define X(name, unit, help) {#name, unit, help},
#include "dqemu/stats.inc"
#undef X
};

void dq_stats_snapshot(uint64_t out[DQ_STAT_COUNT])
{
    for (int i = 0; i < DQ_STAT_COUNT; i++) {
        out[i] = __atomic_load_n(&dq_stat_cells[i].value, __ATOMIC_RELAXED);
    }
}

void dq_stats_reset(void)
{
    for (int i = 0; i < DQ_STAT_COUNT; i++) {
        __atomic_store_n(&dq_stat_cells[i].value, 0, __ATOMIC_RELAXED);
    }
}
