/*
 * The guest's addresses beyond the first 64 TiB: see wide.h.
 *
 * What lies below a range is, once the guest has it, a mapping with DQ_PAGE_HOLE in QEMU's tree of
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

static const struct range {
    abi_ulong start, end;
} upper[] = {
    {0x500000000000, 0x510000000000}, /* MemorySanitizer's shadow of the next */
    {0x550000000000, 0x555555550000}, /* to where the kernel may put a program, the emulator */
    {0x570000000000, 0x7e8000000000},
};

enum { UPPERS = G_N_ELEMENTS(upper), PROGRAMS = 1 };

#define WIDE_END (upper[UPPERS - 1].end)

static bool reserved; /* by this node */
/* Upper ranges that the guest has. Set with the turn, or before there are threads. */
static int opened;
static abi_ulong low_end; /* of the low range, likewise, once the guest has another one */

static abi_ulong length_of(const struct range *r)
{
    return r->end - r->start;
}

static uint64_t length_of_all(void)
{
    uint64_t bytes = 0;

    for (int i = 0; i < UPPERS; i++) {
        bytes += length_of(&upper[i]);
    }
    return bytes;
}

/* Beside the low range, the table of split lines, and some. */
static bool limit_allows(void)
{
    const rlim_t table = WIDE_END / DQ_SPLIT_LINE * sizeof(uint64_t), own = 1ull << 30;
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) == 0 &&
           limit.rlim_cur >= DQ_GUEST_SPACE + length_of_all() + table + own;
}

