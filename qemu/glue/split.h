/*
 * Split pages in the glue: see split.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_GLUE_SPLIT_H
#define DQEMU_GLUE_SPLIT_H

#include "dqemu/split.h"

/*
 * The end of the guest's address space becomes that of the shadow pages; without it, nothing is
 * split. At engagement, in the exclusive section; on a slave when the master has told it of that.
 */
void dq_split_engage(void);

/* A write of translated code at the host's `pc` has trapped (translate.c). May not return. */
void dq_translate_fault(CPUState *cpu, uintptr_t pc, const sigset_t *mask);

/* In a forked child, before it runs: nothing is split there any more. */
void dq_split_in_child(void);

/* After a translated block was left: what its trap on a split page asks for. May block. */
void dq_split_settle(CPUState *cpu);

/*
 * One word of the guest's memory, which may be split. The address is valid and aligned; waits for
 * the page as any access does.
 */
uint32_t dq_guest_load32(abi_ulong addr);
uint32_t dq_guest_cmpxchg32(abi_ulong addr, uint32_t old, uint32_t new);

#endif
