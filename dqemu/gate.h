/*
 * A gate: one thread waits until another opens it, awake for a moment (spin.h), then asleep.
 *
 * The opener's last access to the gate is the exchange that opens it; the wake that follows only
 * names the address, so the waiter may return, and reuse its stack, at any moment after that
 * (a stray wake is harmless: every sleeper looks at its word again). Who is awake costs the
 * opener no system call. Signals do not open a gate.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_GATE_H
#define DQ_GATE_H

#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dqemu/spin.h"

enum {
    DQ_GATE_CLOSED,
    DQ_GATE_OPEN,
    /* closed, and one sleeps; the other: one who counts as running (spin.h) once woken */
    DQ_GATE_ASLEEP,
    DQ_GATE_ASLEEP_COUNTED,
};

struct dq_gate {
    uint32_t word; /* as above; begins as DQ_GATE_CLOSED */
};

static inline bool dq_gate_is_open(const struct dq_gate *g)
{
    return __atomic_load_n(&g->word, __ATOMIC_ACQUIRE) == DQ_GATE_OPEN;
}

/*
 * For who sleeps with a futex call of his own: the value of the word to sleep on (0: it is open
 * already). `counted`: what dq_awake_end() said. Afterwards, woken or not, dq_gate_get_up().
 */
static inline uint32_t dq_gate_lie_down(struct dq_gate *g, bool counted)
{
    uint32_t closed = DQ_GATE_CLOSED;
    uint32_t asleep = counted ? DQ_GATE_ASLEEP_COUNTED : DQ_GATE_ASLEEP;

    return __atomic_compare_exchange_n(&g->word, &closed, asleep, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST)
               ? asleep
               : 0;
}

/* If the opener comes first, it has counted the sleeper: else that is still to be done. */
static inline void dq_gate_get_up(struct dq_gate *g, uint32_t asleep)
{
    bool counted = asleep == DQ_GATE_ASLEEP_COUNTED;

    if (__atomic_compare_exchange_n(&g->word, &asleep, DQ_GATE_CLOSED, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        if (counted) {
            dq_awake_begin();
        }
    } else if (counted) {
        dq_awake_was_begun();
    }
}

static inline void dq_gate_sleep(struct dq_gate *g, bool counted)
{
    uint32_t asleep = dq_gate_lie_down(g, counted);

    if (!asleep) {
        if (counted) {
            dq_awake_begin();
        }
        return;
    }
    while (!dq_gate_is_open(g)) {
        syscall(SYS_futex, &g->word, FUTEX_WAIT_PRIVATE, asleep, NULL, NULL, 0);
    }
    dq_gate_get_up(g, asleep);
}

static inline void dq_gate_wait_for(struct dq_gate *g, enum dq_spin_kind kind)
{
    bool counted = dq_awake_end();

    if (!dq_spin(&g->word, NULL, kind)) {
        dq_gate_sleep(g, counted);
    } else if (counted) {
        dq_awake_begin();
    }
}

static inline void dq_gate_wait(struct dq_gate *g)
{
    dq_gate_wait_for(g, DQ_SPIN_GATE);
}

static inline void dq_gate_open(struct dq_gate *g)
{
    uint32_t was = __atomic_exchange_n(&g->word, DQ_GATE_OPEN, __ATOMIC_SEQ_CST);

    if (was == DQ_GATE_ASLEEP_COUNTED) {
        dq_awake_begin_other();
    }
    if (was >= DQ_GATE_ASLEEP) {
        syscall(SYS_futex, &g->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

#endif
