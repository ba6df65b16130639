/*
 * The kernel's side of the pager: userfaultfd and /proc/self/{mem,pagemap}.
 *
 * Errors that cannot be ignored here (no memory left for a guest page, a call that the kernel
 * refuses for no reason known) end the node: a page that cannot be installed is a thread that
 * never goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dqemu/check.h"
#include "dqemu/runtime.h"
#include "dqemu/userfaultfd.h"
#include "proto/wire.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* Linux 6.7, newer than the headers of some systems that we build on. */
struct scan_region {
    uint64_t start, end, categories;
};
struct scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define PAGEMAP_FILE (UINT64_C(1) << 61)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_CONTENT (PAGEMAP_SWAPPED | UINT64_C(1) << 63) /* or present */

/* Linux 6.8, likewise. */
struct move_arg {
    uint64_t to, from, length, mode;
    int64_t moved; /* or -errno */
};
#define MOVE _IOWR(UFFDIO, 5, struct move_arg)
#define FEATURE_MOVE (UINT64_C(1) << 16)

#define FEATURE_EXACT (UINT64_C(1) << 11) /* Linux 5.18 */

/* Pages that were taken out stay in memory until so many have: freeing many costs what one does. */
#define TAKEN 512u

static struct {
    int fd, mem, pagemap;
    bool exact; /* see dq_uffd_is_exact() */
    bool serves_kernel;
    uint8_t *taken; /* NULL: the kernel cannot move pages */
    size_t taken_used;
} uffd = {.fd = -1, .mem = -1, .pagemap = -1};

/* Never written, so it has no memory of its own. */
static const uint8_t zeroes[DQ_ZERO_PAGES * DQ_PAGE_SIZE] __attribute__((aligned(DQ_PAGE_SIZE)));

/* ---- opening ---- */

bool dq_uffd_serves_kernel(void)
{
    return uffd.serves_kernel;
}

static int agree_on(int fd, uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};

    if (ioctl(fd, UFFDIO_API, &api) < 0) {
        return errno == EINVAL ? -ENOSYS : -errno;
    }
    return 0;
}

/* Where taken pages go: memory of the same kind as the guest's, known to the same descriptor. */
static void make_room_for_taken(void)
{
    size_t length = TAKEN * DQ_PAGE_SIZE;
    void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        return;
    }
    if (dq_uffd_register((uintptr_t)p, length) < 0) {
        munmap(p, length);
        return;
    }
    uffd.taken = p;
    uffd.taken_used = 0;
}

/* A kernel that does not know all of them agrees to none, and may be asked again. */
static int agree_on_features(int fd)
{
    uint64_t needed = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID;

    uffd.exact = true;
    if (agree_on(fd, needed | FEATURE_EXACT | FEATURE_MOVE) == 0) {
        make_room_for_taken();
        return 0;
    }
    if (agree_on(fd, needed | FEATURE_EXACT) == 0) {
        return 0;
    }
    uffd.exact = false;
    return agree_on(fd, needed);
}

bool dq_uffd_is_exact(void)
{
    return uffd.exact;
}

