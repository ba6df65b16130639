/*
 * What the guest has said of ranges of its memory: that their pages are not needed any more, and what stays
 * with a range wherever it moves, until something else is mapped there: a forked child finds it empty
 * (MADV_WIPEONFORK), it is locked (mlock.c).
 *
 * The kernel keeps the former with its mappings, on the master, from which children are forked. But once the
 * cluster is engaged the guest's mappings come, go and move without the kernel's: so it is kept here, too, and
 * the kernel is told anew. In a forked child the kernel's mappings are the guest's again.
 *
 * Other advice has no effect here, as in plain QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/translate.h"
#include "user-mmap.h"
#include "master/map.h"
#include "map.h"
#include "source.h"
#include "spans.h"

static struct dq_spans wiped;
/* The kernel has been told of some range, perhaps of one that was refused in the end. */
static bool some_told;

/* ---------------------------------------------------------------- what stays with a range */

void dq_advice_clear_host(abi_ulong start, abi_ulong len)
{
    if (some_told) {
        madvise(g2h_untagged(start), len, MADV_KEEPONFORK);
    }
}

void dq_advice_forget(abi_ulong start, abi_ulong len)
{
    dq_mlock_forget(start, len);
    dq_spans_remove(&wiped, start, len);
}

static bool tell_host(void *distance, abi_ulong start, abi_ulong len)
{
    return madvise(g2h_untagged(start + *(abi_ulong *)distance), len, MADV_WIPEONFORK) == 0;
}

bool dq_advice_apply(abi_ulong start, abi_ulong len, abi_ulong to)
{
    abi_ulong distance = to - start;

    return dq_spans_each(&wiped, start, len, tell_host, &distance);
}

void dq_advice_move(abi_ulong start, abi_ulong len, abi_ulong to, bool keep)
{
    dq_mlock_move(start, len, to);
    dq_spans_move(&wiped, start, len, to, keep);
}

bool dq_advice_grow(abi_ulong end, abi_ulong more)
{
    abi_ulong here = 0;

    if (!dq_spans_any(&wiped, end - 1, 1)) {
        return true;
    }
    if (dq_engaged && !tell_host(&here, end, more)) {
        return false;
    }
    dq_spans_add(&wiped, end, more);
    return true;
}

void dq_advice_in_child(void)
{
    dq_mlock_in_child();
    dq_spans_remove(&wiped, 0, 0);
}

/* ---------------------------------------------------------------- untouched again */

static void dontneed(abi_ulong start, abi_ulong len, const void *source, void *arg)
{
    if (dq_engaged) {
        dq_map_exclude(start, len);
        dq_source_reset(start, len, source);
    } else if (source) {
        dq_source_restore(start, len, source);
    } else {
        madvise(g2h_untagged(start), len, MADV_DONTNEED);
    }
    mmap_lock();
    page_reset_target_data(start, start + len - 1);
    mmap_unlock();
}

static void dontneed_kind(abi_ulong start, abi_ulong len, bool foreign, void *arg)
{
    if (foreign) {
        madvise(g2h_untagged(start), len, MADV_DONTNEED);
    } else {
        dq_source_each(start, len, dontneed, NULL);
    }
}

/* ---------------------------------------------------------------- madvise() */

/* What is of a file, for the guest, is anonymous for the kernel, which would take it. */
static bool is_anonymous(void *arg, int page_flags)
{
    return page_flags & PAGE_ANON && !(page_flags & DQ_PAGE_FOREIGN);
}

/* With several nodes. False: QEMU finds an error in what the kernel says. */
static bool advise_forks(abi_ulong start, abi_ulong len, bool wipe, abi_long *ret)
{
    if (!page_check_range(start, len, PAGE_VALID | PAGE_PASSTHROUGH)) {
        return false;
    }
    *ret = -TARGET_EINVAL;
    if (!wipe || dq_map_every(start, len, is_anonymous, NULL)) {
        some_told = true;
        *ret =
            get_errno(madvise(g2h_untagged(start), len, wipe ? MADV_WIPEONFORK : MADV_KEEPONFORK));
    }
    if (*ret == 0 && wipe) {
        dq_spans_add(&wiped, start, len);
    } else if (*ret == 0) {
        dq_spans_remove(&wiped, start, len);
    }
    return true;
}

/* In the child of a fork what was a file's is still anonymous memory. */
bool dq_madvise(abi_ulong start, abi_ulong len, int advice, abi_long *ret)
{
    if (advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK) {
        return dq_config.nodes > 1 && advise_forks(start, len, advice == MADV_WIPEONFORK, ret);
    }
    if (advice == MADV_DONTNEED && dq_mlock_any(start, len)) {
        *ret = -TARGET_EINVAL;
        return true;
    }
    if ((!dq_engaged && !dq_source_within(start, len)) || advice != MADV_DONTNEED) {
        return false;
    }
    if (!page_check_range(start, len, PAGE_VALID)) {
        *ret = -TARGET_ENOMEM;
        return true;
    }
    if (!dq_engaged) {
        mmap_lock();
    }
    dq_map_each_kind(start, len, dontneed_kind, NULL);
    if (!dq_engaged) {
        mmap_unlock();
    }
    *ret = 0;
    return true;
}
