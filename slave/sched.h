/*
 * How the kernel here schedules guest threads: as the master's kernel schedules their proxies, where
 * the guest's calls are executed and their errors come from. What this kernel does not allow is left as it
 * is.
 *
 * Slaves only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SLAVE_SCHED_H
#define DQ_SLAVE_SCHED_H

#include <stddef.h>

#include "dqemu/config.h"
#include "proto/wire.h"

struct dq_sched;

/* Before there are threads: which processors this process may use. `cfg` stays the caller's. */
void dq_sched_open(const struct dq_config *cfg);

/* SCHED: the caller's to g_free(). NULL: it makes no sense. */
struct dq_sched *dq_sched_read(const struct dq_msg_sched *m, size_t length);

/* A thread of this process. Does not block. */
void dq_sched_apply(const struct dq_sched *s, int host_tid);

#endif
