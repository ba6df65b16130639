/*
 * The sources of private file mappings: an interval tree of guest ranges, each with its piece
 * of a mapping of the kernel's.
 *
 * Sources, and guest pages whatever their protection, are read and written through
 * /proc/self/mem: beyond the end of a file that is an error instead of SIGBUS, and a page that
 * is elsewhere is an error instead of a wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "user/guest-base.h"
#include "qemu/interval-tree.h"
#include "exec/exec-all.h"
#include "user/page-protection.h"
#include "dqemu/runtime.h"
#include "dqemu/uffd.h"
#include "map.h"
#include "source.h"

/* How much is read at once. */
#define BATCH_PAGES 64
#define BATCH (BATCH_PAGES * DQ_PAGE_SIZE)

/* So much of a new mapping is read ahead by the kernel: the pager's loop need not wait for the disk. */
#define READ_AHEAD (UINT64_C(2) << 20)

/* In a child: after each so many pieces of files, the least piece that is mapped and not copied doubles. */
#define MANY_TWINS 1024

#ifndef MREMAP_DONTUNMAP /* Linux 5.7 */
#define MREMAP_DONTUNMAP 4
#endif

struct source {
    IntervalTreeNode node; /* guest addresses */
    char *host;
};

static IntervalTreeRoot sources;

