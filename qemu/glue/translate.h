/*
 * The hooks of the translator, in a header of their own: accel/tcg knows nothing of linux-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_TRANSLATE_H
#define DQEMU_TRANSLATE_H

/*
 * In cpu_exec(), around tb_gen_code(), in place of mmap_lock(): takes it, when the guest code at
 * `pc` is here, and stays, until the translation is done (or left by longjmp). dq_translate_end()
 * is called outside the lock.
 */
void dq_translate_lock(vaddr pc);
void dq_translate_end(void);

/* probe_access_internal(): is this in a page that is known by its flags alone (dq_page_beyond())? */
bool dq_is_beyond(vaddr addr);

/* translator_loop(), before each instruction: how it accesses memory (split.c). With mmap_lock. */
void dq_translate_insn(vaddr pc);

/*
 * atomic_mmu_lookup(), before it gives up: where the instruction is that cannot be executed beside
 * others. cpu_exec_step_atomic(), which then executes it alone: around all of it, and, in its exclusive
 * section, right before the instruction and at the end: it is alone on all nodes.
 */
void dq_atomic_at(CPUState *cpu, vaddr addr, unsigned size);
void dq_atomic_begin(void);
void dq_atomic_hold(void);
void dq_atomic_end(void);

/*
 * The host's address of a helper's access; like dq_redirect() in translated code (split.c). To be asked
 * if dq_split_count is not 0 (dqemu/split.h).
 */
#ifndef DQ_SPLIT_H
extern unsigned dq_split_count;
#endif
void *dq_split_access(CPUState *cpu, vaddr addr, unsigned size, bool store, uintptr_t ra);

/*
 * In user-exec.c: the flags of the page at `start`, and to which byte, *last at most, all pages have
 * them (0: nothing is mapped there). With mmap_lock.
 */
int page_stretch(target_ulong start, target_ulong *last);
/*
 * There, too: the flags of the page, and the first and the last byte around which they are those of one
 * entry of the table, in which neighbours may be alike; 0 where nothing is mapped. With mmap_lock.
 */
int page_entry(target_ulong address, target_ulong *first, target_ulong *last);

#endif
