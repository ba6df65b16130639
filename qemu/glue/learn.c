/*
 * Parts of the memory map that a node has not heard of yet.
 *
 * What is mapped after the cluster was engaged is told to the node of the thread that has mapped it, and
 * to no other: most memory is used by one node alone, or unmapped before another one comes to it. Where a
 * node knows nothing, its host forbids all accesses, and the page flags are 0. A thread that meets such a
 * page asks the master, which tells the node of it, and of what is mapped alike around it, before it
 * answers. Then the access is made again; or it is the fault that it seemed to be.
 *
 * There are two ways to meet such a page: an instruction traps (signal.c, split.c), or a system call that
 * is executed here looks for its arguments (access_ok(), and before that syscall.c, which must find out
 * what is foreign).
 *
 * What was missing when an access was made may be there when somebody looks: another thread has asked, or the
 * mapping was on its way. So a fault in memory that is known is believed only if it comes again, and
 * nothing has been applied since it came last.
 *
 * A node's part of the map is right or missing, never out of date: who knows of a range hears of its
 * changes, and whoever changes it waits for that (master/map.h). The turn orders a question and a change:
 * the answer is behind all that the node was told before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/split.h"
#include "dqemu/translate.h"
#include "master/map.h"
#include "learn.h"
#include "map.h"
#include "target_cpu.h"

/* ---------------------------------------------------------------- on a slave */

static bool is_known(void *arg, int page_flags)
{
    return page_flags;
}

bool dq_learn(abi_ulong addr, abi_ulong len)
{
    struct dq_msg_map_ask m = {.start = addr & TARGET_PAGE_MASK};
    struct dq_remote *r;

    if (!dq_on_slave() || !len || !guest_range_valid_untagged(addr, len)) {
        return false;
    }
    m.length = ((addr + len - 1) | ~TARGET_PAGE_MASK) - m.start + 1;
    if (!dq_map_every(m.start, m.length, is_known, NULL)) {
        r = &dq_this_thread()->remote;
        m.tid = r->tid;
        dq_stat_add(maps_asked, 1);
        dq_remote_call(r, DQ_MSG_MAP_ASK, &m, sizeof(m), NULL, 0);
    }
    return true;
}

bool dq_learn_fault(abi_ulong addr, struct dq_doubt *doubt)
{
    unsigned now;

    if (!dq_learn(addr, 1) || !page_get_flags(addr)) {
        return false;
    }
    now = qatomic_load_acquire(&dq_maps_applied);
    if (doubt->any && doubt->page == (addr & TARGET_PAGE_MASK) && doubt->applied == now) {
        return false;
    }
    *doubt = (struct dq_doubt){.any = true, .page = addr & TARGET_PAGE_MASK, .applied = now};
    return true;
}

/* ---------------------------------------------------------------- on the master */

/* *first, *last: to where all is mapped as at `from`, but for what translations have changed. */
static int alike_around(abi_ulong from, abi_ulong *first, abi_ulong *last)
{
    abi_ulong next_first, next_last;
    int flags;

    mmap_lock();
    flags = page_entry(from, first, last);
    while (*first &&
           dq_map_told(page_entry(*first - 1, &next_first, &next_last)) == dq_map_told(flags)) {
        *first = next_first;
    }
    while (*last < reserved_va &&
           dq_map_told(page_entry(*last + 1, &next_first, &next_last)) == dq_map_told(flags)) {
        *last = next_last;
    }
    mmap_unlock();
    return flags;
}

/* The node knows nothing of the page, which is mapped. Returns the last address that it was told of. */
static abi_ulong teach_around(int node, abi_ulong page)
{
    abi_ulong from, to;
    int flags = alike_around(page, &from, &to);
    uint64_t first = from, last = to;

    dq_map_is_known(node, page, &first, &last);
    dq_map_exclude(first, last - first + 1); /* the node is going to open all of it */
    dq_map_tell_one(node, dq_map_op(flags), first, last - first + 1, dq_map_told(flags));
    return last;
}

void dq_teach(int node, abi_ulong start, abi_ulong len)
{
    abi_ulong last = start + len - 1, to;
    int flags;

    if (!len || !guest_range_valid_untagged(start, len)) {
        return;
    }
    for (abi_ulong from = start;; from = to + 1) {
        uint64_t first = from, end = last;
        bool known = dq_map_is_known(node, from, &first, &end);

        to = end;
        mmap_lock();
        flags = page_stretch(from, &to);
        mmap_unlock();
        if (!known && flags && !(flags & DQ_PAGE_HOLE)) {
            to = teach_around(node, from);
        }
        if (to >= last) {
            return;
        }
    }
}

void dq_teach_stack(CPUArchState *env, int node)
{
    abi_ulong below = (get_sp_from_cpustate(env) - 1) & TARGET_PAGE_MASK;

    dq_map_begin();
    dq_teach(node, below, TARGET_PAGE_SIZE);
    dq_split_include();
    dq_map_end();
}

int dq_teach_asked(int node, const struct dq_msg_map_ask *m)
{
    if ((m->start | m->length) & ~TARGET_PAGE_MASK || !m->length ||
        !guest_range_valid_untagged(m->start, m->length)) {
        return -EPROTO;
    }
    dq_map_begin();
    dq_teach(node, m->start, m->length);
    dq_split_include();
    dq_map_end();
    return 0;
}