/* This process's memory. It is opened anew in a forked child. */
static int memory(void)
{
    static int fd = -1;
    static pid_t owner;

    if (owner != getpid()) {
        if (fd >= 0) {
            close(fd);
        }
        fd = dq_node_high_fd(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
        owner = getpid();
        if (fd < 0) {
            dq_control_error(125, "cannot open /proc/self/mem: %s; is /proc mounted?",
                             strerror(errno));
            _exit(125);
        }
    }
    return fd;
}

void dq_source_prepare(void)
{
    memory();
}

/* ---------------------------------------------------------------- the file */

abi_ulong dq_source_in_file(const void *mapping, abi_ulong len)
{
    abi_ulong inside = 0, outside = len >> DQ_PAGE_BITS; /* pages known to be so */
    char byte;

    while (inside < outside) {
        abi_ulong middle = inside + (outside - inside - 1) / 2;
        const char *at = (const char *)mapping + (middle << DQ_PAGE_BITS);

        if (pread(memory(), &byte, 1, (uintptr_t)at) == 1) {
            inside = middle + 1;
        } else {
            outside = middle;
        }
    }
    return inside << DQ_PAGE_BITS;
}

/* ---------------------------------------------------------------- the tree */

static struct source *first_in(abi_ulong start, abi_ulong last)
{
    IntervalTreeNode *n = interval_tree_iter_first(&sources, start, last);

    return n ? container_of(n, struct source, node) : NULL;
}

static void insert(abi_ulong start, abi_ulong last, char *host)
{
    struct source *s = g_new0(struct source, 1);

    s->node.start = start;
    s->node.last = last;
    s->host = host;
    interval_tree_insert(&s->node, &sources);
}

static void take_out(struct source *s)
{
    interval_tree_remove(&s->node, &sources);
    g_free(s);
}

/* No source reaches over `at`. */
static void split(abi_ulong at)
{
    struct source *s = at ? first_in(at - 1, at) : NULL;

    if (s && s->node.start < at && s->node.last >= at) {
        struct source whole = *s;

        take_out(s);
        insert(whole.node.start, at - 1, whole.host);
        insert(at, whole.node.last, whole.host + (at - whole.node.start));
    }
}

bool dq_source_any(void)
{
    return !interval_tree_is_empty(&sources);
}

bool dq_source_within(abi_ulong start, abi_ulong len)
{
    return first_in(start, start + len - 1);
}

void dq_source_add(abi_ulong start, abi_ulong len, void *mapping)
{
    madvise(mapping, MIN(len, READ_AHEAD), MADV_WILLNEED);
    insert(start, start + len - 1, mapping);
}

void dq_source_forget(abi_ulong start, abi_ulong len)
{
    struct source *s;

    if (!dq_source_any()) {
        return;
    }
    split(start);
    split(start + len);
    while ((s = first_in(start, start + len - 1))) {
        munmap(s->host, s->node.last - s->node.start + 1);
        take_out(s);
    }
}

void dq_source_move(abi_ulong start, abi_ulong len, abi_ulong to)
{
    struct source *s;

    if (!dq_source_any()) {
        return;
    }
    split(start);
    split(start + len);
    while ((s = first_in(start, start + len - 1))) {
        struct source old = *s;

        take_out(s);
        insert(old.node.start - start + to, old.node.last - start + to, old.host);
    }
}

/*
 * A mapping can be mapped a second time if it moves and the kernel leaves an empty one where it was: both
 * then show the file, as nothing was ever written to it. MAP_FAILED with errno; EINVAL before Linux 5.13.
 */
static void *map_twice(char *mapping, abi_ulong len)
{
    return mremap(mapping, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
}

bool dq_source_copy(abi_ulong start, abi_ulong len, abi_ulong to)
{
    abi_ulong last = start + len - 1;

    for (IntervalTreeNode *n = interval_tree_iter_first(&sources, start, last); n;
         n = interval_tree_iter_next(n, start, last)) {
        abi_ulong from = MAX(n->start, start), bytes = MIN(n->last, last) - from + 1;
        char *twin =
            map_twice(container_of(n, struct source, node)->host + (from - n->start), bytes);
        int err = errno;

        if (twin == MAP_FAILED) {
            dq_source_forget(to, len);
            errno = err;
            return false;
        }
        insert(from - start + to, from - start + to + bytes - 1, twin);
    }
    return true;
}

void *dq_source_grow(abi_ulong end, abi_ulong more)
{
    struct source *s = first_in(end - 1, end - 1);
    abi_ulong length;
    char *host;

    if (!s) {
        return NULL;
    }
    length = end - s->node.start;
    if (dq_engaged) {
        host = dq_pager_grow_file(s->node.start >> DQ_PAGE_BITS, length >> DQ_PAGE_BITS, s->host,
                                  more >> DQ_PAGE_BITS);
    } else {
        host = mremap(s->host, length, length + more, MREMAP_MAYMOVE);
    }
    if (host == MAP_FAILED) {
        return MAP_FAILED;
    }
    s->host = host;
    return host + length;
}

void dq_source_reset(abi_ulong start, abi_ulong len, const void *source)
{
    if (source) {
        dq_pager_reset_file(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS, source);
    } else {
        dq_pager_reset(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
    }
}

void dq_source_each(abi_ulong start, abi_ulong len,
                    void (*fn)(abi_ulong start, abi_ulong len, const void *source, void *arg),
                    void *arg)
{
    uint64_t end = (uint64_t)start + len; /* the end may be that of all addresses */

    for (;;) {
        struct source *s = first_in(start, end - 1);
        const char *from = NULL;
        uint64_t to = end;

        if (s && s->node.start <= start) {
            from = s->host + (start - s->node.start);
            to = MIN(end, (uint64_t)s->node.last + 1);
        } else if (s) {
            to = s->node.start;
        }
        fn(start, to - start, from, arg);
        if (to == end) {
            break;
        }
        start = to;
    }
}

/* ---------------------------------------------------------------- the content */

void dq_source_read(void *to, const void *from, abi_ulong len)
{
    for (abi_ulong done = 0; done < len;) {
        ssize_t n = pread(memory(), (char *)to + done, len - done, (uintptr_t)from + done);

        if (n <= 0) { /* this page is beyond the end of the file, or elsewhere */
            n = DQ_PAGE_SIZE - done % DQ_PAGE_SIZE;
            memset((char *)to + done, 0, n);
        }
        done += n;
    }
}

static bool access_here(abi_ulong addr, void *data, size_t len, bool write)
{
    off_t at = (uintptr_t)g2h_untagged(addr);

    return (write ? pwrite(memory(), data, len, at) : pread(memory(), data, len, at)) ==
           (ssize_t)len;
}

/*
 * Another node may take the page away between its coming and the access; since a node keeps for a
 * while what it gets, not often.
 */
bool dq_source_access(abi_ulong addr, void *data, size_t len, bool write)
{
    bool paged = dq_engaged && !(page_get_flags(addr) & DQ_PAGE_FOREIGN);

    do {
        if (paged) {
            dq_pager_want(addr >> DQ_PAGE_BITS, 1, write);
        }
        if (access_here(addr, data, len, write)) {
            return true;
        }
    } while (errno == EIO && paged);
    return false;
}

/* ---------------------------------------------------------------- in the child of a fork */

static bool can_twin(void *mapping)
{
    static int can = -1;
    void *twin;

    if (can < 0) {
        twin = map_twice(mapping, DQ_PAGE_SIZE);
        can = twin != MAP_FAILED;
        if (can) {
            munmap(twin, DQ_PAGE_SIZE);
        }
    }
    return can;
}

/* Whatever the guest may do there. */
static void write_batch(abi_ulong addr, const char *batch, abi_ulong len)
{
    ssize_t n = pwrite(memory(), batch, len, (uintptr_t)g2h_untagged(addr));

    if (n != (ssize_t)len) {
        dq_control_error(125,
                         "cannot write to guest memory: %s; give this machine more memory, and "
                         "boot it with proc_mem.force_override=always",
                         strerror(n < 0 ? errno : ENOMEM));
        _exit(125);
    }
}

static void copy(abi_ulong start, abi_ulong len, const char *from)
{
    g_autofree char *batch = g_malloc(BATCH);

    for (abi_ulong done = 0; done < len; done += BATCH) {
        abi_ulong n = MIN(BATCH, len - done);

        dq_source_read(batch, from + done, n);
        write_batch(start + done, batch, n);
    }
}

/* Each costs areas: where they get many, only long ranges have one. */
static bool may_twin(abi_ulong len)
{
    static unsigned twins;

    if (len >> DQ_PAGE_BITS < UINT64_C(1) << twins / MANY_TWINS) {
        return false;
    }
    twins++;
    return true;
}

/*
 * The range, not protected yet as it should be, has the content of its source. What the kernel has no area
 * left for is copied.
 */
static void show(abi_ulong start, abi_ulong len, char *from)
{
    void *host = g2h_untagged(start);

    if (!can_twin(from) || !may_twin(len) ||
        mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, host) != host) {
        copy(start, len, from);
    }
}

void dq_source_restore(abi_ulong start, abi_ulong len, const void *source)
{
    show(start, len, (char *)source);
    dq_map_restore_host(start, len);
    mmap_lock();
    tb_invalidate_phys_range(start, start + len - 1);
    mmap_unlock();
}

/* Stretches (struct stretch) that nobody had touched before the fork. */
static GArray *untouched;

struct stretch {
    uint64_t start, length;
};

/* The end may be that of all addresses. */
static void note_untouched(uint64_t start, uint64_t end)
{
    struct stretch found = {start, end - start};

    if (end > start) {
        g_array_append_val(untouched, found);
    }
}

/* *known: up to where a source is known. */
static void skip_touched(void *known, uintptr_t at, size_t pages)
{
    uint64_t *done = known, start = h2g_nocheck((void *)at);

    note_untouched(*done, start);
    *done = start + (pages << DQ_PAGE_BITS);
}

void dq_source_before_fork(void)
{
    untouched = g_array_new(false, false, sizeof(struct stretch));
    for (IntervalTreeNode *n = interval_tree_iter_first(&sources, 0, UINT64_MAX); n;
         n = interval_tree_iter_next(n, 0, UINT64_MAX)) {
        uint64_t done = n->start;
        int err = dq_uffd_present((uintptr_t)g2h_untagged(n->start), n->last - n->start + 1,
                                  skip_touched, &done);

        if (err) {
            dq_control_error(125, "cannot find out which pages are in use: %s", strerror(-err));
            _exit(125);
        }
        note_untouched(done, n->last + 1);
    }
}

void dq_source_after_fork(bool child)
{
    for (guint i = 0; child && i < untouched->len; i++) {
        const struct stretch *u = &g_array_index(untouched, struct stretch, i);
        struct source *s = first_in(u->start, u->start);

        show(u->start, u->length, s->host + (u->start - s->node.start));
        dq_map_restore_host(u->start, u->length);
    }
    g_array_free(untouched, true);
    untouched = NULL;
}
