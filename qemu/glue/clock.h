/*
 * Time as the guest sees it, for files outside of linux-user too: the same on all nodes.
 *
 * With one node all of this is what the host says, as in QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_CLOCK_H
#define DQEMU_CLOCK_H

#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

/* In place of the host's functions, where a value is for the guest. */
int dq_clock_gettime(clockid_t clock, struct timespec *t);
int dq_gettimeofday(struct timeval *t, struct timezone *zone);
time_t dq_time(time_t *t);

/* Likewise, with the processor time that was used on other nodes; these ask them, and wait. */
int dq_getrusage(int who, struct rusage *r);
clock_t dq_times(struct tms *t);

/*
 * What the guest's counter registers count, in place of cpu_get_host_ticks(): with several nodes
 * the nanoseconds of the guest's CLOCK_MONOTONIC. (cpu_get_clock(), which others count, is in
 * clock.c as well.)
 */
int64_t dq_clock_ticks(void);

#endif
