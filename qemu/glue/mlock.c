/*
 * Locked memory: mlock() and its kin with several nodes.
 *
 * The kernel is never asked to lock: mlockall() would populate what the emulator has reserved, which
 * is more than any machine has, and a page is on the node that uses it. So the ranges are kept here,
 * for the results that the kernel would give (RLIMIT_MEMLOCK, what is mapped), and their pages are
 * made present on the master. Whether the hosts swap is up to them.
 *
 * All of it with the turn, or before the guest has a second thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <linux/capability.h>
#include <sys/resource.h>
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/split.h"
#include "dqemu/translate.h"
#include "master/map.h"
#include "map.h"
#include "spans.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static struct dq_spans locked;
static bool lock_future, lock_on_fault; /* MCL_FUTURE, with MCL_ONFAULT */

/* ---------------------------------------------------------------- the ranges */

void dq_mlock_forget(abi_ulong start, abi_ulong len)
{
    dq_spans_remove(&locked, start, len);
}

void dq_mlock_move(abi_ulong start, abi_ulong len, abi_ulong to)
{
    dq_spans_move(&locked, start, len, to, false);
}

bool dq_mlock_any(abi_ulong start, abi_ulong len)
{
    return dq_spans_any(&locked, start, len);
}

static bool add_bytes(void *bytes, abi_ulong start, abi_ulong len)
{
    *(uint64_t *)bytes += len;
    return true;
}

static uint64_t locked_within(abi_ulong start, abi_ulong len)
{
    uint64_t bytes = 0;

    dq_spans_each(&locked, start, len, add_bytes, &bytes);
    return bytes;
}

/* ---------------------------------------------------------------- what may be locked */

static bool is_capable(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    return syscall(SYS_capget, &head, data) == 0 && data[0].effective >> CAP_IPC_LOCK & 1;
}

/* In bytes. */
static uint64_t limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_MEMLOCK, &r) || r.rlim_cur == RLIM_INFINITY || is_capable()) {
        return UINT64_MAX;
    }
    return r.rlim_cur & TARGET_PAGE_MASK;
}

static int add_mapped(void *bytes, target_ulong start, target_ulong end, unsigned long flags)
{
    *(uint64_t *)bytes += flags & PAGE_VALID ? (uint64_t)(end - 1) - start + 1 : 0;
    return 0;
}

static uint64_t mapped_bytes(void)
{
    uint64_t bytes = 0;

    walk_memory_regions(&bytes, add_mapped);
    return bytes;
}

/* ---------------------------------------------------------------- being present */

static void populate_kind(abi_ulong start, abi_ulong len, bool foreign, void *flags)
{
    if (dq_engaged && !foreign) {
        dq_pager_want(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS, false);
    } else if (!foreign && *(int *)flags & PAGE_WRITE) {
        madvise(g2h_untagged(start), len, MADV_POPULATE_WRITE);
    } else {
        madvise(g2h_untagged(start), len, MADV_POPULATE_READ);
    }
}

/* False: some of it cannot be accessed, and is left out. */
static bool populate(abi_ulong start, abi_ulong len)
{
    abi_ulong last = start + len - 1, to = last;
    bool all = true;
    int flags;

    dq_map_exclude(start, len);
    for (abi_ulong from = start;; from = to + 1, to = last) {
        mmap_lock();
        flags = page_stretch(from, &to);
        mmap_unlock();
        if (flags & (PAGE_READ | PAGE_EXEC)) {
            dq_map_each_kind(from, to - from + 1, populate_kind, &flags);
        } else {
            all = false;
        }
        if (to == last) {
            return all;
        }
    }
}

int dq_mlock_new(abi_ulong len, bool ask, bool *is_locked)
{
    *is_locked = ask || lock_future;
    if (ask && limit() == 0) {
        return EPERM;
    }
    return *is_locked && locked.bytes + len > limit() ? EAGAIN : 0;
}

int dq_mlock_grow(abi_ulong start, abi_ulong more)
{
    return dq_mlock_any(start, 1) && locked.bytes + more > limit() ? EAGAIN : 0;
}

void dq_mlock_add(abi_ulong start, abi_ulong len)
{
    dq_spans_add(&locked, start, len);
    if (!lock_on_fault) {
        populate(start, len);
    }
}

/* ---------------------------------------------------------------- the calls */

/* The whole pages of a range that a call names: 0, or an error. */
static int whole_pages(abi_ulong *start, abi_ulong *len)
{
    *len = TARGET_PAGE_ALIGN(*len + (*start & ~TARGET_PAGE_MASK));
    *start &= TARGET_PAGE_MASK;
    if (*start + *len < *start && *start + *len != 0) {
        return EINVAL;
    }
    return *len && !guest_range_valid_untagged(*start, *len) ? ENOMEM : 0;
}

