/*
 * System calls on copies of the guest's memory.
 *
 * A userfaultfd that any user may have (UFFD_USER_MODE_ONLY) serves the faults of threads. Where the
 * kernel itself meets a page that is not here, or that is write-protected for another node, the call
 * ends with EFAULT. So what QEMU locks for a call is copied: the thread reads the guest's
 * memory when it is locked, and writes it when it is unlocked, and waits for pages as for any other
 * access of its own. A call that sleeps holds no page meanwhile.
 *
 * What is written back is what the call has changed, byte by byte: other threads may write beside it
 * at the same time, and many calls say that they fill a buffer of which they then fill a part. read()
 * and pread() alone are known to tell how much; for them nothing is read before and nothing compared.
 * A changed byte that is the same as before need not be stored: it is as if the call had stored it
 * before the other thread's byte.
 *
 * Memory that is not under the pager (DQ_PAGE_FOREIGN: MAP_SHARED, System V) is used in place.
 *
 * Copies begin with the first system call, not only once the memory is shared: a thread may sleep in
 * a call at that moment.
 *
 * Not here: signal frames, which no kernel touches; what travels with the call (carry.c), or passes
 * the page cache by (direct.c), which have buffers of their own; words of futexes
 * with priority inheritance, which are fetched and, if they have left again, fetched again (futex.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/mman.h>
#include <sys/mount.h>
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "bounce.h"
#include "carry.h"
#include "split.h"

/* Most buffers are names and structures: so many bytes of them need no allocation. */
#define ARENA_BYTES (64u * 1024)
/* Copies are aligned for all that the kernel may find in them. */
#define ALIGNMENT 16u

/* Locked memory of the guest's. */
struct piece {
    abi_ulong guest;
    size_t length;
    uint8_t *ours;   /* what QEMU and the kernel use; NULL: given back */
    uint8_t *before; /* what it was, to find what has changed; NULL: not to be written, or exact */
    bool exact;      /* as many bytes are written back as the call tells */
    size_t room;     /* bytes of the two */
    enum { IN_ARENA, ALLOCATED, MAPPED } where;
};

/* Of one thread. */
struct bounce {
    unsigned depth; /* calls under way, one in the other */
    int num;        /* the outermost */
    bool in_place;  /* the kernel sees nothing of the guest's memory in it */
    bool lost;      /* some of what it has written could not be stored */
    GArray *pieces; /* struct piece, in the order in which they were locked */
    uint8_t *arena; /* the first `used` bytes of it are in use */
    size_t used;
};

bool dq_bouncing;

static void free_bounce(void *arg)
{
    struct bounce *b = arg;

    g_array_free(b->pieces, true);
    g_free(b->arena);
    g_free(b);
}

static GPrivate of_thread = G_PRIVATE_INIT(free_bounce);

static struct bounce *of_this_thread(void)
{
    struct bounce *b = g_private_get(&of_thread);

    if (!b) {
        b = g_new0(struct bounce, 1);
        b->pieces = g_array_new(false, false, sizeof(struct piece));
        b->arena = g_malloc(ARENA_BYTES);
        g_private_set(&of_thread, b);
    }
    return b;
}

void dq_bounce_open(void)
{
    dq_bouncing = dq_config.nodes > 1 && !dq_pager_serves_kernel();
}

void dq_bounce_in_child(void)
{
    dq_bouncing = false;
}

/* ---------------------------------------------------------------- memory for copies */

/*
 * vmsplice() leaves the pages themselves in the pipe, to be read after the call: so they must not be
 * used again, which those of an unmapped mapping are not.
 */
static bool keeps_pages(const struct bounce *b)
{
#ifdef TARGET_NR_vmsplice
    return b->num == TARGET_NR_vmsplice;
#else
    return false;
#endif
}

