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
#include "dqemu/translate.h"

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
