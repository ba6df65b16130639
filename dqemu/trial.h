/*
 * A trial of two ways to do something, on the job: which of them is quicker here and now?
 * Whether to wait awake pays depends on the processors, on who else uses them, and most of all on
 * the hypervisor; so it is tried: jobs are done one way and the other in turn, the better way for a
 * long while, and then it is tried again.
 *
 * Pure: no threads, no clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_TRIAL_H
#define DQ_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

/* Odd: the median of so many jobs stands for a way. One bad moment does not decide. */
#define DQ_TRIAL_SAMPLES 33u
/* Jobs done the better way before the next trial, which costs some 2 % if the worse is half as quick. */
#define DQ_TRIAL_TERM 4096u

/* Zeroed: a trial begins. */
struct dq_trial {
    uint64_t took[2][DQ_TRIAL_SAMPLES];
    unsigned done; /* jobs since the trial began */
    bool better;   /* the way that won */
};

/* Which way the next job is to be done. */
bool dq_trial_way(const struct dq_trial *t);
/* The job took so long (any unit). */
void dq_trial_took(struct dq_trial *t, uint64_t time);

#endif