static bool reserve(const struct range *r)
{
    void *place = (void *)(uintptr_t)r->start;
    void *p = mmap(place, length_of(r), PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (p != place && p != MAP_FAILED) { /* a kernel that takes it for a hint */
        munmap(p, length_of(r));
    }
    return p == place;
}

static void give_up(int ranges)
{
    for (int i = 0; i < ranges; i++) {
        munmap((void *)(uintptr_t)upper[i].start, length_of(&upper[i]));
    }
}

bool dq_wide_reserve(void)
{
    int done = 0;

    if (!limit_allows()) {
        return false;
    }
    while (done < UPPERS && reserve(&upper[done])) {
        done++;
    }
    reserved = done == UPPERS;
    if (!reserved) {
        give_up(done);
    }
    return reserved;
}

void dq_wide_agree(bool all)
{
    if (reserved && !all) {
        give_up(UPPERS);
        reserved = false;
    }
}

uint64_t dq_wide_limit(void)
{
    return reserved ? WIDE_END : DQ_GUEST_SPACE;
}

uint64_t dq_wide_bytes(void)
{
    return reserved ? length_of_all() : 0;
}

/* What lies below an upper range that the guest has. */
static struct range hole_below(int i)
{
    return (struct range){i ? upper[i - 1].end : low_end, upper[i].start};
}

static bool meets_hole(abi_ulong start, abi_ulong end)
{
    for (int i = 0; i < opened; i++) {
        struct range hole = hole_below(i);

        if (start < hole.end && end > hole.start) {
            return true;
        }
    }
    return false;
}

/* The end of the low range, where shadow pages lie, is no hole to the pager. */
bool dq_wide_is_between(uint64_t addr)
{
    return addr >= DQ_GUEST_SPACE && meets_hole(addr, addr + 1);
}

/* With mmap_lock. */
static void close_hole(abi_ulong start, abi_ulong end)
{
    page_set_flags(start, end - 1, PAGE_VALID | PAGE_RESET | DQ_PAGE_HOLE);
}

void dq_wide_end_low(abi_ulong start)
{
    if (opened) {
        close_hole(start, low_end);
        low_end = start;
    } else {
        reserved_va = start - 1;
    }
}

static void give_to_pager(const struct range *r)
{
    madvise(g2h_untagged(r->start), length_of(r), MADV_NOHUGEPAGE);
    if (dq_pager_register(r->start, length_of(r))) {
        _exit(125); /* reported */
    }
}

/* From now on the guest has the first `count` of the upper ranges. */
static void open_upper(int count)
{
    if (!opened) {
        low_end = reserved_va + 1;
    }
    for (; opened < count; opened++) {
        struct range hole = hole_below(opened);

        mmap_lock();
        reserved_va = upper[opened].end - 1;
        close_hole(hole.start, hole.end);
        mmap_unlock();
        if (dq_engaged && !dq_is_child) {
            give_to_pager(&upper[opened]);
        }
    }
}

void dq_wide_open_slave(void)
{
    if (reserved && guest_base == 0) {
        open_upper(UPPERS);
        for (int i = 0; i < UPPERS; i++) {
            give_to_pager(&upper[i]);
        }
    }
}

/*
 * Room for the program's heap above it, then for the mappings up to the end of the range. QEMU looks for room
 * from there upwards, and then from the lowest addresses.
 */
void dq_guest_base_chosen(void)
{
#ifdef TARGET_X86_64
    const abi_ulong heap = 64ull << 30;

    if (reserved && guest_base == 0 && !dq_on_slave()) {
        open_upper(PROGRAMS + 1);
        elf_et_dyn_base = upper[PROGRAMS].start;
        task_unmapped_base = elf_et_dyn_base + heap;
        mmap_next_start = task_unmapped_base;
    }
#endif
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

/* The upper ranges that it needs, with what lies below each: how many. */
static int asks_for(enum deed deed, abi_ulong start, abi_ulong len)
{
    int count = UPPERS;

    if ((deed != ASKS && deed != REPLACES) || start > WIDE_END || len > WIDE_END - start) {
        return 0;
    }
    while (count && start + len <= (count > 1 ? upper[count - 2].end : DQ_GUEST_SPACE)) {
        count--;
    }
    return count;
}

/* What is done to a range is done to what is not the emulator's; nobody has mapped the rest. */
static abi_long outside_holes(abi_ulong start, abi_ulong end, abi_long (*fn)(abi_ulong, abi_ulong))
{
    abi_long ret = 0;

    for (int i = 0; i < opened && start < end && !is_error(ret); i++) {
        struct range hole = hole_below(i);

        if (start < hole.start) {
            ret = fn(start, MIN(hole.start, end) - start);
        }
        start = start < hole.end ? hole.end : start;
    }
    return start < end && !is_error(ret) ? fn(start, end - start) : ret;
}

static abi_long unmap(abi_ulong start, abi_ulong len)
{
    return get_errno(target_munmap(start, len));
}

static abi_long keep_free(abi_ulong start, abi_ulong len)
{
    return get_errno(target_mmap(start, len, PROT_NONE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0));
}

/*
 * Sanitizers forbid themselves the ranges that they have no use for. Of what is the emulator's, that is done: the
 * guest can do nothing with it.
 */
static bool keeps_free(int num, const abi_long arg[8])
{
#ifdef TARGET_NR_mmap
    return num == TARGET_NR_mmap && arg[2] == PROT_NONE && arg[3] & TARGET_MAP_ANONYMOUS &&
           (arg[3] & (TARGET_MAP_SHARED | TARGET_MAP_PRIVATE)) == TARGET_MAP_PRIVATE;
#else
    return false;
#endif
}

/* What cannot be the guest's for another reason is not for here to say. */
static bool refuses(enum deed deed, abi_ulong start, abi_ulong len, bool keeps, abi_long *ret)
{
    abi_ulong end = start + TARGET_PAGE_ALIGN(len);

    if (deed == NONE || deed == ASKS || start & ~TARGET_PAGE_MASK || end <= start ||
        end > WIDE_END || !meets_hole(start, end)) {
        return false;
    }
    *ret = -TARGET_ENOMEM;
    if (deed == UNMAPS) {
        *ret = outside_holes(start, end, unmap);
    } else if (keeps) {
        *ret = outside_holes(start, end, keep_free);
        *ret = is_error(*ret) ? *ret : start;
    }
    return true;
}

bool dq_wide_call(int num, const abi_long arg[8], abi_long *ret)
{
    struct deeds d;
    int count;

    if (!reserved || guest_base != 0) {
        return false;
    }
    d = deeds_of(num, arg);
    count = MAX(asks_for(d.deed, d.start, d.len), asks_for(d.other, d.to, d.to_len));
    if (count > opened) {
        open_upper(count);
    }
    return refuses(d.deed, d.start, d.len, keeps_free(num, arg), ret) ||
           refuses(d.other, d.to, d.to_len, false, ret);
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

void dq_guest_base_chosen(void) {}

void dq_wide_end_low(abi_ulong start)
{
    reserved_va = start - 1;
}

bool dq_wide_call(int num, const abi_long arg[8], abi_long *ret)
{
    return false;
}

#endif
