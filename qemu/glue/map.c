/*
 * The memory map of all nodes: what target_mmap() and its kin do once the cluster is engaged,
 * and what a slave does when it is told. Not every node knows of every range: see learn.c.
 *
 * A call has the turn (dq_syscall_begin() took it), so the map stands still for others. All
 * private memory, anonymous or of a file, lives in the reserved range as anonymous memory
 * under the pager: mapping is mprotect() there, on every node. Memory that others can see
 * (MAP_SHARED) is the kernel's own mapping on the master; elsewhere a thread that touches it
 * moves to the master.
 *
 * Unmapping: first the master, then every node that knows of it forbids the range (so no access
 * begins that the map does not allow any more), then the homes reset its pages; only then the call
 * returns. A fault that was under way may still bring a page of zeroes into a forbidden
 * range: the directory knows of it, and zeroes are what a later mapping starts with.
 *
 * A page of a private mapping of a file gets the file's content when somebody touches it; what is
 * written to the file afterwards is not seen in it until MADV_DONTNEED (POSIX leaves that open). See
 * source.h. Pages beyond the end of the file when it was mapped are foreign: the kernel raises
 * SIGBUS, or not, if the file has grown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/split.h"
#include "dqemu/translate.h"
#include "user-mmap.h"
#include "target_mman.h"
#include "master/map.h"
#include "areas.h"
#include "map.h"
#include "source.h"
#include "split.h"

#define PREFETCH_PAGES (DQ_PREFETCH_BYTES >> DQ_PAGE_BITS)

/* Sub-calls of ipc(), where that is the way to them; <linux/ipc.h> has them, as SHMAT and SHMDT. */
#define IPC_SHMAT 21
#define IPC_SHMDT 22

int dq_map_host_prot(int prot)
{
    return (prot & (PROT_READ | PROT_WRITE)) | (prot & PROT_EXEC ? PROT_READ : 0);
}

int dq_map_guest_prot(int page_flags)
{
    return (page_flags & PAGE_READ ? PROT_READ : 0) |
           (page_flags & PAGE_WRITE_ORG ? PROT_WRITE : 0) |
           (page_flags & PAGE_EXEC ? PROT_EXEC : 0);
}

