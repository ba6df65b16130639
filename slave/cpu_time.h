/*
 * The processor time that guest threads have used here, for the master (master/cpu_time.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SLAVE_CPU_TIME_H
#define DQ_SLAVE_CPU_TIME_H

#include "proto/wire.h"

/* What this process has used until now does not count: no guest thread has run. */
void dq_cpu_time_begin(void);

/* CPU_ASK, on the loop: answers. */
void dq_cpu_time_asked(const struct dq_msg_cpu_ask *m);

#endif
