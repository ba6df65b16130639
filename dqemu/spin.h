/*
 * Waiting awake: a moment of looking at a word before sleeping until it changes. A sleep and a
 * wake-up cost more time than the answer of another node takes, the more so where the
 * processor falls idle meanwhile.
 *
 * Only while nobody else has a use for the processor: threads that run the guest's code say so
 * here, and a thread waits awake only while these and the ones that wait awake leave a processor
 * of those that this process may use to the loop. (To preempt a thread that is running can take
 * longer than to wake one on an idle processor: on a machine of one processor nobody waits awake.)
 * And only where it pays: who has waited in vain sleeps at once the next few times, more of them
 * each time; and who was preempted meanwhile knows that other processes want the processor.
 *
 * Any thread; nothing here blocks or locks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SPIN_H
#define DQ_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/* What is waited for: each thread learns for each of them by itself whether it pays. */
enum dq_spin_kind {
    DQ_SPIN_GATE,   /* the loop's answer */
    DQ_SPIN_RESULT, /* a slave's thread: what its proxy answers */
    DQ_SPIN_MAIL,   /* a proxy: what its thread asks next */
    DQ_SPIN_KINDS
};

/* How long to wait awake at most; 0: never. Once, before there are other threads. */
void dq_spin_init(uint32_t us);

/* This thread wants to run; it sleeps, or ends: then true if it was counted. */
void dq_awake_begin(void);
bool dq_awake_end(void);
/* Who wakes a thread counts it at once, so that others make room; the thread then knows it. */
void dq_awake_begin_other(void);
void dq_awake_was_begun(void);

/* Threads that are counted now, or wait awake. */
int dq_awake_count(void);

/*
 * Wait awake until *word is not zero, or *stop is not (NULL: none). True: *word is not zero, and
 * what was written before it can be read. The thread must not be counted (dq_awake_end()).
 */
bool dq_spin(const uint32_t *word, const int *stop, enum dq_spin_kind kind);

#endif