int dq_map_like(int page_flags)
{
    int flags = page_flags & ~(PAGE_WRITE_ORG | PAGE_WRITE_INV | PAGE_ANON | PAGE_PASSTHROUGH);
    return page_flags & PAGE_WRITE_ORG ? flags | PAGE_WRITE : flags;
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

/* Is the page at `from` foreign? *last: that of the range; then, to where it is the same. */
static bool stretch_of_kind(abi_ulong from, abi_ulong *last)
{
    abi_ulong to = *last, next;
    bool foreign;

    mmap_lock();
    foreign = page_stretch(from, &to) & DQ_PAGE_FOREIGN;
    while (to < *last) {
        next = *last;
        if (!!(page_stretch(to + 1, &next) & DQ_PAGE_FOREIGN) != foreign) {
            break;
        }
        to = next;
    }
    mmap_unlock();
    *last = to;
    return foreign;
}

void dq_map_each_kind(abi_ulong start, abi_ulong len,
                      void (*fn)(abi_ulong start, abi_ulong len, bool foreign, void *arg),
                      void *arg)
{
    abi_ulong last = start + len - 1, to = last; /* the last may be that of all addresses */
    bool foreign;

    if (!dq_foreign) { /* the usual case */
        fn(start, len, false, arg);
        return;
    }
    for (abi_ulong from = start;; from = to + 1, to = last) {
        foreign = stretch_of_kind(from, &to);
        fn(from, to - from + 1, foreign, arg);
        if (to == last) {
            return;
        }
    }
}

bool dq_map_every(abi_ulong start, abi_ulong len, bool (*holds)(void *arg, int page_flags),
                  void *arg)
{
    abi_ulong last = start + len - 1, to = last;
    bool every = true;

    mmap_lock();
    for (abi_ulong from = start; every; from = to + 1, to = last) {
        every = holds(arg, page_stretch(from, &to));
        if (to == last) {
            break;
        }
    }
    mmap_unlock();
    return every;
}

/* ---------------------------------------------------------------- the host's areas */

int dq_map_prot_of_flags(int page_flags)
{
    return (page_flags & (PAGE_READ | PAGE_EXEC) ? PROT_READ : 0) |
           (page_flags & PAGE_WRITE ? PROT_WRITE : 0);
}

/* The host protects the range as the guest's map says. With mmap_lock. */
static void restore_host(abi_ulong start, abi_ulong len)
{
    abi_ulong last = start + len - 1, to = last;

    for (abi_ulong from = start;; from = to + 1, to = last) {
        int prot = dq_map_prot_of_flags(page_stretch(from, &to));

        dq_areas_protect(g2h_untagged(from), to - from + 1, prot);
        if (to == last) {
            return;
        }
    }
}

void dq_map_restore_host(abi_ulong start, abi_ulong len)
{
    mmap_lock();
    restore_host(start, len);
    mmap_unlock();
}

/* What the kernel did before it had no room is undone. With mmap_lock. */
static bool try_to_protect(abi_ulong start, abi_ulong len, int prot)
{
    int err;

    if (mprotect(g2h_untagged(start), len, prot) == 0) {
        return true;
    }
    err = errno;
    restore_host(start, len);
    errno = err;
    return false;
}

/* Split pages are areas of their own. True: there are fewer now. Not with mmap_lock. */
static bool make_room(void)
{
    bool some = errno == ENOMEM && dq_engaged && dq_split_any();

    if (some) {
        dq_split_exclude(0, DQ_ALL_PAGES);
    }
    return some;
}

bool dq_map_protect_host(abi_ulong start, abi_ulong len, int prot)
{
    bool done;

    do {
        mmap_lock();
        done = try_to_protect(start, len, prot);
        mmap_unlock();
    } while (!done && make_room());
    return done;
}

/* ---------------------------------------------------------------- unmapping */

bool dq_map_is_empty(abi_ulong start, abi_ulong len)
{
    bool empty;

    mmap_lock();
    empty = page_check_range_empty(start, start + len - 1);
    mmap_unlock();
    return empty;
}

/*
 * Foreign memory goes, and there is reserved memory under the pager again. With mmap_lock; the range's
 * ends are those of areas already, so the kernel needs no more of them.
 */
static void reserve_again(abi_ulong start, abi_ulong len, bool foreign, void *arg)
{
    void *host = g2h_untagged(start);

    if (!foreign) {
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

void dq_map_exclude(abi_ulong start, abi_ulong len)
{
    dq_split_exclude(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
}

void dq_map_reserve(abi_ulong start, abi_ulong len)
{
    reserve_again(start, len, true, NULL);
    page_set_flags(start, start + len - 1, 0);
    shm_region_rm_complete(start, start + len - 1);
}

/* Back to reserved memory. */
static bool forbid_host(abi_ulong start, abi_ulong len)
{
    bool done;

    do {
        mmap_lock();
        done = try_to_protect(start, len, PROT_NONE);
        if (done) {
            dq_advice_clear_host(start, len);
            dq_map_each_kind(start, len, reserve_again, NULL);
            page_set_flags(start, start + len - 1, 0);
            shm_region_rm_complete(start, start + len - 1);
        }
        mmap_unlock();
    } while (!done && make_room());
    return done;
}

bool dq_map_forget(abi_ulong start, abi_ulong len)
{
    dq_map_exclude(start, len);
    if (!forbid_host(start, len)) {
        return false;
    }
    dq_map_tell(DQ_MAP_FORBID, start, len, 0);
    dq_map_wait();
    dq_advice_forget(start, len);
    dq_pager_reset(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
    dq_source_forget(start, len);
    return true;
}

/* Before the cluster is engaged, and in the child of a fork, QEMU's own function does the rest. */
void dq_map_forget_unengaged(abi_ulong start, abi_ulong len)
{
    dq_advice_forget(start, len);
    if (dq_source_any()) {
        mmap_lock();
        dq_source_forget(start, len);
        mmap_unlock();
    }
}

bool dq_munmap(abi_ulong start, abi_ulong len, int *ret)
{
    if (!dq_engaged) {
        dq_map_forget_unengaged(start, len);
        return false;
    }
    dq_areas_keep();
    *ret = dq_map_is_empty(start, len) || dq_map_forget(start, len) ? 0 : -1;
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
    return mmap(NULL, len, dq_map_host_prot(prot), flags, fd, offset);
}

/* Private memory of no file. */
static bool is_plain(int flags)
{
    return flags & MAP_ANONYMOUS && (flags & MAP_TYPE) == MAP_PRIVATE;
}

/*
 * Of such nothing is kept: NULL, or MAP_FAILED with errno. The emulator's own addresses may have no room for
 * what the guest's have. Then a part of it is judged, if addresses are not what the user has limited; the kernel
 * refuses that as well where it refuses what is obviously more than its memory.
 */
static void *try_plain(abi_ulong len, int prot, int flags)
{
    const abi_ulong part = TARGET_LONG_BITS == 32 ? 1ull << 30 : 1ull << 38;
    void *mapping = try_mapping(len, prot, flags, -1, 0);
    struct rlimit limit;

    if (mapping == MAP_FAILED && errno == ENOMEM && len > part &&
        getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) {
        len = part;
        mapping = try_mapping(len, prot, flags, -1, 0);
    }
    if (mapping == MAP_FAILED) {
        return MAP_FAILED;
    }
    munmap(mapping, len);
    return NULL;
}

abi_ulong dq_map_choose(abi_ulong start, abi_ulong len, int flags)
{
    if (flags & MAP_FIXED_NOREPLACE) {
        if (!dq_map_is_empty(start, len)) {
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
enum dq_map_op dq_map_op(int page_flags)
{
    bool masters = page_flags & DQ_PAGE_FOREIGN || dq_arch_page_is_masters(page_flags);

    return masters ? DQ_MAP_FOREIGN : DQ_MAP_SET;
}

int dq_map_told(int page_flags)
{
    int flags = (page_flags & ~(PAGE_WRITE_ORG | PAGE_WRITE_INV)) | PAGE_RESET;

    return page_flags & PAGE_WRITE_ORG ? flags | PAGE_WRITE : flags;
}

static bool allow_here(abi_ulong start, abi_ulong len, int prot, int page_flags)
{
    if (!dq_map_protect_host(start, len, dq_map_host_prot(prot))) {
        return false;
    }
    mmap_lock();
    page_set_flags(start, start + len - 1, page_flags);
    mmap_unlock();
    return true;
}

bool dq_map_allow(abi_ulong start, abi_ulong len, int prot, int page_flags)
{
    if (!allow_here(start, len, prot, page_flags)) {
        return false;
    }
    dq_map_tell_at_last(dq_map_op(page_flags), start, len, page_flags);
    dq_map_wait();
    return true;
}

/* -1, with the errno of before. */
static abi_long unmap_own(void *mapping, abi_ulong len)
{
    int err = errno;

    if (mapping) {
        munmap(mapping, len);
    }
    errno = err;
    return -1;
}

abi_long dq_map_foreign(abi_ulong start, abi_ulong len, void *mapping, int page_flags)
{
    void *host = g2h_untagged(start);

    page_flags |= PAGE_RESET | PAGE_PASSTHROUGH | DQ_PAGE_FOREIGN;
    dq_foreign = true;
    mmap_lock();
    if (mremap(mapping, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, host) != host) {
        mmap_unlock();
        return unmap_own(mapping, len);
    }
    page_set_flags(start, start + len - 1, page_flags);
    mmap_unlock();
    dq_map_tell(DQ_MAP_FOREIGN, start, len, page_flags);
    dq_map_wait();
    return start;
}

/*
 * The same for what lies within the file: the mapping becomes its source. Nothing is read now. The nodes
 * know of that before they may access the range; what late faults in an older mapping have brought is
 * gone by then.
 */
static bool map_content(abi_ulong start, abi_ulong len, char *mapping, int prot, int page_flags)
{
    int err;

    mprotect(mapping, len, PROT_READ);
    dq_source_add(start, len, mapping);
    dq_source_reset(start, len, mapping);
    if (dq_map_allow(start, len, prot, page_flags | PAGE_RESET | PAGE_PASSTHROUGH)) {
        return true;
    }
    err = errno;
    dq_map_forget(start, len);
    errno = err;
    return false;
}

abi_long dq_map_file(abi_ulong start, abi_ulong len, char *mapping, int prot, int page_flags)
{
    abi_ulong inside = dq_source_in_file(mapping, len);
    int err;

    if (inside < len) {
        mprotect(mapping + inside, len - inside, dq_map_host_prot(prot));
        if (dq_map_foreign(start + inside, len - inside, mapping + inside, page_flags) == -1) {
            return unmap_own(mapping, inside);
        }
    }
    if (inside && !map_content(start, inside, mapping, prot, page_flags)) {
        err = errno;
        if (inside < len) {
            dq_map_forget(start + inside, len - inside);
        }
        errno = err;
        return -1;
    }
    return start;
}

/* The kernel lets private anonymous memory grow alone. */
static bool grows_down(int flags)
{
    return flags & MAP_GROWSDOWN && is_plain(flags);
}

static int anonymous_flags(int flags, int page_flags)
{
    page_flags |= PAGE_RESET | PAGE_PASSTHROUGH | PAGE_ANON;
    if (grows_down(flags)) {
        page_flags |= DQ_PAGE_GROWS;
        dq_grows = true;
    }
    return page_flags;
}

/* Memory of all nodes, or nothing. */
static bool is_everybodys(void *arg, int page_flags)
{
    return !(page_flags & DQ_PAGE_FOREIGN) && !dq_arch_page_is_masters(page_flags);
}

static bool can_replace(abi_ulong start, abi_ulong len, int flags, int page_flags,
                        const void *mapping)
{
    bool inside = !mapping || dq_source_in_file(mapping, len) == len;

    return (flags & MAP_TYPE) == MAP_PRIVATE && inside && !dq_arch_page_is_masters(page_flags) &&
           dq_map_every(start, len, is_everybodys, NULL);
}

/*
 * Private memory comes in the place of such memory: the nodes hear of the protection, and then its pages are
 * reset. That is a round trip less than if the range were forbidden in between. What other threads do
 * there meanwhile, they have done before, or after; after the first step only as the new mapping allows.
 */
static abi_long replace(abi_ulong start, abi_ulong len, int prot, int flags, int page_flags,
                        void *file)
{
    page_flags =
        file ? page_flags | PAGE_RESET | PAGE_PASSTHROUGH : anonymous_flags(flags, page_flags);
    if (!allow_here(start, len, prot, page_flags)) {
        return unmap_own(file, len);
    }
    dq_map_tell(dq_map_op(page_flags), start, len, page_flags);
    dq_map_wait();
    dq_advice_clear_host(start, len);
    dq_advice_forget(start, len);
    if (file) {
        mprotect(file, len, PROT_READ);
    }
    dq_source_reset(start, len, file);
    dq_source_forget(start, len);
    if (file) {
        dq_source_add(start, len, file);
    }
    return start;
}

/* The kernel's mapping goes where it belongs, or away. Nothing is mapped there. */
static abi_long place(abi_ulong start, abi_ulong len, int prot, int flags, int page_flags,
                      void *mapping)
{
    if (!mapping) {
        page_flags = anonymous_flags(flags, page_flags);
        return dq_map_allow(start, len, prot, page_flags) ? (abi_long)start : -1;
    }
    if ((flags & MAP_TYPE) != MAP_PRIVATE) {
        return dq_map_foreign(start, len, mapping, page_flags);
    }
    return dq_map_file(start, len, mapping, prot, page_flags);
}

static void mark_growing(abi_ulong start, abi_ulong len)
{
    int sticky = PAGE_ANON | PAGE_PASSTHROUGH, flags;

    dq_grows = true;
    mmap_lock();
    flags = page_get_flags(start) & ~sticky;
    page_set_flags(start, start + len - 1, flags | DQ_PAGE_GROWS);
    mmap_unlock();
}

/*
 * QEMU's own function maps it, without the kernel's locking (mlock.c does that). The call comes here
 * again, and then passes.
 */
static bool map_unengaged(abi_ulong start, abi_ulong len, int prot, int flags, int fd, off_t offset,
                          bool locked, abi_long *ret)
{
    static __thread bool again;

    if (flags & MAP_FIXED) {
        dq_map_forget_unengaged(start, len);
    }
    if ((!locked && !grows_down(flags)) || again) {
        return false;
    }
    again = true;
    *ret = target_mmap(start, len, prot, flags & ~(MAP_LOCKED | MAP_GROWSDOWN), fd, offset);
    again = false;
    if (*ret != -1 && grows_down(flags)) {
        mark_growing(*ret, len);
    }
    if (*ret != -1 && locked) {
        dq_mlock_add(*ret, len);
    }
    return true;
}

static abi_long map(abi_ulong start, abi_ulong len, int prot, int flags, int page_flags, int fd,
                    off_t offset)
{
    void *mapping =
        is_plain(flags) ? try_plain(len, prot, flags) : try_mapping(len, prot, flags, fd, offset);

    if (mapping == MAP_FAILED) {
        return -1;
    }
    start = dq_map_choose(start, len, flags);
    if (start == (abi_ulong)-1) {
        return unmap_own(mapping, len);
    }
    dq_map_exclude(start, len); /* an attempt may be under way to split what was there before */
    if (!dq_map_is_empty(start, len)) {
        if (can_replace(start, len, flags, page_flags, mapping)) {
            return replace(start, len, prot, flags, page_flags, mapping);
        }
        if (!dq_map_forget(start, len)) {
            return unmap_own(mapping, len);
        }
    }
    return place(start, len, prot, flags, page_flags, mapping);
}

bool dq_mmap(abi_ulong start, abi_ulong len, int prot, int flags, int page_flags, int fd,
             off_t offset, abi_long *ret)
{
    bool locked = false;

    if (dq_config.nodes == 1 && !dq_is_child) {
        return false;
    }
    if (dq_config.nodes > 1) {
        dq_areas_keep();
        errno = dq_mlock_new(len, flags & MAP_LOCKED, &locked);
        if (errno) {
            *ret = -1;
            return true;
        }
    }
    if (!dq_engaged) {
        return map_unengaged(start, len, prot, flags, fd, offset, locked, ret);
    }
    *ret = map(start, len, prot, flags, page_flags, fd, offset);
    if (locked && *ret != -1) {
        dq_mlock_add(*ret, len);
    }
    return true;
}

/* ---------------------------------------------------------------- protection */

struct protection {
    int prot, page_flags, err;
};

static void protect_kind(abi_ulong start, abi_ulong len, bool foreign, void *arg)
{
    struct protection *p = arg;
    int flags =
        p->page_flags | (foreign ? DQ_PAGE_FOREIGN : 0) | (page_get_flags(start) & DQ_PAGE_GROWS);

    if (p->err) {
        return;
    }
    if (!dq_map_protect_host(start, len, dq_map_host_prot(p->prot))) {
        p->err = errno;
        return;
    }
    mmap_lock();
    page_set_flags(start, start + len - 1, flags);
    mmap_unlock();
    dq_map_tell_at_last(dq_map_op(flags), start, len, flags);
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
    dq_areas_keep();
    dq_map_exclude(start, len);
    dq_map_each_kind(start, len, protect_kind, &p);
    dq_map_wait();
    errno = p.err;
    *ret = p.err ? get_errno(-1) : 0;
    return true;
}

/* ---------------------------------------------------------------- System V */

void dq_shm_attached(abi_ulong start, abi_ulong len)
{
    int flags;

    if (!dq_engaged) {
        dq_map_forget_unengaged(start, len);
        return;
    }
    /* whatever was there before (SHM_REMAP) is gone on the master; now elsewhere */
    dq_map_tell(DQ_MAP_FORBID, start, len, 0);
    dq_map_wait();
    dq_pager_reset(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
    dq_source_forget(start, len);
    dq_advice_forget(start, len);
    dq_foreign = true;
    flags = dq_map_like(page_get_flags(start)) | PAGE_RESET | DQ_PAGE_FOREIGN;
    mmap_lock();
    page_set_flags(start, start + len - 1, flags);
    mmap_unlock();
    dq_map_tell(DQ_MAP_FOREIGN, start, len, flags);
    dq_map_wait();
}

void dq_shm_detached(abi_ulong start, abi_ulong len)
{
    dq_advice_forget(start, len);
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

unsigned dq_maps_applied;

/* Runs of pages that the host protects alike, and what those reach to that touch a range. */
struct runs {
    abi_ulong start, last, from, to;
    abi_ulong run, run_last;
    int prot;
};

static void end_run(struct runs *r)
{
    if (r->prot != PROT_NONE && r->run <= r->last && r->run_last >= r->start) {
        r->from = MIN(r->from, r->run);
        r->to = MAX(r->to, r->run_last);
    }
}

static int add_to_run(void *runs, target_ulong start, target_ulong end, unsigned long flags)
{
    struct runs *r = runs;
    int prot = dq_map_prot_of_flags(flags);

    if (prot != r->prot || start != r->run_last + 1) {
        end_run(r);
        r->run = start;
        r->prot = prot;
    }
    r->run_last = end - 1;
    return 0;
}

/*
 * The host has no area left for a change. Whole areas can still be protected: those that it touches
 * become foreign here, all of them, and whoever uses them from now on moves to the master, which could do
 * it, or the guest would have been told. The pages themselves stay coherent whatever the protection. (A
 * thread that is in the middle of a call of its own with memory there ends the run, as before.) A
 * later change of the map gives them back. With mmap_lock.
 */
static bool leave_to_master(abi_ulong start, abi_ulong last, int flags)
{
    const int foreign = PAGE_VALID | PAGE_RESET | DQ_PAGE_FOREIGN;
    struct runs r = {.start = start, .last = last, .from = start, .to = last, .prot = PROT_NONE};
    abi_ulong end;

    walk_memory_regions(&r, add_to_run);
    end_run(&r);
    if (mprotect(g2h_untagged(r.from), r.to - r.from + 1, PROT_NONE)) {
        return false;
    }
    qatomic_set(&dq_foreign, true);
    end = r.to;
    for (abi_ulong at = r.from;; at = end + 1, end = r.to) {
        if (page_stretch(at, &end) & PAGE_VALID) {
            page_set_flags(at, end, foreign);
        }
        if (end == r.to) {
            break;
        }
    }
    page_set_flags(start, last, flags & PAGE_VALID ? foreign : 0);
    return true;
}

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
        if (flags & DQ_PAGE_GROWS) {
            qatomic_set(&dq_grows, true);
        }
        prot = dq_map_host_prot(
            dq_map_guest_prot(flags & PAGE_WRITE ? flags | PAGE_WRITE_ORG : flags));
        break;
    case DQ_MAP_FOREIGN:
        flags = PAGE_VALID | PAGE_RESET | DQ_PAGE_FOREIGN;
        qatomic_set(&dq_foreign, true);
        break;
    default:
        break;
    }
    dq_areas_keep();
    mmap_lock();
    if (mprotect(g2h_untagged(m->start), m->length, prot) == 0) {
        page_set_flags(m->start, last, flags);
    } else if (errno != ENOMEM || !leave_to_master(m->start, last, flags)) {
        dq_control_error(125, "node %d: cannot map guest memory: %s; raise vm.max_map_count",
                         dq_config.node, strerror(errno));
        _exit(125);
    }
    mmap_unlock();
    qatomic_store_release(&dq_maps_applied, dq_maps_applied + 1);
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
