/*
 * Trials: see trial.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/trial.h"

#include <stdlib.h>
#include <string.h>

bool dq_trial_way(const struct dq_trial *t)
{
    /* in turn: what else changes meanwhile meets both */
    return t->done < 2 * DQ_TRIAL_SAMPLES ? t->done % 2 : t->better;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *samples)
{
    qsort(samples, DQ_TRIAL_SAMPLES, sizeof(*samples), compare);
    return samples[DQ_TRIAL_SAMPLES / 2];
}

void dq_trial_took(struct dq_trial *t, uint64_t time)
{
    if (t->done < 2 * DQ_TRIAL_SAMPLES) {
        t->took[t->done % 2][t->done / 2] = time;
    }
    t->done++;
    if (t->done == 2 * DQ_TRIAL_SAMPLES) {
        uint64_t plain = median(t->took[0]);

        /* it must be worth the processor's time */
        t->better = median(t->took[1]) < plain - plain / 10;
    } else if (t->done == 2 * DQ_TRIAL_SAMPLES + DQ_TRIAL_TERM) {
        t->done = 0;
    }
}
