/*
 * The guest's addresses beyond the first 64 TiB: see wide.h.
 *
 * What lies between the ranges is, once the guest has both, a mapping with DQ_PAGE_HOLE in QEMU's tree of
 * page flags: so nothing is placed there. What the guest could do to it by address is refused here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "user-mmap.h"
#include "target_mman.h"
#include "dqemu/split.h"
#include "dqemu/translate.h"
#include "map.h"
#include "wide.h"

/* Arguments of mmap() in memory, where that is the way to them, are not looked at. */
#if TARGET_LONG_BITS == 64 && !defined(TARGET_S390X)

#define WIDE_BYTES (DQ_WIDE_END - DQ_WIDE_START)

static bool reserved; /* by this node */
static bool is_wide;  /* the guest has the range. Set with the turn, or before there are threads */
static abi_ulong
    low_end; /* of the low range, likewise: the hole is between there and DQ_WIDE_START */

/* What the rest takes: the low range, the table of split lines, and some. */
static bool limit_allows(void)
{
    const rlim_t table = DQ_WIDE_END / DQ_SPLIT_LINE * sizeof(uint64_t), own = 1ull << 30;
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) == 0 &&
           limit.rlim_cur >= DQ_GUEST_SPACE + WIDE_BYTES + table + own;
}