/* Linux 6.12 can be told to let nobody read what its protection forbids. 0 or -errno. */
static int read_protected(void)
{
    uint8_t *p =
        mmap(NULL, DQ_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t seen = 0;
    ssize_t n;

    if (p == MAP_FAILED) {
        return -errno;
    }
    *p = 1;
    n = mprotect(p, DQ_PAGE_SIZE, PROT_NONE) ? -1 : pread(uffd.mem, &seen, 1, (off_t)(uintptr_t)p);
    munmap(p, DQ_PAGE_SIZE);
    return n == 1 && seen == 1 ? 0 : -ENOTSUP;
}

int dq_uffd_open(bool threads_only)
{
    int err = 0;

    uffd.fd = dq_node_high_fd(dq_userfaultfd_open(threads_only, &uffd.serves_kernel));
    if (uffd.fd < 0) {
        return uffd.fd;
    }
    uffd.mem = dq_node_high_fd(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
    if (uffd.mem >= 0) {
        uffd.pagemap = dq_node_high_fd(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    }
    if (uffd.mem < 0 || uffd.pagemap < 0) {
        err = -errno;
    } else {
        err = agree_on_features(uffd.fd);
    }
    if (!err) {
        err = read_protected();
    }
    if (err) {
        dq_uffd_close();
    }
    return err;
}

static void close_one(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void dq_uffd_close(void)
{
    close_one(&uffd.fd);
    close_one(&uffd.mem);
    close_one(&uffd.pagemap);
    if (uffd.taken) {
        munmap(uffd.taken, TAKEN * DQ_PAGE_SIZE);
        uffd.taken = NULL;
    }
}

int dq_uffd_fd(void)
{
    return uffd.fd;
}

int dq_uffd_events(struct uffd_msg *events, int most)
{
    ssize_t n = read(uffd.fd, events, (size_t)most * sizeof(*events));

    return n > 0 ? (int)((size_t)n / sizeof(*events)) : 0;
}

/* ---- ranges ---- */

int dq_uffd_register(uintptr_t start, size_t length)
{
    struct uffdio_register r = {
        .range = {start, length},
        .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
    };

    /* A huge page would make 512 pages present that were granted to nobody. Without support
     * for them the call fails, and there is nothing to prevent. */
    madvise((void *)start, length, MADV_NOHUGEPAGE);
    if (ioctl(uffd.fd, UFFDIO_REGISTER, &r) < 0) {
        return -errno;
    }
    return r.ioctls & (UINT64_C(1) << _UFFDIO_WRITEPROTECT) ? 0 : -ENOSYS;
}

int dq_uffd_unregister(uintptr_t start, size_t length)
{
    struct uffdio_range r = {start, length};

    return ioctl(uffd.fd, UFFDIO_UNREGISTER, &r) < 0 ? -errno : 0;
}

/* ---- pages ---- */

/* The range is not (all) the pager's any more, or the process is ending. */
static bool is_gone(int error)
{
    return error == ENOENT || error == ESRCH;
}

static _Noreturn void fail(const char *what, int error)
{
    if (error == ENOMEM) {
        dq_node_fail("node %d has no memory left for the program's pages; use more nodes, or "
                     "machines with more memory",
                     dq_node_self());
    }
    dq_node_fail("node %d: the kernel refuses to %s a page: %s; this is a fault of dqemu or of "
                 "the kernel",
                 dq_node_self(), what, g_strerror(error));
}

/* For the check: the bytes of each page, NULL where it is absent. */
static void show_check(uintptr_t at, size_t pages, void (*see)(uintptr_t at, const void *bytes))
{
    uint8_t bytes[DQ_PAGE_SIZE];

    for (size_t i = 0; dq_check_is_on() && i < pages; i++, at += DQ_PAGE_SIZE) {
        bool present = pread(uffd.mem, bytes, DQ_PAGE_SIZE, (off_t)at) == DQ_PAGE_SIZE;

        see(at, present ? bytes : NULL);
    }
}

void dq_uffd_wake(uintptr_t at, size_t pages)
{
    struct uffdio_range r = {at, pages * DQ_PAGE_SIZE};

    if (ioctl(uffd.fd, UFFDIO_WAKE, &r) < 0) {
        fail("wake the threads that wait for", errno);
    }
}

/*
 * One attempt after the other: EAGAIN without progress says that the kernel lost a race
 * against another change of the same page table (a table freed or filled, the map changing),
 * so that somebody else made progress; the loop ends when they pause for one system call.
 * Returns 0 or an error other than EAGAIN.
 */
static int copy(uintptr_t at, const void *data, size_t pages, bool writable, size_t *done)
{
    struct uffdio_copy c;
    size_t length = pages * DQ_PAGE_SIZE, copied = 0;

    do {
        c = (struct uffdio_copy){
            .dst = at + copied,
            .src = (uintptr_t)data + copied,
            .len = length - copied,
            .mode = writable ? 0 : UFFDIO_COPY_MODE_WP,
        };
        if (ioctl(uffd.fd, UFFDIO_COPY, &c) == 0) {
            *done = pages;
            return 0;
        }
        copied += c.copy > 0 ? (size_t)c.copy : 0;
    } while (errno == EAGAIN);
    *done = copied / DQ_PAGE_SIZE;
    return errno;
}

/* What is there already is replaced; what is not the pager's any more is left alone. */
static void copy_one(uintptr_t at, const void *data, bool writable)
{
    size_t done;
    int error = copy(at, data, 1, writable, &done);

    if (error == EEXIST) {
        dq_uffd_discard(at, 1);
        error = copy(at, data, 1, writable, &done);
    }
    if (error && !is_gone(error) && error != EEXIST) {
        fail("install", error);
    }
    if (error) {
        dq_uffd_wake(at, 1);
    }
}

void dq_uffd_copy(uintptr_t at, const void *data, size_t pages, bool writable)
{
    const uint8_t *from = data;

    dq_check_let_go(at, pages);
    for (size_t i = 0; !writable && dq_check_is_on() && i < pages; i++) {
        dq_check_kept(at + i * DQ_PAGE_SIZE, from + i * DQ_PAGE_SIZE);
    }
    while (pages) {
        size_t done;

        /* the kernel refuses a range that lies in two mappings: then its pages one by one */
        if (copy(at, from, pages, writable, &done)) {
            copy_one(at + done * DQ_PAGE_SIZE, from + done * DQ_PAGE_SIZE, writable);
            done++;
        }
        at += done * DQ_PAGE_SIZE;
        from += done * DQ_PAGE_SIZE;
        pages -= done;
    }
}

/* A page that is there already stays as it is. */
static void fill_one(uintptr_t at, const void *bytes, bool writable)
{
    size_t done;
    int error = copy(at, bytes, 1, writable, &done);

    if (error && error != EEXIST && !is_gone(error)) {
        fail("install", error);
    }
    if (error) {
        dq_uffd_wake(at, 1);
    }
}

/* UFFDIO_ZEROPAGE has no mode for write-protected pages, and maps the kernel's one zero page. */
static void zero_run(uintptr_t at, size_t pages)
{
    uintptr_t end = at + pages * DQ_PAGE_SIZE;
    struct uffdio_zeropage z;

    while (at < end) {
        z = (struct uffdio_zeropage){.range = {at, end - at}};
        if (ioctl(uffd.fd, UFFDIO_ZEROPAGE, &z) == 0) {
            return;
        }
        if (errno == EAGAIN) {
            at += z.zeropage > 0 ? (uintptr_t)z.zeropage : 0;
        } else if (errno == EEXIST) {
            dq_uffd_wake(at, 1);
            at += DQ_PAGE_SIZE;
        } else if (is_gone(errno)) {
            /* The kernel wants the whole range in one mapping: the run may lie in two. */
            fill_one(at, zeroes, true);
            at += DQ_PAGE_SIZE;
        } else {
            fail("install", errno);
        }
    }
}

void dq_uffd_zero(uintptr_t at, size_t pages, bool writable, bool soon)
{
    dq_check_let_go(at, pages);
    if (writable && !soon) {
        zero_run(at, pages);
        return;
    }
    while (pages) {
        size_t done;

        /* one that is there already, or another mapping: step over it */
        if (copy(at, zeroes, MIN(pages, DQ_ZERO_PAGES), writable, &done)) {
            fill_one(at + done * DQ_PAGE_SIZE, zeroes, writable);
            done++;
        }
        at += done * DQ_PAGE_SIZE;
        pages -= done;
    }
}

void dq_uffd_fill(uintptr_t at, const void *bytes)
{
    dq_check_let_go(at, 1);
    fill_one(at, bytes, true);
}

static void set_protection(uintptr_t at, size_t pages, uint64_t mode)
{
    struct uffdio_writeprotect w = {.range = {at, pages * DQ_PAGE_SIZE}, .mode = mode};
    int result;

    do {
        result = ioctl(uffd.fd, UFFDIO_WRITEPROTECT, &w);
    } while (result < 0 && errno == EAGAIN); /* see copy() */
    if (result == 0) {
        return;
    }
    if (!is_gone(errno)) {
        fail("protect", errno);
    }
    if (pages == 1) {
        dq_uffd_wake(at, 1);
        return;
    }
    /* part of it is not the pager's, or the kernel wants the whole range in one mapping */
    for (size_t i = 0; i < pages; i++) {
        set_protection(at + i * DQ_PAGE_SIZE, 1, mode);
    }
}

void dq_uffd_protect(uintptr_t at, size_t pages)
{
    set_protection(at, pages, UFFDIO_WRITEPROTECT_MODE_WP);
    show_check(at, pages, dq_check_kept);
}

void dq_uffd_unprotect(uintptr_t at, size_t pages)
{
    show_check(at, pages, dq_check_seen);
    dq_check_let_go(at, pages);
    set_protection(at, pages, 0);
}

void dq_uffd_discard(uintptr_t at, size_t pages)
{
    void *p = (void *)at;
    size_t length = pages * DQ_PAGE_SIZE;
    int result;

    show_check(at, pages, dq_check_seen);
    dq_check_let_go(at, pages);
    result = madvise(p, length, MADV_DONTNEED);
    if (result < 0 && errno == EINVAL) {
        result = madvise(p, length, MADV_DONTNEED_LOCKED);
    }
    /* ENOMEM: nothing is mapped there. */
    if (result < 0 && errno != ENOMEM) {
        fail("discard", errno);
    }
}

/* The next free place for taken pages, and how many it has room for. */
static size_t room_for_taken(uintptr_t *place)
{
    if (uffd.taken_used == TAKEN) {
        dq_uffd_discard((uintptr_t)uffd.taken, TAKEN);
        uffd.taken_used = 0;
    }
    *place = (uintptr_t)uffd.taken + uffd.taken_used * DQ_PAGE_SIZE;
    return TAKEN - uffd.taken_used;
}

size_t dq_uffd_take(uintptr_t at, size_t pages, const uint8_t **bytes)
{
    struct move_arg m;
    uintptr_t place;
    size_t want, have = 0;

    if (!uffd.taken) {
        return 0;
    }
    want = MIN(pages, room_for_taken(&place)) * DQ_PAGE_SIZE;
    do {
        m = (struct move_arg){.to = place + have, .from = at + have, .length = want - have};
        if (ioctl(uffd.fd, MOVE, &m) == 0) {
            have = want;
            break;
        }
        have += m.moved > 0 ? (size_t)m.moved : 0;
    } while (errno == EAGAIN); /* see copy() */
    *bytes = (const uint8_t *)place;
    for (size_t i = 0; dq_check_is_on() && i < have; i += DQ_PAGE_SIZE) {
        dq_check_seen(at + i, *bytes + i);
        dq_check_let_go(at + i, 1);
    }
    uffd.taken_used += have / DQ_PAGE_SIZE;
    return have / DQ_PAGE_SIZE;
}

static bool is_swapped(uintptr_t at)
{
    uint64_t entry;

    return pread(uffd.pagemap, &entry, sizeof(entry), (off_t)(at / DQ_PAGE_SIZE * sizeof(entry))) ==
               sizeof(entry) &&
           entry & PAGEMAP_SWAPPED;
}

/*
 * What the kernel cannot read just now must not pass for absent: it would be sent as zeroes. (What is
 * present and cannot be read is a device's memory, which is no page of ours.)
 */
static void must_be_absent(uintptr_t at, int error)
{
    if (error != EIO || is_swapped(at)) {
        fail("read", error);
    }
}

/*
 * Through /proc/self/mem: it passes by the guest's protections, and it does not wait for a
 * userfaultfd (the kernel fails the access instead, with EIO), so the loop cannot wait for itself.
 */
bool dq_uffd_read(uintptr_t at, void *to, size_t pages)
{
    uint8_t *into = to;
    bool all = true;

    while (pages) {
        ssize_t n = pread(uffd.mem, into, pages * DQ_PAGE_SIZE, (off_t)at);
        size_t done = n > 0 ? (size_t)n / DQ_PAGE_SIZE : 0;

        if (n < 0) {
            must_be_absent(at, errno);
        }
        if (done == 0) {
            memset(into, 0, DQ_PAGE_SIZE);
            dq_check_seen(at, NULL);
            done = 1;
            all = false;
        } else if (dq_check_is_on()) {
            for (size_t i = 0; i < done * DQ_PAGE_SIZE; i += DQ_PAGE_SIZE) {
                dq_check_seen(at + i, into + i);
            }
        }
        at += done * DQ_PAGE_SIZE;
        into += done * DQ_PAGE_SIZE;
        pages -= done;
    }
    return all;
}

void dq_uffd_read_file(uintptr_t at, void *to)
{
    ssize_t n = pread(uffd.mem, to, DQ_PAGE_SIZE, (off_t)at);

    if (n < 0 && errno != EIO) {
        fail("read", errno);
    }
    if (n != DQ_PAGE_SIZE) {
        memset(to, 0, DQ_PAGE_SIZE);
    }
}

/* ---- which pages there are ---- */

/* The kernel's own walk: fast over terabytes of nothing. */
static int scan(uintptr_t start, uintptr_t end, bool own,
                void (*run)(void *arg, uintptr_t at, size_t pages), void *arg)
{
    struct scan_region found[256];
    struct scan_arg a = {
        .size = sizeof(a),
        .start = start,
        .end = end,
        .vec = (uintptr_t)found,
        .vec_len = G_N_ELEMENTS(found),
        .category_inverted = own ? SCAN_FILE : 0,
        .category_mask = own ? SCAN_FILE : 0,
        .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
        .return_mask = SCAN_PRESENT | SCAN_SWAPPED,
    };

    while (a.start < end) {
        int n = ioctl(uffd.pagemap, SCAN, &a);

        if (n < 0) {
            return -errno;
        }
        for (int i = 0; i < n; i++) {
            run(arg, found[i].start, (found[i].end - found[i].start) / DQ_PAGE_SIZE);
        }
        a.start = a.walk_end;
    }
    return 0;
}

/* Page by page, for kernels without that walk. */
static int read_pagemap(uintptr_t start, uintptr_t end, bool own,
                        void (*run)(void *arg, uintptr_t at, size_t pages), void *arg)
{
    uint64_t entries[4096];

    while (start < end) {
        size_t want = MIN((end - start) / DQ_PAGE_SIZE, G_N_ELEMENTS(entries));
        ssize_t n = pread(uffd.pagemap, entries, want * sizeof(*entries),
                          (off_t)(start / DQ_PAGE_SIZE * sizeof(*entries)));
        size_t got = n > 0 ? (size_t)n / sizeof(*entries) : 0;

        if (got == 0) {
            return n < 0 ? -errno : 0;
        }
        for (size_t i = 0; i < got; i++) {
            if (entries[i] & PAGEMAP_CONTENT && !(own && entries[i] & PAGEMAP_FILE)) {
                run(arg, start + i * DQ_PAGE_SIZE, 1);
            }
        }
        start += got * DQ_PAGE_SIZE;
    }
    return 0;
}

static int walk(uintptr_t start, size_t length, bool own,
                void (*run)(void *arg, uintptr_t at, size_t pages), void *arg)
{
    int err = scan(start, start + length, own, run, arg);

    return err == -ENOTTY ? read_pagemap(start, start + length, own, run, arg) : err;
}

int dq_uffd_present(uintptr_t start, size_t length,
                    void (*run)(void *arg, uintptr_t at, size_t pages), void *arg)
{
    return walk(start, length, false, run, arg);
}

int dq_uffd_written(uintptr_t start, size_t length,
                    void (*run)(void *arg, uintptr_t at, size_t pages), void *arg)
{
    return walk(start, length, true, run, arg);
}
