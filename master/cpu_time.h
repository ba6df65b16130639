/*
 * The processor time that the program has used on other nodes: the kernel here knows of the master's
 * threads, and of proxies, which use next to none.
 *
 * Master only; guest threads and proxies, but for dq_cpu_time_message().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MASTER_CPU_TIME_H
#define DQ_MASTER_CPU_TIME_H

#include <stdint.h>

#include "proto/wire.h"

struct dq_cpu_time {
    uint64_t ns, user_us, system_us;
};

/*
 * Used by the guest's thread tid on other nodes, or by all threads there (0; then also as user and
 * system time, which the kernel estimates). Asks them, and waits for their loops: under no lock.
 */
void dq_cpu_time_elsewhere(uint32_t tid, struct dq_cpu_time *sum);

/* CPU, on the loop. -EPROTO: nobody has asked. */
int dq_cpu_time_message(const struct dq_msg_cpu *m);

#endif
