/*
 * Translation meets coherence: the pages of code are here, and stay, while they are translated, so
 * that no thread waits for another node under mmap_lock.
 *
 * A translation begins on one page and goes on to the next one only within its first instruction:
 * QEMU ends it before any later instruction that crosses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "exec/translation-block.h"
#include "accel/tcg/internal-common.h"
#include "tcg/tcg.h"
#include "split.h"
#include "dqemu/translate.h" /* after the module whose counter it looks at */

/* What is not executable, or not ours, the translator refuses, or sees without waiting. */
static bool is_code(vaddr page)
{
    const int code = PAGE_VALID | PAGE_EXEC;
    int flags = page_get_flags(page);

    return page <= reserved_va && (flags & code) == code && !(flags & DQ_PAGE_FOREIGN);
}

/* How many pages, from the one of `pc` on, the translator may read. */
static unsigned pages_of_code(vaddr pc)
{
    vaddr last = pc + DQ_ARCH_LONGEST_INSTRUCTION - 1;

    if (!is_code(pc & TARGET_PAGE_MASK)) {
        return 0;
    }
    return ((pc ^ last) & TARGET_PAGE_MASK) && is_code(last & TARGET_PAGE_MASK) ? 2 : 1;
}

void dq_translate_lock(vaddr pc)
{
    unsigned held, wanted;

    if (!dq_engaged) {
        mmap_lock();
        return;
    }
    wanted = pages_of_code(pc);
    do {
        held = wanted;
        dq_code_hold(pc >> DQ_PAGE_BITS, held);
        mmap_lock();
        wanted = pages_of_code(pc); /* with the lock, the map does not change any more */
        if (wanted > held) {
            mmap_unlock();
        }
    } while (wanted > held);
}

void dq_translate_end(void)
{
    if (dq_engaged) {
        dq_code_unhold();
    }
}

/*
 * Some processors see at once what they write into the code that they are about to execute, and the
 * emulator does it for them: a write to a page with code traps, its translations go, and if one of
 * them is running, it is left behind the instruction that writes. But while a translation runs,
 * its page may go to another node and its translations with it: then the write finds no translation
 * that it would change, and the running one would go on with what was there before. So a write
 * that traps in a translation that is gone already leaves that, too; the instruction is executed
 * again, alone.
 */
void dq_translate_fault(CPUState *cpu, uintptr_t pc, const sigset_t *mask)
{
#ifdef TARGET_HAS_PRECISE_SMC
    const TranslationBlock *tb = tcg_tb_lookup(pc);

    if (tb && (tb_cflags(tb) & CF_INVALID) && (tb_cflags(tb) & CF_COUNT_MASK) != 1) {
        cpu_restore_state(cpu, pc);
        cpu->cflags_next_tb = 1 | CF_NOIRQ | curr_cflags(cpu);
        sigprocmask(SIG_SETMASK, mask, NULL);
        cpu_loop_exit_noexc(cpu);
    }
#endif
}

/* ---------------------------------------------------------------- one instruction, alone */

/*
 * Where this thread's instruction accesses memory. Known for all instructions that a host with atomic
 * accesses of 16 bytes cannot execute beside others: those whose operand is not aligned.
 */
static __thread struct {
    abi_ulong addr;
    unsigned size; /* 0: none */
    bool held;
} atomic_access;

static uint64_t first_page(void)
{
    return atomic_access.addr >> DQ_PAGE_BITS;
}

static unsigned page_count(void)
{
    return ((atomic_access.addr + atomic_access.size - 1) >> DQ_PAGE_BITS) - first_page() + 1;
}

void dq_atomic_at(CPUState *cpu, vaddr addr, unsigned size)
{
    atomic_access.addr = cpu_untagged_addr(cpu, addr);
    atomic_access.size = dq_engaged ? size : 0;
}

/* Before the exclusive section: to join a page, others of this node must come by. */
void dq_atomic_begin(void)
{
    if (atomic_access.size) {
        dq_split_pin(atomic_access.addr, atomic_access.size);
    }
}

/*
 * In the exclusive section nobody else of this node is about to execute anything; nor is the memory
 * of these pages anybody else's. What is not mapped, or the master's, faults as it would.
 */
void dq_atomic_hold(void)
{
    const int wanted = PAGE_VALID | PAGE_READ | PAGE_WRITE_ORG;

    if (!atomic_access.size) {
        return;
    }
    for (unsigned i = 0; i < page_count(); i++) {
        int flags = page_get_flags((first_page() + i) << DQ_PAGE_BITS);

        if ((flags & wanted) != wanted || (flags & DQ_PAGE_FOREIGN)) {
            return;
        }
    }
    dq_pager_seize(first_page(), page_count());
    atomic_access.held = true;
}

void dq_atomic_end(void)
{
    if (atomic_access.held) {
        dq_pager_yield(first_page(), page_count());
        atomic_access.held = false;
    }
    if (atomic_access.size) {
        dq_split_unpin();
        atomic_access.size = 0;
    }
}
