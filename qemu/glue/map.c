/*
 * The memory map of all nodes: what target_mmap() and its kin do once the cluster is engaged,
 * and what a slave does when it is told.
 *
 * A call has the turn (dq_syscall_begin() took it), so the map stands still for others. All
 * private memory, anonymous or of a file, lives in the reserved range as anonymous memory
 * under the pager: mapping is mprotect() there, on every node. Memory that others can see
 * (MAP_SHARED) is the kernel's own mapping on the master; elsewhere a thread that touches it
 * moves to the master.
 *
 * Unmapping: first the master, then every node forbids the range (so no access begins that
 * the map does not allow any more), then the homes reset its pages; only then the call
 * returns. A fault that was under way may still bring a page of zeroes into a forbidden
 * range: the directory knows of it, and zeroes are what a later mapping starts with.
 *
 * A private mapping of a file is read when it is made; what somebody writes to the file
 * afterwards is not seen until MADV_DONTNEED (POSIX leaves that open). See source.h. Pages
 * beyond the end of the file at that time are foreign: the kernel raises SIGBUS, or not, if
 * the file has grown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/cutils.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "user-mmap.h"
#include "target_mman.h"
#include "master/map.h"
#include "source.h"
#include "split.h"

#define PREFETCH_PAGES (DQ_PREFETCH_BYTES >> DQ_PAGE_BITS)

/* Sub-calls of ipc(), where that is the way to them; <linux/ipc.h> has them, as SHMAT and SHMDT. */
#define IPC_SHMAT 21
#define IPC_SHMDT 22

static int host_prot(int prot)
{
    return (prot & (PROT_READ | PROT_WRITE)) | (prot & PROT_EXEC ? PROT_READ : 0);
}

bool dq_map_attaches(int num, abi_long arg)
{
    switch (num) {
#ifdef TARGET_NR_shmat
    case TARGET_NR_shmat:
        return true;
#endif
#ifdef TARGET_NR_ipc
    case TARGET_NR_ipc:
        return (arg & 0xffff) == IPC_SHMAT;
#endif
    default:
        return false;
    }
}

bool dq_map_call(int num, abi_long arg)
{
    switch (num) {
#ifdef TARGET_NR_mmap
    case TARGET_NR_mmap:
#endif
#ifdef TARGET_NR_mmap2
    case TARGET_NR_mmap2:
#endif
    case TARGET_NR_munmap:
    case TARGET_NR_mprotect:
    case TARGET_NR_mremap:
    case TARGET_NR_brk:
    case TARGET_NR_madvise:
#ifdef TARGET_NR_shmdt
    case TARGET_NR_shmdt:
#endif
        return true;
#ifdef TARGET_NR_ipc
    case TARGET_NR_ipc:
        return dq_map_attaches(num, arg) || (arg & 0xffff) == IPC_SHMDT;
#endif
    default:
        return dq_map_attaches(num, arg) || dq_arch_syscall_is_masters(num);
    }
}

/*
 * Call fn for each stretch of [start, start + len) that is foreign, or is not. Without any
 * foreign memory (the usual case) that is one call.
 */
static void for_each_kind(abi_ulong start, abi_ulong len,
                          void (*fn)(abi_ulong start, abi_ulong len, bool foreign, void *arg),
                          void *arg)
{
    uint64_t from = start, end = (uint64_t)start + len; /* the end may be that of all addresses */

    if (!dq_foreign) {
        fn(start, len, false, arg);
        return;
    }
    while (from < end) {
        bool foreign = page_get_flags(from) & DQ_PAGE_FOREIGN;
        uint64_t to = from + TARGET_PAGE_SIZE;

        while (to < end && !!(page_get_flags(to) & DQ_PAGE_FOREIGN) == foreign) {
            to += TARGET_PAGE_SIZE;
        }
        fn(from, to - from, foreign, arg);
        from = to;
    }
}

/* ---------------------------------------------------------------- unmapping */

/* Is nothing mapped there? (Others may split the tree's nodes for translated code.) */
static bool is_empty(abi_ulong start, abi_ulong len)
{
    bool empty;

    mmap_lock();
    empty = page_check_range_empty(start, start + len - 1);
    mmap_unlock();
    return empty;
}

