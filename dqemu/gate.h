/*
 * A gate: one thread sleeps until another opens it. Lives on the sleeper's stack.
 *
 * The opener's last access to the gate is the store that opens it; the wake that follows only
 * names the address, so the sleeper may return, and reuse its stack, at any moment after the
 * store (a stray wake is harmless: every sleeper looks at its word again). Signals do not open a gate.
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

struct dq_gate {
    uint32_t open; /* 0, then 1 */
};

static inline void dq_gate_wait(struct dq_gate *g)
{
    while (!__atomic_load_n(&g->open, __ATOMIC_ACQUIRE)) {
        syscall(SYS_futex, &g->open, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

static inline void dq_gate_open(struct dq_gate *g)
{
    __atomic_store_n(&g->open, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &g->open, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#endif
