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
 * The guest's memory, for us; waits for pages as any access does. The address was found valid, but
 * other threads may unmap or protect it at any time: false then, and whatever was copied before
 * remains. (The kernel says EFAULT where QEMU has it access the memory.)
 *
 * One word, aligned, which may be split. The exchange leaves what was there in *value: it took place if
 * that is unchanged.
 */
bool dq_guest_load32(abi_ulong addr, uint32_t *value);
bool dq_guest_cmpxchg32(abi_ulong addr, uint32_t *value, uint32_t new);
/* From or to pinned memory of the guest's (host addresses, dq_split_pin()). */
bool dq_guest_copy(void *to, const void *from, size_t length);

#endif
