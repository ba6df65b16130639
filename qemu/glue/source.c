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
#include "qemu/cutils.h"
#include "qemu/interval-tree.h"
#include "exec/exec-all.h"
#include "user/page-protection.h"
#include "dqemu/runtime.h"
#include "source.h"

/* How much is read at once. */
#define BATCH_PAGES 64
#define BATCH (BATCH_PAGES * DQ_PAGE_SIZE)

/* A hole that is smaller is read; so are all after this many extents: each costs a mapping. */
#define LEAST_HOLE (64 * DQ_PAGE_SIZE)
#define MOST_EXTENTS 256

struct source {
    IntervalTreeNode node; /* guest addresses */
    char *host;
    bool hole; /* of the file: nothing is read from there */
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

void dq_source_in_child(void)
{
    if (dq_source_any()) {
        memory();
    }
}

static bool read_page(void *page, const void *from)
{
    return pread(memory(), page, DQ_PAGE_SIZE, (uintptr_t)from) == (ssize_t)DQ_PAGE_SIZE;
}

/* ---------------------------------------------------------------- the file */

int dq_source_reopen(int fd, abi_ulong len)
{
    g_autofree char *name = g_strdup_printf("/proc/self/fd/%d", fd);
    struct stat st;

    if (len < LEAST_HOLE || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
        st.st_blocks * 512 >= st.st_size) {
        return -1;
    }
    return open(name, O_RDONLY | O_CLOEXEC);
}

static void append_extent(GArray *extents, abi_ulong start, abi_ulong end)
{
    struct dq_extent e = {start, end - start};

    g_array_append_val(extents, e);
}

GArray *dq_source_extents(int fd, off_t offset, abi_ulong len)
{
    GArray *extents = g_array_new(false, false, sizeof(struct dq_extent));
    abi_ulong start = 0, end = 0;

    while (fd >= 0 && extents->len < MOST_EXTENTS) {
        off_t data = lseek(fd, offset + end, SEEK_DATA), hole;
        abi_ulong from;

        if (data < 0 && errno != ENXIO) {
            break;
        }
        /* no data up to the end of the file: the last page */
        from = data < 0 ? len - DQ_PAGE_SIZE : ROUND_DOWN(data - offset, DQ_PAGE_SIZE);
        from = MIN(from, len - DQ_PAGE_SIZE);
        if (from >= end + LEAST_HOLE) {
            if (end > start) {
                append_extent(extents, start, end);
            }
            start = from;
        }
        hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole < 0 || hole - offset >= len - DQ_PAGE_SIZE) {
            break;
        }
        end = ROUND_UP(hole - offset, DQ_PAGE_SIZE);
    }
    append_extent(extents, start, len);
    return extents;
}

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

static void insert(abi_ulong start, abi_ulong last, char *host, bool hole)
{
    struct source *s = g_new0(struct source, 1);

    s->node.start = start;
    s->node.last = last;
    s->host = host;
    s->hole = hole;
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
        insert(whole.node.start, at - 1, whole.host, whole.hole);
        insert(at, whole.node.last, whole.host + (at - whole.node.start), whole.hole);
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

void dq_source_add(abi_ulong start, abi_ulong len, void *mapping, const GArray *extents)
{
    abi_ulong done = 0;

    for (guint i = 0; i < extents->len; i++) {
        const struct dq_extent *e = &g_array_index(extents, struct dq_extent, i);

        if (e->start > done) {
            insert(start + done, start + e->start - 1, (char *)mapping + done, true);
        }
        insert(start + e->start, start + e->start + e->length - 1, (char *)mapping + e->start,
               false);
        done = e->start + e->length;
    }
    g_assert(done == len);
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
        insert(old.node.start - start + to, old.node.last - start + to, old.host, old.hole);
    }
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
    host = mremap(s->host, length, length + more, MREMAP_MAYMOVE);
    if (host == MAP_FAILED) {
        return MAP_FAILED;
    }
    s->host = host;
    return host + length;
}

void dq_source_each(abi_ulong start, abi_ulong len,
                    void (*fn)(abi_ulong start, abi_ulong len, const void *source))
{
    uint64_t end = (uint64_t)start + len; /* the end may be that of all addresses */

    for (;;) {
        struct source *s = first_in(start, end - 1);
        const char *from = NULL;
        uint64_t to = end;

        if (s && s->node.start <= start) {
            from = s->hole ? NULL : s->host + (start - s->node.start);
            to = MIN(end, (uint64_t)s->node.last + 1);
        } else if (s) {
            to = s->node.start;
        }
        fn(start, to - start, from);
        if (to == end) {
            break;
        }
        start = to;
    }
}

void dq_source_each_file(abi_ulong start, abi_ulong len,
                         void (*fn)(void *arg, abi_ulong start, abi_ulong len, const void *mapping),
                         void *arg)
{
    abi_ulong last = start + len - 1;

    for (IntervalTreeNode *n = interval_tree_iter_first(&sources, start, last); n;
         n = interval_tree_iter_next(n, start, last)) {
        const struct source *s = container_of(n, struct source, node);
        abi_ulong from = MAX(start, n->start), to = MIN(last, n->last);

        fn(arg, from, to - from + 1, s->host + (from - n->start));
    }
}

/* ---------------------------------------------------------------- the content */

/* What cannot be read reads as zeroes. */
static void read_batch(char *batch, const char *from, abi_ulong len)
{
    for (abi_ulong done = 0; done < len;) {
        ssize_t n = pread(memory(), batch + done, len - done, (uintptr_t)from + done);

        if (n <= 0) { /* this page is beyond the end of the file, or elsewhere */
            n = DQ_PAGE_SIZE - done % DQ_PAGE_SIZE;
            memset(batch + done, 0, n);
        }
        done += n;
    }
}

void dq_source_copy(void *to, const void *from, abi_ulong len)
{
    g_autofree char *batch = g_malloc(BATCH);

    for (abi_ulong done = 0; done < len; done += BATCH) {
        abi_ulong n = MIN(BATCH, len - done);

        read_batch(batch, (const char *)from + done, n);
        for (abi_ulong at = 0; at < n; at += DQ_PAGE_SIZE) {
            if (!buffer_is_zero(batch + at, DQ_PAGE_SIZE)) {
                memcpy((char *)to + done + at, batch + at, DQ_PAGE_SIZE);
            }
        }
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

/* Write a whole page, whatever the guest may do there. */
static void write_page(abi_ulong addr, char *page)
{
    if (dq_source_access(addr, page, DQ_PAGE_SIZE, true)) {
        return;
    }
    dq_control_error(125,
                     "cannot write to guest memory: %s; this is a fault of dqemu or of the "
                     "kernel",
                     strerror(errno));
    _exit(125);
}

void dq_source_restore(abi_ulong start, abi_ulong len, const void *source)
{
    g_autofree char *batch = g_malloc(BATCH);
    char now[DQ_PAGE_SIZE];

    for (abi_ulong done = 0; done < len; done += BATCH) {
        abi_ulong n = MIN(BATCH, len - done);

        read_batch(batch, (const char *)source + done, n);
        dq_pager_want((start + done) >> DQ_PAGE_BITS, n >> DQ_PAGE_BITS, false);
        for (abi_ulong at = 0; at < n; at += DQ_PAGE_SIZE) {
            abi_ulong addr = start + done + at;

            if (!read_page(now, g2h_untagged(addr)) || memcmp(now, batch + at, DQ_PAGE_SIZE)) {
                write_page(addr, batch + at);
            }
        }
    }
    mmap_lock();
    tb_invalidate_phys_range(start, start + len - 1);
    mmap_unlock();
}
