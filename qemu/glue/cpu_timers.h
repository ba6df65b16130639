/*
 * Timers of processor time, in place of the host's functions: linux-user/syscall.c includes this after
 * all others. Timers of other clocks, and all in a run of one node, are the host's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_GLUE_CPU_TIMERS_H
#define DQEMU_GLUE_CPU_TIMERS_H

#include <signal.h>
#include <sys/time.h>
#include <time.h>

int dq_setitimer(int which, const struct itimerval *value, struct itimerval *old);
int dq_getitimer(int which, struct itimerval *value);
int dq_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer);
int dq_timer_settime(timer_t timer, int flags, const struct itimerspec *value,
                     struct itimerspec *old);
int dq_timer_gettime(timer_t timer, struct itimerspec *value);
int dq_timer_getoverrun(timer_t timer);
int dq_timer_delete(timer_t timer);

/*
 * Sleeping by a clock; `host` is the kernel's call, which does not sleep if a signal is pending
 * (errno QEMU_ERESTARTSYS). -1 with errno.
 */
int dq_clock_nanosleep(int (*host)(clockid_t clock, int flags, const struct timespec *request,
                                   struct timespec *left),
                       clockid_t clock, int flags, const struct timespec *request,
                       struct timespec *left);

#ifndef DQEMU_HOST_TIMERS
#define setitimer dq_setitimer
#define getitimer dq_getitimer
#define timer_create dq_timer_create
#define timer_settime dq_timer_settime
#define timer_gettime dq_timer_gettime
#define timer_getoverrun dq_timer_getoverrun
#define timer_delete dq_timer_delete
#endif

#endif
