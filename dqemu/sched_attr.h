/*
 * The kernel's struct sched_attr (sched_setattr(2)), which not every C library has, in its first version.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SCHED_ATTR_H
#define DQ_SCHED_ATTR_H

#include <stdint.h>

struct dq_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* ns; with SCHED_OTHER the time slice (Linux 6.12) */
    uint64_t deadline, period;
};

#endif
