/*
 * Translation meets coherence: a page of code is here, and stays, while it is translated, so
 * that no thread waits for another node under mmap_lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "dqemu/translate.h"

void dq_translate_begin(vaddr pc)
{
    int flags;

    if (!dq_engaged) {
        return;
    }
    /* what is not mapped, or not ours, is for the translator to find out: it reads nothing
     * from the page before it has checked its flags (it may become executable meanwhile) */
    flags = page_get_flags(pc);
    if ((flags & PAGE_VALID) && !(flags & DQ_PAGE_FOREIGN)) {
        dq_code_hold(pc >> DQ_PAGE_BITS);
    }
}

void dq_translate_end(void)
{
    if (dq_engaged) {
        dq_code_unhold();
    }
}