/* Back to reserved memory under the pager. With mmap_lock. */
static void forbid_host(abi_ulong start, abi_ulong len, bool foreign, void *arg)
{
    void *host = g2h_untagged(start);

    if (!foreign && mprotect(host, len, PROT_NONE) == 0) {
        return;
    }
    if (mmap(host, len, PROT_NONE, MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1,
             0) != host ||
        dq_pager_register(start, len)) {
        dq_control_error(125,
                         "cannot reserve guest memory again: %s; too many mappings? raise "
                         "vm.max_map_count",
                         strerror(errno));
        _exit(125);
    }
}

/* What is split in the range is joined, and nothing is split until the call ends. */
static void exclude(abi_ulong start, abi_ulong len)
{
    dq_split_exclude(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
}

/* No node maps the range any more, and its pages are untouched. */
static void forget(abi_ulong start, abi_ulong len)
{
    exclude(start, len);
    mmap_lock();
    for_each_kind(start, len, forbid_host, NULL);
    page_set_flags(start, start + len - 1, 0);
    shm_region_rm_complete(start, start + len - 1);
    mmap_unlock();
    dq_map_tell(DQ_MAP_FORBID, start, len, 0);
    dq_map_wait();
    dq_source_forget(start, len);
    dq_pager_reset(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
}

/* In the child of a fork, QEMU's own function does the rest. */
static void forget_in_child(abi_ulong start, abi_ulong len)
{
    if (dq_source_any()) {
        mmap_lock();
        dq_source_forget(start, len);
        mmap_unlock();
    }
}

bool dq_munmap(abi_ulong start, abi_ulong len, int *ret)
{
    if (!dq_engaged) {
        forget_in_child(start, len);
        return false;
    }
    if (!is_empty(start, len)) {
        forget(start, len);
    }
    *ret = 0;
    return true;
}

/* ---------------------------------------------------------------- mapping */

/*
 * Let the host's kernel judge the request (descriptor, access mode, type of file, limits) on
 * a mapping elsewhere: it is returned, or MAP_FAILED with errno.
 */
static void *try_mapping(abi_ulong len, int prot, int flags, int fd, off_t offset)
{
    flags &= ~(MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_POPULATE | MAP_LOCKED | MAP_GROWSDOWN);
    return mmap(NULL, len, host_prot(prot), flags, fd, offset);
}

/* Where the new mapping goes, or -1 with errno. */
static abi_ulong choose_address(abi_ulong start, abi_ulong len, int flags)
{
    if (flags & MAP_FIXED_NOREPLACE) {
        if (!is_empty(start, len)) {
            errno = EEXIST;
            return -1;
        }
    } else if (!(flags & MAP_FIXED)) {
        mmap_lock();
        start = mmap_find_vma(start, len, TARGET_PAGE_SIZE);
        mmap_unlock();
        if (start == (abi_ulong)-1) {
            errno = ENOMEM;
        }
    }
    return start;
}

/* Private memory is there for every node, or (see arch.c) for threads of the master alone. */
void dq_map_tell_private(abi_ulong start, abi_ulong len, int page_flags)
{
    bool masters = dq_arch_page_is_masters(page_flags);

    dq_map_tell(masters ? DQ_MAP_FOREIGN : DQ_MAP_SET, start, len, page_flags);
}

/* False, with errno: the kernel has no room for another mapping; nothing has changed. */
static bool allow(abi_ulong start, abi_ulong len, int prot, int page_flags)
{
    int err;

    mmap_lock();
    err = mprotect(g2h_untagged(start), len, host_prot(prot)) ? errno : 0;
    if (!err) {
        page_set_flags(start, start + len - 1, page_flags);
    }
    mmap_unlock();
    if (err) {
        errno = err;
        return false;
    }
    dq_map_tell_private(start, len, page_flags);
    dq_map_wait();
    return true;
}

/* `mapping` is the kernel's, somewhere; it becomes the guest's range. */
static abi_long map_foreign(abi_ulong start, abi_ulong len, void *mapping, int page_flags)
{
    void *host = g2h_untagged(start);

    page_flags |= PAGE_RESET | PAGE_PASSTHROUGH | DQ_PAGE_FOREIGN;
    dq_foreign = true;
    mmap_lock();
    if (mremap(mapping, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, host) != host) {
        mmap_unlock();
        return -1;
    }
    page_set_flags(start, start + len - 1, page_flags);
    mmap_unlock();
    dq_map_tell(DQ_MAP_FOREIGN, start, len, page_flags);
    dq_map_wait();
    return start;
}

static void fill(abi_ulong start, abi_ulong len, const void *source)
{
    if (source) {
        dq_source_copy(g2h_untagged(start), source, len);
    }
}

/* Likewise, but private and of a file (fd: to find its holes, or -1). */
static abi_long map_file(abi_ulong start, abi_ulong len, char *mapping, int prot, int page_flags,
                         int fd, off_t offset)
{
    abi_ulong inside = dq_source_in_file(mapping, len);

    if (inside < len) {
        mprotect(mapping + inside, len - inside, host_prot(prot));
        if (map_foreign(start + inside, len - inside, mapping + inside, page_flags) == -1) {
            return -1;
        }
    }
    if (inside) {
        GArray *extents = dq_source_extents(fd, offset, inside);

        mprotect(mapping, inside, PROT_READ);
        if (mprotect(g2h_untagged(start), inside, PROT_READ | PROT_WRITE)) {
            g_array_free(extents, true);
            return -1;
        }
        dq_source_add(start, inside, mapping, extents);
        g_array_free(extents, true);
        dq_source_each(start, inside, fill);
        if (!allow(start, inside, prot, page_flags | PAGE_RESET | PAGE_PASSTHROUGH)) {
            return -1;
        }
    }
    return start;
}

/* The kernel's mapping goes where it belongs, or away. */
static abi_long place(abi_ulong start, abi_ulong len, int prot, int flags, int page_flags,
                      void *mapping, int fd, off_t offset)
{
    abi_long ret;

    if (flags & MAP_ANONYMOUS && (flags & MAP_TYPE) == MAP_PRIVATE) {
        munmap(mapping, len);
        page_flags |= PAGE_RESET | PAGE_PASSTHROUGH | PAGE_ANON;
        return allow(start, len, prot, page_flags) ? (abi_long)start : -1;
    }
    if ((flags & MAP_TYPE) == MAP_PRIVATE) {
        int file = dq_source_reopen(fd, len);

        ret = map_file(start, len, mapping, prot, page_flags, file, offset);
        if (file >= 0) {
            close(file);
        }
    } else {
        ret = map_foreign(start, len, mapping, page_flags);
    }
    if (ret == -1) {
        int err = errno;
        munmap(mapping, len);
        errno = err;
    }
    return ret;
}

bool dq_mmap(abi_ulong start, abi_ulong len, int prot, int flags, int page_flags, int fd,
             off_t offset, abi_long *ret)
{
    void *mapping;

    if (!dq_engaged) {
        if (flags & MAP_FIXED) {
            forget_in_child(start, len);
        }
        return false;
    }
    *ret = -1;
    mapping = try_mapping(len, prot, flags, fd, offset);
    if (mapping == MAP_FAILED) {
        return true;
    }
    start = choose_address(start, len, flags);
    if (start == (abi_ulong)-1) {
        int err = errno;
        munmap(mapping, len);
        errno = err;
        return true;
    }
    exclude(start, len); /* an attempt may be under way to split what was there before */
    if (!is_empty(start, len)) {
        forget(start, len);
    }
    *ret = place(start, len, prot, flags, page_flags, mapping, fd, offset);
    return true;
}

/* ---------------------------------------------------------------- protection */

struct protection {
    int prot, page_flags, err;
};

static void protect_kind(abi_ulong start, abi_ulong len, bool foreign, void *arg)
{
    struct protection *p = arg;
    int flags = p->page_flags | (foreign ? DQ_PAGE_FOREIGN : 0);

    mmap_lock();
    if (mprotect(g2h_untagged(start), len, host_prot(p->prot))) {
        p->err = errno;
    } else {
        page_set_flags(start, start + len - 1, flags);
    }
    mmap_unlock();
    if (!p->err && foreign) {
        dq_map_tell(DQ_MAP_FOREIGN, start, len, flags);
    } else if (!p->err) {
        dq_map_tell_private(start, len, flags);
    }
}

bool dq_mprotect(abi_ulong start, abi_ulong len, int prot, int page_flags, int *ret)
{
    struct protection p = {prot, page_flags, 0};

    if (!dq_engaged) {
        return false;
    }
    if (!page_check_range(start, len, PAGE_VALID)) {
        *ret = -TARGET_ENOMEM;
        return true;
    }
    exclude(start, len);
    for_each_kind(start, len, protect_kind, &p);
    dq_map_wait();
    errno = p.err;
    *ret = p.err ? get_errno(-1) : 0;
    return true;
}

/* ---------------------------------------------------------------- moving */

static int guest_prot(int page_flags)
{
    return (page_flags & PAGE_READ ? PROT_READ : 0) |
           (page_flags & PAGE_WRITE_ORG ? PROT_WRITE : 0) |
           (page_flags & PAGE_EXEC ? PROT_EXEC : 0);
}

static int mirror_flags(int page_flags)
{
    int flags = page_flags & ~(PAGE_WRITE_ORG | PAGE_WRITE_INV | PAGE_ANON | PAGE_PASSTHROUGH);
    return page_flags & PAGE_WRITE_ORG ? flags | PAGE_WRITE : flags;
}

/* The kernel moves its own mapping. */
static abi_long remap_foreign(abi_ulong old_addr, abi_ulong old_size, abi_ulong new_size,
                              abi_ulong new_addr)
{
    int flags = mirror_flags(page_get_flags(old_addr)) | PAGE_RESET;
    void *host = mremap(g2h_untagged(old_addr), old_size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED,
                        g2h_untagged(new_addr));

    if (host == MAP_FAILED) {
        return -1;
    }
    mmap_lock();
    page_set_flags(new_addr, new_addr + new_size - 1, flags);
    mmap_unlock();
    if (old_size) { /* zero: a second mapping of the same memory */
        forget(old_addr, old_size);
    }
    dq_map_tell(DQ_MAP_FOREIGN, new_addr, new_size, flags);
    dq_map_wait();
    return new_addr;
}

/* Private memory is copied: its pages may be anywhere. Zeroes need not be: they are there. */
static bool copy_pages(abi_ulong from, abi_ulong to, abi_ulong len)
{
    if (mprotect(g2h_untagged(from), len, PROT_READ) ||
        mprotect(g2h_untagged(to), len, PROT_READ | PROT_WRITE)) {
        return false;
    }
    for (abi_ulong done = 0; done < len; done += TARGET_PAGE_SIZE) {
        void *page = g2h_untagged(from + done);

        if (done % (PREFETCH_PAGES * TARGET_PAGE_SIZE) == 0) {
            dq_pager_want((from + done) >> DQ_PAGE_BITS,
                          MIN(PREFETCH_PAGES, (len - done) >> DQ_PAGE_BITS), false);
        }
        if (!buffer_is_zero(page, TARGET_PAGE_SIZE)) {
            memcpy(g2h_untagged(to + done), page, TARGET_PAGE_SIZE);
        }
    }
    return true;
}

/* Private memory at the end of a mapping grows. */
static bool extend(abi_ulong start, abi_ulong len, int old_flags)
{
    int flags = mirror_flags(old_flags) | (old_flags & (PAGE_ANON | PAGE_PASSTHROUGH));
    void *more = dq_source_grow(start, len);

    exclude(start, len);
    if (more == MAP_FAILED) {
        return false;
    }
    if (more) {
        return map_file(start, len, more, guest_prot(old_flags), flags, -1, 0) != -1;
    }
    return allow(start, len, guest_prot(old_flags), flags | PAGE_RESET);
}

static abi_long remap_private(abi_ulong old_addr, abi_ulong old_size, abi_ulong new_size,
                              abi_ulong new_addr)
{
    int old_flags = page_get_flags(old_addr);
    int flags = mirror_flags(old_flags) | PAGE_RESET | (old_flags & (PAGE_ANON | PAGE_PASSTHROUGH));

    int err;

    exclude(old_addr, old_size);
    exclude(new_addr, new_size);
    if (!copy_pages(old_addr, new_addr, old_size) ||
        !allow(new_addr, old_size, guest_prot(old_flags), flags)) {
        err = errno;
    } else {
        dq_source_move(old_addr, old_size, new_addr);
        if (new_size == old_size || extend(new_addr + old_size, new_size - old_size, old_flags)) {
            forget(old_addr, old_size);
            return new_addr;
        }
        err = errno;
        dq_source_move(new_addr, old_size, old_addr);
    }
    /* the old mapping stays as it was */
    forget(new_addr, new_size);
    mprotect(g2h_untagged(old_addr), old_size, host_prot(guest_prot(old_flags)));
    errno = err;
    return -1;
}

struct remap {
    abi_ulong from, end, to, grow; /* the last part grows */
    bool failed;
};

static void remap_kind(abi_ulong start, abi_ulong len, bool foreign, void *arg)
{
    struct remap *r = arg;
    abi_ulong new_len = len + (start + len == r->end ? r->grow : 0);
    abi_ulong to = r->to + (start - r->from);

    if (!r->failed) {
        r->failed = (foreign ? remap_foreign(start, len, new_len, to)
                             : remap_private(start, len, new_len, to)) == -1;
    }
}

/* Where a mapping that must move goes, its place forgotten; or -1 with errno. */
static abi_ulong move_target(abi_ulong old_addr, abi_ulong old_size, abi_ulong new_size,
                             unsigned long flags, abi_ulong new_addr)
{
    if (!(flags & MREMAP_FIXED)) {
        return choose_address(0, new_size, 0);
    }
    if ((new_addr & ~TARGET_PAGE_MASK) || !(flags & MREMAP_MAYMOVE) ||
        (new_addr < old_addr + old_size && old_addr < new_addr + new_size)) {
        errno = EINVAL;
        return -1;
    }
    if (!is_empty(new_addr, new_size)) {
        forget(new_addr, new_size);
    }
    return new_addr;
}

static abi_long remap(abi_ulong old_addr, abi_ulong old_size, abi_ulong new_size,
                      unsigned long flags, abi_ulong new_addr)
{
    int page_flags = page_get_flags(old_size ? old_addr + old_size - 1 : old_addr);
    bool foreign = page_flags & DQ_PAGE_FOREIGN;
    struct remap r = {.from = old_addr};

    if (!(flags & MREMAP_FIXED) && old_size) {
        if (new_size <= old_size) {
            if (new_size < old_size) {
                forget(old_addr + new_size, old_size - new_size);
            }
            return old_addr;
        }
        if (!foreign && guest_range_valid_untagged(old_addr, new_size) &&
            is_empty(old_addr + old_size, new_size - old_size)) {
            if (!extend(old_addr + old_size, new_size - old_size, page_flags)) {
                return -1;
            }
            return old_addr;
        }
        if (!(flags & MREMAP_MAYMOVE)) {
            errno = ENOMEM;
            return -1;
        }
    }
    new_addr = move_target(old_addr, old_size, new_size, flags, new_addr);
    if (new_addr == (abi_ulong)-1) {
        return -1;
    }
    if (!old_size) {
        return remap_foreign(old_addr, old_size, new_size, new_addr);
    }
    if (new_size < old_size) {
        forget(old_addr + new_size, old_size - new_size);
        old_size = new_size;
    }
    r.end = old_addr + old_size;
    r.to = new_addr;
    r.grow = new_size - old_size;
    for_each_kind(old_addr, old_size, remap_kind, &r);
    return r.failed ? (abi_ulong)-1 : new_addr;
}

bool dq_mremap(abi_ulong old_addr, abi_ulong old_size, abi_ulong new_size, unsigned long flags,
               abi_ulong new_addr, abi_long *ret)
{
    old_size = TARGET_PAGE_ALIGN(old_size);
    new_size = TARGET_PAGE_ALIGN(new_size);
    if (!dq_engaged) {
        if (old_size) {
            forget_in_child(old_addr, old_size);
        }
        if (flags & MREMAP_FIXED && new_size) {
            forget_in_child(new_addr, new_size);
        }
        return false;
    }
    *ret = -1;
    if ((old_addr & ~TARGET_PAGE_MASK) || !new_size ||
        (flags & ~(unsigned long)(MREMAP_MAYMOVE | MREMAP_FIXED)) ||
        ((flags & MREMAP_FIXED) && !guest_range_valid_untagged(new_addr, new_size))) {
        errno = EINVAL;
    } else if (!guest_range_valid_untagged(old_addr, old_size ? old_size : 1) ||
               !page_check_range(old_addr, old_size ? old_size : 1, PAGE_VALID)) {
        errno = EFAULT;
    } else if (!old_size && !(page_get_flags(old_addr) & DQ_PAGE_FOREIGN)) {
        errno = EINVAL; /* only shared memory can be mapped twice */
    } else {
        *ret = remap(old_addr, old_size, new_size, flags, new_addr);
    }
    return true;
}

/* ---------------------------------------------------------------- advice */

static void dontneed(abi_ulong start, abi_ulong len, const void *source)
{
    if (source) {
        exclude(start, len);
        dq_source_restore(start, len, source);
    } else if (dq_engaged) {
        exclude(start, len);
        dq_pager_reset(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
    } else {
        madvise(g2h_untagged(start), len, MADV_DONTNEED);
    }
}

static void dontneed_kind(abi_ulong start, abi_ulong len, bool foreign, void *arg)
{
    if (foreign) {
        madvise(g2h_untagged(start), len, MADV_DONTNEED);
    } else {
        dq_source_each(start, len, dontneed);
    }
}

/* In the child of a fork what was a file's is still anonymous memory. */
bool dq_madvise(abi_ulong start, abi_ulong len, int advice, abi_long *ret)
{
    if ((!dq_engaged && !dq_source_any()) || advice != MADV_DONTNEED) {
        return false;
    }
    if (!page_check_range(start, len, PAGE_VALID)) {
        *ret = -TARGET_ENOMEM;
        return true;
    }
    if (!dq_engaged) {
        mmap_lock();
    }
    for_each_kind(start, len, dontneed_kind, NULL);
    if (!dq_engaged) {
        mmap_unlock();
    }
    *ret = 0;
    return true;
}

/* ---------------------------------------------------------------- System V */

void dq_shm_attached(abi_ulong start, abi_ulong len)
{
    int flags;

    if (!dq_engaged) {
        forget_in_child(start, len);
        return;
    }
    /* whatever was there before (SHM_REMAP) is gone on the master; now elsewhere */
    dq_map_tell(DQ_MAP_FORBID, start, len, 0);
    dq_map_wait();
    dq_source_forget(start, len);
    dq_pager_reset(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
    dq_foreign = true;
    flags = mirror_flags(page_get_flags(start)) | PAGE_RESET | DQ_PAGE_FOREIGN;
    mmap_lock();
    page_set_flags(start, start + len - 1, flags);
    mmap_unlock();
    dq_map_tell(DQ_MAP_FOREIGN, start, len, flags);
    dq_map_wait();
}

void dq_shm_detached(abi_ulong start, abi_ulong len)
{
    if (!dq_engaged) {
        return;
    }
    if (dq_pager_register(start, len)) {
        _exit(125); /* reported */
    }
    dq_map_tell(DQ_MAP_FORBID, start, len, 0);
    dq_map_wait();
}

/* ---------------------------------------------------------------- on a slave */

void dq_map_apply(const struct dq_msg_map *m)
{
    abi_ulong last = m->start + m->length - 1;
    int prot = 0, flags = 0;

    if (!guest_range_valid_untagged(m->start, m->length) || !m->length) {
        dq_control_error(125,
                         "node %d: the master maps outside the guest's memory; install the "
                         "same dqemu on every node",
                         dq_config.node);
        _exit(125);
    }
    switch (m->op) {
    case DQ_MAP_SET:
        flags = m->flags;
        prot = host_prot(guest_prot(flags & PAGE_WRITE ? flags | PAGE_WRITE_ORG : flags));
        break;
    case DQ_MAP_FOREIGN:
        flags = PAGE_VALID | PAGE_RESET | DQ_PAGE_FOREIGN;
        qatomic_set(&dq_foreign, true);
        break;
    default:
        break;
    }
    mmap_lock();
    if (mprotect(g2h_untagged(m->start), m->length, prot)) {
        dq_control_error(125, "node %d: cannot map guest memory: %s; raise vm.max_map_count",
                         dq_config.node, strerror(errno));
        _exit(125);
    }
    page_set_flags(m->start, last, flags);
    mmap_unlock();
}

/* ---------------------------------------------------------------- system call buffers */

void dq_map_pin(abi_ulong addr, ssize_t len)
{
    if (dq_engaged && len > 0) {
        dq_split_pin(addr, len);
    }
}

void dq_map_prefetch(abi_ulong addr, ssize_t len, bool write)
{
    uint64_t first = addr >> DQ_PAGE_BITS, count, pages = 0;

    if (!dq_engaged || len < 2 * (ssize_t)DQ_PAGE_SIZE) {
        return;
    }
    count = MIN(PREFETCH_PAGES, ((addr + len - 1) >> DQ_PAGE_BITS) - first + 1);
    while (pages < count && !dq_is_foreign((first + pages) << DQ_PAGE_BITS)) {
        pages++;
    }
    dq_pager_want(first, pages, write);
}