bool dq_wide_reserve(void)
{
    void *place = (void *)(uintptr_t)DQ_WIDE_START;

    if (limit_allows()) {
        void *p = mmap(place, WIDE_BYTES, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

        reserved = p == place;
        if (!reserved && p != MAP_FAILED) { /* a kernel that takes it for a hint */
            munmap(p, WIDE_BYTES);
        }
    }
    return reserved;
}

void dq_wide_agree(bool all)
{
    if (reserved && !all) {
        munmap((void *)(uintptr_t)DQ_WIDE_START, WIDE_BYTES);
        reserved = false;
    }
}

uint64_t dq_wide_limit(void)
{
    return reserved ? DQ_WIDE_END : DQ_GUEST_SPACE;
}

uint64_t dq_wide_bytes(void)
{
    return reserved ? WIDE_BYTES : 0;
}

/* Of a node whose guest addresses are the host's, all that it has there itself. */
bool dq_wide_is_between(uint64_t addr)
{
    return is_wide && addr >= DQ_GUEST_SPACE && addr < DQ_WIDE_START;
}

/* With mmap_lock. */
static void close_hole(abi_ulong start, abi_ulong end)
{
    page_set_flags(start, end - 1, PAGE_VALID | PAGE_RESET | DQ_PAGE_HOLE);
}

void dq_wide_end_low(abi_ulong start)
{
    if (is_wide) {
        close_hole(start, low_end);
        low_end = start;
    } else {
        reserved_va = start - 1;
    }
}

static void open_wide(void)
{
    low_end = reserved_va + 1;
    mmap_lock();
    reserved_va = DQ_WIDE_END - 1;
    close_hole(low_end, DQ_WIDE_START);
    mmap_unlock();
    is_wide = true;
}

static void give_to_pager(void)
{
    madvise(g2h_untagged(DQ_WIDE_START), WIDE_BYTES, MADV_NOHUGEPAGE);
    if (dq_pager_register(DQ_WIDE_START, WIDE_BYTES)) {
        _exit(125); /* reported */
    }
}

void dq_wide_open_slave(void)
{
    if (reserved && guest_base == 0) {
        open_wide();
        give_to_pager();
    }
}

/* ---------------------------------------------------------------- calls */

/* What a call does to the addresses that are its arguments. */
enum deed {
    NONE,    /* or not by address */
    ASKS,    /* it would like to have them */
    CHANGES, /* how they are mapped: an error if they are not */
    REPLACES,
    UNMAPS,
};

struct deeds {
    enum deed deed;
    abi_ulong start, len;
    enum deed other; /* the second range of mremap() */
    abi_ulong to, to_len;
};

static enum deed deed_of_flags(abi_ulong addr, int flags)
{
    return flags & TARGET_MAP_FIXED ? REPLACES : addr ? ASKS : NONE;
}

static struct deeds deeds_of(int num, const abi_long arg[8])
{
    struct deeds d = {.start = cpu_untagged_addr(thread_cpu, arg[0]), .len = arg[1]};

    switch (num) {
#ifdef TARGET_NR_mmap
    case TARGET_NR_mmap:
        d.deed = deed_of_flags(d.start, arg[3]);
        break;
#endif
    case TARGET_NR_munmap:
        d.deed = UNMAPS;
        break;
    case TARGET_NR_mprotect:
    case TARGET_NR_madvise:
        d.deed = CHANGES;
        break;
    case TARGET_NR_mremap:
        d.deed = CHANGES;
        if (arg[3] & MREMAP_FIXED) {
            d.other = REPLACES;
            d.to = cpu_untagged_addr(thread_cpu, arg[4]);
            d.to_len = arg[2];
        }
        break;
#ifdef TARGET_NR_shmat
    case TARGET_NR_shmat: /* its size is not known: the kernel refuses one of a mapped place */
        d.start = cpu_untagged_addr(thread_cpu, arg[1]);
        d.len = TARGET_PAGE_SIZE;
        d.deed = d.start && arg[2] & SHM_REMAP ? REPLACES : d.start ? ASKS : NONE;
        break;
#endif
    default:
        break;
    }
    return d;
}

static bool lies_wide(enum deed deed, abi_ulong start, abi_ulong len)
{
    return (deed == ASKS || deed == REPLACES) && start >= DQ_WIDE_START && start < DQ_WIDE_END &&
           len <= DQ_WIDE_END - start;
}

/* Around the hole; nobody has mapped it. */
static abi_long unmap_around(abi_ulong start, abi_ulong end)
{
    abi_long ret = start < low_end ? get_errno(target_munmap(start, low_end - start)) : 0;

    return ret == 0 && end > DQ_WIDE_START
               ? get_errno(target_munmap(DQ_WIDE_START, end - DQ_WIDE_START))
               : ret;
}

/* What cannot be the guest's for another reason is not for here to say. */
static bool refuses(enum deed deed, abi_ulong start, abi_ulong len, abi_long *ret)
{
    abi_ulong end = start + TARGET_PAGE_ALIGN(len);

    if (deed == NONE || deed == ASKS || start & ~TARGET_PAGE_MASK || end <= start ||
        end > DQ_WIDE_END || start >= DQ_WIDE_START || end <= low_end) {
        return false;
    }
    *ret = deed == UNMAPS ? unmap_around(start, end) : -TARGET_ENOMEM;
    return true;
}

bool dq_wide_call(int num, const abi_long arg[8], abi_long *ret)
{
    struct deeds d;

    if (!reserved || guest_base != 0) {
        return false;
    }
    d = deeds_of(num, arg);
    if (!is_wide && !dq_is_child &&
        (lies_wide(d.deed, d.start, d.len) || lies_wide(d.other, d.to, d.to_len))) {
        open_wide();
        if (dq_engaged) {
            give_to_pager();
        }
    }
    return is_wide &&
           (refuses(d.deed, d.start, d.len, ret) || refuses(d.other, d.to, d.to_len, ret));
}

#else

bool dq_wide_reserve(void)
{
    return false;
}

void dq_wide_agree(bool all) {}

void dq_wide_open_slave(void) {}

uint64_t dq_wide_limit(void)
{
    return DQ_GUEST_SPACE;
}

uint64_t dq_wide_bytes(void)
{
    return 0;
}

bool dq_wide_is_between(uint64_t addr)
{
    return false;
}

void dq_wide_end_low(abi_ulong start)
{
    reserved_va = start - 1;
}

bool dq_wide_call(int num, const abi_long arg[8], abi_long *ret)
{
    return false;
}

#endif
