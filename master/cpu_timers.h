/*
 * Timers of processor time, and its limit: they count what all nodes use.
 *
 * The kernel's own would count this node's processes alone. So the loop looks, as long as some timer
 * runs: it reads the clocks of the timers, asking the other nodes for theirs, and looks again when the
 * first of them can have expired at the earliest, which is when all processors have worked for the
 * program in the meantime (one, for a thread's clock). That is never more often than a tick
 * of 4 ms. So an expiry is seen within a tick, plus the time that questions and answers take; the kernel
 * sees its own in its tick, too. Expiries that lie closer together are seen together: they are one
 * signal, and the others overruns.
 *
 * Master only, with several nodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MASTER_CPU_TIMERS_H
#define DQ_MASTER_CPU_TIMERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dqemu/cpu_time.h"

enum dq_cpu_clock {
    DQ_CPU_PROCESS, /* all that the program uses */
    DQ_CPU_USER,    /* of that, outside of the kernels, as they estimate it */
    DQ_CPU_THREAD,  /* one of its threads */
};

struct dq_cpu_timer_ops {
    /* The timer has expired `times` times since this was called last. On the loop; must not block. */
    void (*expired)(unsigned timer, uint64_t times);
    /* The limit of processor time is exceeded: this signal, please. On the loop. */
    void (*exceeded)(int sig);
};

#define DQ_CPU_TIMERS 34u /* numbered from 0 */

/* Before there are threads. `processors`: how many work for the program at the most. */
int dq_cpu_timers_open(const struct dq_cpu_timer_ops *ops, int processors);

/* Which clock a timer has (of which thread); it does not run. Any thread; does not block. */
void dq_cpu_timer_init(unsigned timer, enum dq_cpu_clock clock, uint32_t tid);
/*
 * It expires when its clock shows `expires` ns, and each `interval` after that; 0, once; expires = 0:
 * it does not run. *left and *was: as dq_cpu_timer_get() before that. Any thread; does not block.
 */
void dq_cpu_timer_set(unsigned timer, uint64_t now, uint64_t expires, uint64_t interval,
                      uint64_t *left, uint64_t *was);
/* When its clock shows `now`: what is left until it expires, at least 1; 0: it does not run. */
void dq_cpu_timer_get(unsigned timer, uint64_t now, uint64_t *left, uint64_t *interval);
/*
 * What its clock shows, exactly; -ESRCH: that thread has ended. Asks the other nodes, and waits: under
 * no lock, not on the loop.
 */
int dq_cpu_timer_now(unsigned timer, uint64_t *now);

/* What the clock of a thread of the guest shows; likewise. */
int dq_cpu_thread_now(uint32_t tid, uint64_t *now);
/*
 * The same of a thread that runs elsewhere: *t, with its `parts` or without. False: it is here, and what
 * the kernel says of it lacks *carried ns. Waits likewise.
 */
bool dq_cpu_thread_elsewhere(uint32_t tid, bool parts, struct dq_cpu_time *t, int64_t *carried);

/* After how many ns of real time the clock can show `left` more at the earliest; at least a tick. */
uint64_t dq_cpu_wait(enum dq_cpu_clock clock, uint64_t left);

/* The limit may have changed, or other nodes begin to count. Any thread; does not block. */
void dq_cpu_limit_changed(void);

/* In a forked child: no timer runs. */
void dq_cpu_timers_forked(void);

#endif
