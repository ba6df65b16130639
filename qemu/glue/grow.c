/*
 * Memory that grows downwards (MAP_GROWSDOWN): an access below it maps what lies between.
 *
 * For the host's kernel the reserved range is in the way of its own growing, so it is done here: the
 * access traps, the instruction ends, and before it is executed again the master maps what was
 * missing. A thread elsewhere moves to the master for that. The rules are the kernel's: nothing lies
 * between, a gap stays to what is mapped below, and RLIMIT_STACK limits the whole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/resource.h>
#include "qemu/atomic.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/split.h"
#include "dqemu/translate.h"
#include "master/map.h"
#include "map.h"

#define GUARD_GAP (256 * (abi_ulong)TARGET_PAGE_SIZE) /* as the kernel's stack_guard_gap */

bool dq_grows;

/* This thread's latest access below such memory, which could not be mapped: it is a fault. */
static __thread abi_ptr refused = -1;

/* What is to be mapped so that `addr` is: [*start, *above), as `above` is. With mmap_lock. */
static bool find(abi_ptr addr, abi_ulong *start, abi_ulong *above)
{
    abi_ulong last = reserved_va;

    *start = addr & TARGET_PAGE_MASK;
    if (addr > reserved_va || page_stretch(*start, &last) || last == reserved_va) {
        return false;
    }
    *above = last + 1;
    last = *above;
    return page_stretch(*above, &last) & DQ_PAGE_GROWS;
}

bool dq_grow_may(abi_ptr addr)
{
    abi_ulong start, above;
    bool may;

    if (!qatomic_read(&dq_grows) || addr == refused) {
        return false;
    }
    mmap_lock();
    may = find(addr, &start, &above);
    mmap_unlock();
    return may;
}

/* Can some of it be accessed? With mmap_lock. */
static bool is_accessible(abi_ulong start, abi_ulong last)
{
    abi_ulong to = last;

    for (abi_ulong from = start; from <= last; from = to + 1, to = last) {
        if (page_stretch(from, &to) & PAGE_RWX) {
            return true;
        }
    }
    return false;
}

/* With mmap_lock. */
static bool is_allowed(abi_ulong start, abi_ulong above)
{
    abi_ulong end = reserved_va, below = start - MIN(start, GUARD_GAP);
    struct rlimit limit;

    page_stretch(above, &end);
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        end - start + 1 > limit.rlim_cur) {
        return false;
    }
    return below == start || !is_accessible(below, start - 1);
}

static bool map_between(abi_ulong start, abi_ulong above, int page_flags)
{
    int prot = dq_map_guest_prot(page_flags);
    int flags =
        dq_map_like(page_flags) | PAGE_RESET | (page_flags & (PAGE_ANON | PAGE_PASSTHROUGH));

    if (dq_engaged) {
        dq_map_exclude(start, above - start);
        return dq_map_allow(start, above - start, prot, flags);
    }
    if (!dq_map_protect_host(start, above - start, dq_map_host_prot(prot))) {
        return false;
    }
    mmap_lock();
    page_set_flags(start, above - 1, flags);
    mmap_unlock();
    return true;
}

/* Another thread may have been quicker: then there is nothing to do. */
static bool grow(abi_ptr addr)
{
    abi_ulong start, above;
    bool wanted, allowed;
    int flags;

    mmap_lock();
    wanted = find(addr, &start, &above);
    allowed = wanted && is_allowed(start, above);
    flags = wanted ? page_get_flags(above) : 0;
    mmap_unlock();
    return !wanted || (allowed && map_between(start, above, flags));
}

void dq_grow(CPUState *cpu, abi_ptr addr)
{
    if (dq_on_slave()) {
        dq_learn(addr, 1);
        if (page_get_flags(addr)) {
            return; /* something is mapped there */
        }
        dq_thread_move(cpu_env(cpu));
    }
    dq_map_begin();
    refused = grow(addr) ? (abi_ptr)-1 : addr;
    dq_split_include();
    dq_map_end();
}