static bool take_room(struct bounce *b, struct piece *p)
{
    if (keeps_pages(b)) {
        void *m = mmap(NULL, p->room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        p->where = MAPPED;
        p->ours = m == MAP_FAILED ? NULL : m;
    } else if (p->room <= ARENA_BYTES - b->used) {
        p->where = IN_ARENA;
        p->ours = b->arena + b->used;
        b->used += p->room;
    } else {
        p->where = ALLOCATED;
        p->ours = g_try_malloc(p->room);
    }
    return p->ours != NULL;
}

/* Pieces are given back in any order; the arena's space when those behind are free, too. */
static void give_back(struct bounce *b, struct piece *p)
{
    if (p->where == MAPPED) {
        munmap(p->ours, p->room);
    } else if (p->where == ALLOCATED) {
        g_free(p->ours);
    }
    p->ours = NULL;
    while (b->pieces->len) {
        const struct piece *last = &g_array_index(b->pieces, struct piece, b->pieces->len - 1);

        if (last->ours) {
            return;
        }
        b->used -= last->where == IN_ARENA ? last->room : 0;
        g_array_set_size(b->pieces, b->pieces->len - 1);
    }
}

/* ---------------------------------------------------------------- copying */

bool dq_bounce_copy(abi_ulong guest, uint8_t *ours, size_t length, bool out)
{
    for (size_t done = 0, n; done < length; done += n) {
        void *there = g2h_untagged(guest + done);

        n = MIN(length - done, DQ_PREFETCH_BYTES);
        dq_map_prefetch(guest + done, n, out);
        if (!(out ? dq_guest_copy(there, ours + done, n) : dq_guest_copy(ours + done, there, n))) {
            return false;
        }
    }
    return true;
}

static bool store(uint64_t guest, const uint8_t *bytes, size_t length)
{
    return dq_bounce_copy(guest, (uint8_t *)bytes, length, true);
}

/* False: the memory has gone meanwhile. */
static bool write_back(const struct piece *p, ssize_t told)
{
    if (p->exact && told > 0) {
        return store(p->guest, p->ours, MIN((size_t)told, p->length));
    }
    return !p->before || dq_carry_changes(p->guest, p->ours, p->before, p->length, store);
}

/* ---------------------------------------------------------------- locking */

static bool is_foreign(abi_ulong addr, size_t length)
{
    abi_ulong last = (addr + length - 1) & TARGET_PAGE_MASK;

    if (!dq_engaged || !dq_foreign) {
        return false;
    }
    for (abi_ulong page = addr & TARGET_PAGE_MASK; dq_is_foreign(page); page += TARGET_PAGE_SIZE) {
        if (page == last) {
            return true;
        }
    }
    return false;
}

/* Nothing but the first bytes of the buffer is written, as many as the call returns. */
static bool is_exact(const struct bounce *b, bool copy)
{
    return !copy && b->depth == 1 && (b->num == TARGET_NR_read || b->num == TARGET_NR_pread64);
}

/* QEMU locks for reading what this call fills. */
static bool is_receive(int num)
{
    switch (num) {
    case TARGET_NR_mq_timedreceive:
#ifdef TARGET_NR_mq_timedreceive_time64
    case TARGET_NR_mq_timedreceive_time64:
#endif
        return true;
    default:
        return false;
    }
}

static void *lock_copy(struct bounce *b, abi_ulong addr, size_t length, bool write, bool copy)
{
    struct piece p = {
        .guest = addr,
        .length = length,
        .exact = write && is_exact(b, copy),
    };
    bool compared = write && !p.exact;
    size_t one = ROUND_UP(length, ALIGNMENT);

    p.room = compared ? 2 * one : one;
    if (!take_room(b, &p)) {
        return NULL;
    }
    p.before = compared ? p.ours + one : NULL;
    g_array_append_val(b->pieces, p);
    if (!p.exact && !dq_bounce_copy(addr, p.ours, length, false)) {
        give_back(b, &g_array_index(b->pieces, struct piece, b->pieces->len - 1));
        return NULL;
    }
    if (compared) {
        memcpy(p.before, p.ours, length);
    }
    return p.ours;
}

void *dq_lock_user(abi_ulong addr, ssize_t len, bool write, bool copy)
{
    struct bounce *b = dq_bouncing && len > 0 ? of_this_thread() : NULL;
    void *carried = dq_carry_lock(addr, len, write);

    if (carried) {
        return carried;
    }
    dq_map_pin(addr, len);
    if (b && b->depth && !b->in_place && !is_foreign(addr, len)) {
        return lock_copy(b, addr, len, write || is_receive(b->num), copy);
    }
    dq_map_prefetch(addr, len, write);
    return g2h_untagged(addr);
}

void dq_bounce_unlock(void *host, ssize_t len)
{
    struct bounce *b = g_private_get(&of_thread);

    for (guint i = b && host ? b->pieces->len : 0; i-- > 0;) {
        struct piece *p = &g_array_index(b->pieces, struct piece, i);

        if (p->ours == host) {
            b->lost |= !write_back(p, len);
            give_back(b, p);
            return;
        }
    }
}

/* ---------------------------------------------------------------- calls */

/*
 * Calls that are made often, and in which QEMU itself reads and writes the guest's memory, converting what
 * it passes to the kernel or gets from it: a thread's own accesses, which are served.
 */
static bool is_converted(int num)
{
    switch (num) {
    case TARGET_NR_clock_gettime:
    case TARGET_NR_clock_getres:
    case TARGET_NR_gettimeofday:
    case TARGET_NR_futex:
    case TARGET_NR_rt_sigprocmask:
    case TARGET_NR_rt_sigreturn:
    case TARGET_NR_sigaltstack:
    case TARGET_NR_getcpu:
#ifdef TARGET_NR_clock_gettime64
    case TARGET_NR_clock_gettime64:
    case TARGET_NR_clock_getres_time64:
#endif
#ifdef TARGET_NR_futex_time64
    case TARGET_NR_futex_time64:
#endif
#ifdef TARGET_NR_sigprocmask
    case TARGET_NR_sigprocmask:
#endif
        return true;
    default:
        return false;
    }
}

void dq_bounce_begin(int num)
{
    struct bounce *b;

    if (dq_bouncing) {
        b = of_this_thread();
        if (b->depth++ == 0) {
            b->num = num;
            b->in_place = is_converted(num);
            b->lost = false;
        }
    }
}

bool dq_bounce_end(void)
{
    struct bounce *b = dq_bouncing ? g_private_get(&of_thread) : NULL;

    if (!b || b->depth == 0 || --b->depth > 0) {
        return true;
    }
    while (b->pieces->len) {
        struct piece *p = &g_array_index(b->pieces, struct piece, b->pieces->len - 1);

        b->lost |= !write_back(p, 0);
        give_back(b, p);
    }
    return !b->lost;
}

/* ---------------------------------------------------------------- mount() */

/*
 * A page of the caller's memory, or what there is of it before memory that cannot be read; the kernel takes
 * zeroes for the rest. Nobody knows how much of it counts. False: none can be read.
 */
static bool copy_mount_data(abi_ulong addr, uint8_t *page)
{
    size_t done = 0, n;

    for (; done < DQ_PAGE_SIZE; done += n) {
        n = MIN(DQ_PAGE_SIZE - done, DQ_PAGE_SIZE - (addr + done) % DQ_PAGE_SIZE);
        if (!guest_range_valid_untagged(addr + done, n) ||
            !page_check_range(addr + done, n, PAGE_READ)) {
            break;
        }
        dq_map_pin(addr + done, n);
        if (!dq_guest_copy(page + done, g2h_untagged(addr + done), n)) {
            break;
        }
    }
    return done > 0;
}

/* Data of several nodes' memory is always copied: the kernel does not wait for a page that is split. */
int dq_mount(const char *source, const char *target, const char *type, unsigned long flags,
             abi_ulong data)
{
    uint8_t page[DQ_PAGE_SIZE] = {0};

    if (dq_config.nodes == 1) {
        return mount(source, target, type, flags, g2h_untagged(data));
    }
    if (!copy_mount_data(data, page)) {
        errno = EFAULT;
        return -1;
    }
    return mount(source, target, type, flags, page);
}

/* ---------------------------------------------------------------- core files */

/* Page by page: what has become inaccessible is zeroes. */
int dq_dump_memory(int fd, abi_ulong start, size_t size,
                   int (*dump)(int fd, const void *from, size_t size))
{
    uint8_t page[DQ_PAGE_SIZE];

    if (!dq_bouncing) {
        return dump(fd, g2h_untagged(start), size);
    }
    for (size_t done = 0; done < size; done += sizeof(page)) {
        if (!dq_guest_copy(page, g2h_untagged(start + done), sizeof(page))) {
            memset(page, 0, sizeof(page));
        }
        if (dump(fd, page, MIN(sizeof(page), size - done))) {
            return -1;
        }
    }
    return 0;
}