/* What is mapped from the range's beginning on, up to the first gap. */
static abi_ulong mapped_part(abi_ulong start, abi_ulong len)
{
    abi_ulong last = start + len - 1, to = last;

    mmap_lock();
    for (abi_ulong from = start;; from = to + 1, to = last) {
        if (!(page_stretch(from, &to) & PAGE_VALID)) {
            len = from - start;
            break;
        }
        if (to == last) {
            break;
        }
    }
    mmap_unlock();
    return len;
}

static int mlock_range(abi_ulong start, abi_ulong len)
{
    uint64_t most = limit();
    abi_ulong part;
    int err;

    if (most == 0) {
        return EPERM;
    }
    err = whole_pages(&start, &len);
    if (err || !len) {
        return err;
    }
    if (locked.bytes - locked_within(start, len) + len > most) {
        return ENOMEM;
    }
    part = mapped_part(start, len);
    if (part) {
        dq_spans_add(&locked, start, part);
    }
    return part == len && populate(start, len) ? 0 : ENOMEM;
}

static int munlock_range(abi_ulong start, abi_ulong len)
{
    abi_ulong part;
    int err = whole_pages(&start, &len);

    if (err || !len) {
        return err;
    }
    part = mapped_part(start, len);
    if (part) {
        dq_mlock_forget(start, part);
    }
    return part == len ? 0 : ENOMEM;
}

static int lock_region(void *ranges, target_ulong start, target_ulong end, unsigned long flags)
{
    struct dq_run r = {start, end - start};

    if (flags & PAGE_VALID && !(flags & DQ_PAGE_HOLE) &&
        start <= reserved_va) { /* not a kernel's page above all others */
        g_array_append_val((GArray *)ranges, r);
    }
    return 0;
}

static void lock_all(bool on_fault)
{
    GArray *ranges = g_array_new(false, false, sizeof(struct dq_run));

    walk_memory_regions(ranges, lock_region);
    for (guint i = 0; i < ranges->len; i++) {
        const struct dq_run *r = &g_array_index(ranges, struct dq_run, i);

        dq_spans_add(&locked, r->page, r->count);
        if (!on_fault) {
            populate(r->page, r->count);
        }
    }
    g_array_free(ranges, true);
}

static int mlock_all(int arg)
{
    bool current = arg & TARGET_MCL_CURRENT, future = arg & TARGET_MCL_FUTURE;
    bool on_fault = arg & TARGET_MCL_ONFAULT;
    uint64_t most = limit();

    if (!current && !future) {
        return EINVAL;
    }
    if (most == 0) {
        return EPERM;
    }
    if (current && mapped_bytes() > most) {
        return ENOMEM;
    }
    lock_future = future;
    lock_on_fault = on_fault;
    if (current) {
        lock_all(on_fault);
    }
    return 0;
}

static int munlock_all(void)
{
    lock_future = lock_on_fault = false;
    dq_mlock_forget(0, 0); /* all */
    return 0;
}

/* Locks are not inherited. */
void dq_mlock_in_child(void)
{
    munlock_all();
}

static bool is_ours(int num)
{
    switch (num) {
#ifdef TARGET_NR_mlock
    case TARGET_NR_mlock:
#endif
#ifdef TARGET_NR_munlock
    case TARGET_NR_munlock:
#endif
#ifdef TARGET_NR_mlockall
    case TARGET_NR_mlockall:
#endif
#ifdef TARGET_NR_munlockall
    case TARGET_NR_munlockall:
#endif
        return true;
    default:
        return false;
    }
}

static int call(int num, abi_ulong start, abi_ulong len)
{
    switch (num) {
#ifdef TARGET_NR_mlock
    case TARGET_NR_mlock:
        return mlock_range(start, len);
#endif
#ifdef TARGET_NR_munlock
    case TARGET_NR_munlock:
        return munlock_range(start, len);
#endif
#ifdef TARGET_NR_mlockall
    case TARGET_NR_mlockall:
        return mlock_all(start);
#endif
    default:
        return munlock_all();
    }
}

bool dq_mlock_call(int num, const abi_long arg[8], abi_long *ret)
{
    if (!is_ours(num)) {
        return false;
    }
    dq_map_begin();
    errno = call(num, cpu_untagged_addr(thread_cpu, arg[0]), arg[1]);
    *ret = errno ? get_errno(-1) : 0;
    dq_split_include();
    dq_map_end();
    return true;
}
