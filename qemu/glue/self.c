/*
 * What the process sees of itself: its map, its descriptors and threads, its memory as a file.
 *
 * QEMU writes /proc/self/maps from its own account of the pages, and takes the files behind them
 * from the host's. Once the cluster is engaged, the host has anonymous memory where private
 * mappings of files are; they are put back into what it tells (source.h).
 *
 * The kernel reads and writes /proc/self/mem without waiting for a page that is elsewhere: that is
 * an error. So we do it in its place, a page at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <dirent.h>
#include <sys/syscall.h>
#include "qemu/selfmap.h"
#include "exec/exec-all.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/runtime.h"
#include "dqemu/spin.h"
#include "master/map.h"
#include "peek.h"
#include "self.h"
#include "source.h"
#include "split.h"

/* ---------------------------------------------------------------- names */

static const char *skip_number(const char *path)
{
    while (g_ascii_isdigit(*path)) {
        path++;
    }
    return path;
}

/* "12/..." with this number: what follows. */
static const char *skip_own_number(const char *path)
{
    g_autofree char *own = g_strdup_printf("%d/", (int)getpid());

    return g_str_has_prefix(path, own) ? path + strlen(own) : NULL;
}

/* "task/12/..." : what follows; all others as they are. */
static const char *skip_task(const char *path)
{
    const char *end;

    if (!g_str_has_prefix(path, "task/")) {
        return path;
    }
    end = skip_number(path + strlen("task/"));
    return *end == '/' ? end + 1 : path;
}

/* What is below the folder of this process, or of the calling thread. */
static const char *below_self(const char *path)
{
    if (g_str_has_prefix(path, "/dev/fd/")) {
        return path + strlen("/dev/");
    }
    if (!g_str_has_prefix(path, "/proc/")) {
        return NULL;
    }
    path += strlen("/proc/");
    if (g_str_has_prefix(path, "self/")) {
        return path + strlen("self/");
    }
    if (g_str_has_prefix(path, "thread-self/")) {
        return path + strlen("thread-self/");
    }
    return skip_own_number(path);
}

const char *dq_self_file(const char *path)
{
    const char *file = below_self(path);

    return file ? skip_task(file) : NULL;
}

int dq_self_thread(const char *path)
{
    const char *file = below_self(path);

    if (!file) {
        return 0;
    }
    if (g_str_has_prefix(path, "/proc/thread-self/")) {
        return syscall(SYS_gettid);
    }
    return g_str_has_prefix(file, "task/") ? atoi(file + strlen("task/")) : 0;
}

/* Of what is open as fd; to be freed. NULL: nothing is. */
static char *path_of(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);

    return g_file_read_link(link, NULL);
}

/* As dq_self_file(), of what is open as fd; to be freed. */
static char *file_of(int fd)
{
    g_autofree char *path = path_of(fd);
    const char *file = path ? dq_self_file(path) : NULL;

    return g_strdup(file);
}

int dq_self_text(const char *text)
{
    const size_t length = strlen(text);
    int fd = memfd_create("dqemu-open", 0);

    if (fd >= 0 && write(fd, text, length) != (ssize_t)length) {
        close(fd);
        errno = ENOMEM;
        return -1;
    }
    if (fd >= 0) {
        lseek(fd, 0, SEEK_SET);
    }
    return fd;
}

/* ---------------------------------------------------------------- the map */

/*
 * This thread has the turn of the map while it shows the map. (In a forked child mmap_lock guards
 * what the turn guards.)
 */
static __thread bool has_turn;

void dq_self_map_lock(void)
{
    if (!dq_on_slave() && qatomic_read(&dq_engaged)) {
        dq_map_begin();
        has_turn = true;
    }
    mmap_lock();
}

void dq_self_map_unlock(void)
{
    mmap_unlock();
    if (has_turn) {
        has_turn = false;
        dq_map_end();
    }
}

/* The host's map as it is made anew: pieces in the order of their addresses. */
struct remake {
    IntervalTreeRoot *maps;
    MapInfo *last; /* the latest piece, which may grow */
};

static bool is_anonymous(const MapInfo *m)
{
    return m->is_priv && !m->dev && !m->inode;
}

static bool continues(const MapInfo *m, const MapInfo *next)
{
    if (!m || m->itree.last + 1 != next->itree.start || m->is_priv != next->is_priv ||
        m->dev != next->dev || m->inode != next->inode || g_strcmp0(m->path, next->path)) {
        return false;
    }
    return is_anonymous(m) || m->offset + (next->itree.start - m->itree.start) == next->offset;
}

/* A piece like `as`, whose offset is that of its first byte. */
static void add_piece(struct remake *r, const MapInfo *as, uint64_t first, uint64_t last,
                      uint64_t offset)
{
    size_t path_size = as->path ? strlen(as->path) + 1 : 0;
    MapInfo *m = g_malloc0(sizeof(*m) + path_size);

    *m = *as;
    m->itree = (IntervalTreeNode){.start = first, .last = last};
    m->offset = offset;
    if (path_size) {
        m->path = memcpy(m + 1, as->path, path_size);
    }
    if (continues(r->last, m)) {
        interval_tree_remove(&r->last->itree, r->maps);
        r->last->itree.last = last;
        g_free(m);
        m = r->last;
    }
    interval_tree_insert(&m->itree, r->maps);
    r->last = m;
}

static const MapInfo *find_map(const struct remake *r, uint64_t at)
{
    IntervalTreeNode *n = interval_tree_iter_first(r->maps, at, at);

    return n ? container_of(n, MapInfo, itree) : NULL;
}

/* Anonymous memory of the host, of which parts are a file's for the guest. */
struct parts {
    struct remake *remake;
    const MapInfo *anonymous;
    uint64_t done; /* up to here */
};

static void add_anonymous(struct parts *p, uint64_t end)
{
    if (p->done < end) {
        add_piece(p->remake, p->anonymous, p->done, end - 1, 0);
        p->done = end;
    }
}

static void add_file(abi_ulong start, abi_ulong len, const void *mapping, void *arg)
{
    struct parts *p = arg;
    uint64_t first = (uintptr_t)g2h_untagged(start), from = (uintptr_t)mapping;
    const MapInfo *file = mapping ? find_map(p->remake, from) : NULL;

    if (file) {
        add_anonymous(p, first);
        add_piece(p->remake, file, first, first + len - 1,
                  file->offset + (from - file->itree.start));
        p->done = first + len;
    }
}

static void remake_anonymous(struct remake *r, const MapInfo *m, uint64_t low, uint64_t high)
{
    uint64_t first = MAX(m->itree.start, low), last = MIN(m->itree.last, high);
    MapInfo plain = {.is_priv = true};
    struct parts p = {.remake = r, .anonymous = &plain, .done = m->itree.start};

    dq_source_each(first - low, last - first + 1, add_file, &p);
    add_anonymous(&p, m->itree.last + 1);
}

/* What the host has in the guest's memory, as the guest has mapped it. */
static void remake_maps(IntervalTreeRoot *maps)
{
    uint64_t low = (uintptr_t)g2h_untagged(0), high = (uintptr_t)g2h_untagged(reserved_va);
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
    struct remake r = {.maps = maps};

    for (IntervalTreeNode *n = interval_tree_iter_first(maps, low, high); n;
         n = interval_tree_iter_next(n, low, high)) {
        g_ptr_array_add(all, container_of(n, MapInfo, itree));
    }
    for (guint i = 0; i < all->len; i++) {
        interval_tree_remove(&((MapInfo *)all->pdata[i])->itree, maps);
    }
    for (guint i = 0; i < all->len; i++) {
        const MapInfo *m = all->pdata[i];

        if (is_anonymous(m)) {
            remake_anonymous(&r, m, low, high);
        } else {
            add_piece(&r, m, m->itree.start, m->itree.last, m->offset);
        }
    }
}

/* Neighbouring regions that differ in what is shown of nothing. */
struct regions {
    walk_memory_regions_fn fn;
    void *opaque;
    target_ulong start, end;
    unsigned long flags;
};

static int show_region(struct regions *r)
{
    return r->end > r->start ? r->fn(r->opaque, r->start, r->end, r->flags) : 0;
}

static int add_region(void *opaque, target_ulong start, target_ulong end, unsigned long flags)
{
    struct regions *r = opaque;
    int err = 0;

    if (flags & DQ_PAGE_HOLE) {
        return 0;
    }
    flags &= PAGE_VALID | PAGE_READ | PAGE_WRITE_ORG | PAGE_EXEC | PAGE_ANON;
    if (r->end != start || r->flags != flags) {
        err = show_region(r);
        r->start = start;
        r->flags = flags;
    }
    r->end = end;
    return err;
}

/* As QEMU has it, without what is not the guest's. */
static int show_guests(void *opaque, target_ulong start, target_ulong end, unsigned long flags)
{
    const struct regions *r = opaque;

    return flags & DQ_PAGE_HOLE ? 0 : r->fn(r->opaque, start, end, flags);
}

void dq_self_map(void *opaque, walk_memory_regions_fn fn, IntervalTreeRoot *host_maps)
{
    struct regions r = {.fn = fn, .opaque = opaque};

    if (!has_turn && !dq_source_any()) {
        walk_memory_regions(&r, show_guests);
        return;
    }
    remake_maps(host_maps);
    walk_memory_regions(&r, add_region);
    show_region(&r);
}

/* ---------------------------------------------------------------- descriptors */

/* What the names in a folder of this process are the numbers of. */
enum listed { LISTS_OTHERS, LISTS_DESCRIPTORS, LISTS_THREADS };

static enum listed listed_in(const char *file)
{
    if (!strcmp(file, "fd") || !strcmp(file, "fdinfo")) {
        return LISTS_DESCRIPTORS;
    }
    return !strcmp(file, "task") ? LISTS_THREADS : LISTS_OTHERS;
}

static enum listed lists(int fd)
{
    g_autofree char *file = file_of(fd);

    return file ? listed_in(file) : LISTS_OTHERS;
}

/* A number that is one of ours; of a thread there may be a path below it. */
static bool is_own_name(enum listed what, const char *name)
{
    const char *end = skip_number(name);

    if (end == name) {
        return false;
    }
    return (what == LISTS_DESCRIPTORS && *end == '\0' && dq_node_owns_fd(atoi(name))) ||
           (what == LISTS_THREADS && (*end == '\0' || *end == '/') &&
            dq_node_owns_thread(atoi(name)));
}

/* Take out what is ours of these entries. The length of what is left. */
static long without_ours(enum listed what, char *entries, long length, size_t name_at)
{
    long kept = 0;

    for (long at = 0; at < length;) {
        uint16_t size = ((struct dirent64 *)(entries + at))->d_reclen;

        if (!is_own_name(what, entries + at + name_at)) {
            memmove(entries + kept, entries + at, size);
            kept += size;
        }
        at += size;
    }
    return kept;
}

long dq_hide_entries(int num, int fd, void *entries, size_t count, long length)
{
    /* the older form has no byte for the type before the name */
    size_t name_at = offsetof(struct dirent64, d_name) - (num != SYS_getdents64);
    enum listed what;

    QEMU_BUILD_BUG_ON(offsetof(struct dirent64, d_reclen) != 16);
    if (dq_config.nodes == 1 || length <= 0 || (what = lists(fd)) == LISTS_OTHERS) {
        return length;
    }
    while (length > 0) {
        long kept = without_ours(what, entries, length, name_at);

        if (kept) {
            return kept;
        }
        length = syscall(num, fd, entries, count); /* nothing left is no end yet */
    }
    return length;
}

/* A file of this process, from its folder on: a thread of ours, or a descriptor. */
static bool file_is_ours(const char *file)
{
    const char *slash;
    g_autofree char *in = NULL;

    if (g_str_has_prefix(file, "task/") && is_own_name(LISTS_THREADS, file + strlen("task/"))) {
        return true;
    }
    file = skip_task(file);
    slash = strrchr(file, '/');
    in = slash ? g_strndup(file, slash - file) : NULL;
    return in && is_own_name(listed_in(in), slash + 1);
}

/* "/proc/self/fd/600", "600" in that folder: a descriptor of ours. */
static bool names_ours(int folder, abi_ulong path_addr)
{
    char *path = lock_user_string(path_addr);
    const char *file;
    bool ours;

    if (!path) {
        return false;
    }
    file = below_self(path);
    if (file) {
        ours = file_is_ours(file);
    } else {
        ours = g_ascii_isdigit(*path) && folder >= 0 && is_own_name(lists(folder), path);
    }
    unlock_user(path, path_addr, 0);
    return ours;
}

/* The call's first argument is a path, or a folder's descriptor with a path behind it. */
enum naming { NAMES_NOTHING, NAMES_PATH, NAMES_IN_FOLDER };

static enum naming naming_of(int num)
{
    switch (num) {
    case TARGET_NR_openat:
    case TARGET_NR_openat2:
    case TARGET_NR_readlinkat:
    case TARGET_NR_faccessat:
    case TARGET_NR_faccessat2:
    case TARGET_NR_statx:
#ifdef TARGET_NR_newfstatat
    case TARGET_NR_newfstatat:
#endif
#ifdef TARGET_NR_fstatat64
    case TARGET_NR_fstatat64:
#endif
        return NAMES_IN_FOLDER;
#ifdef TARGET_NR_open
    case TARGET_NR_open:
    case TARGET_NR_readlink:
    case TARGET_NR_access:
        return NAMES_PATH;
#endif
#ifdef TARGET_NR_stat
    case TARGET_NR_stat:
    case TARGET_NR_lstat:
        return NAMES_PATH;
#endif
#ifdef TARGET_NR_stat64
    case TARGET_NR_stat64:
    case TARGET_NR_lstat64:
        return NAMES_PATH;
#endif
    default:
        return NAMES_NOTHING;
    }
}

/* Is the first argument a descriptor? Those of ours are not open for the guest. */
static bool takes_descriptor(int num)
{
    switch (num) {
    case TARGET_NR_close:
    case TARGET_NR_dup:
    case TARGET_NR_dup3:
#ifdef TARGET_NR_dup2
    case TARGET_NR_dup2:
#endif
    case TARGET_NR_fcntl:
#ifdef TARGET_NR_fcntl64
    case TARGET_NR_fcntl64:
#endif
    case TARGET_NR_ioctl:
    case TARGET_NR_read:
    case TARGET_NR_write:
    case TARGET_NR_pread64:
    case TARGET_NR_pwrite64:
    case TARGET_NR_readv:
    case TARGET_NR_writev:
    case TARGET_NR_preadv:
    case TARGET_NR_pwritev:
    case TARGET_NR_lseek:
#ifdef TARGET_NR__llseek
    case TARGET_NR__llseek:
#endif
    case TARGET_NR_fstat:
#ifdef TARGET_NR_fstat64
    case TARGET_NR_fstat64:
#endif
#ifdef TARGET_NR_ftruncate64
    case TARGET_NR_ftruncate64:
#endif
#ifdef TARGET_NR_getdents
    case TARGET_NR_getdents:
#endif
    case TARGET_NR_fchmod:
    case TARGET_NR_fchown:
    case TARGET_NR_fchdir:
    case TARGET_NR_ftruncate:
    case TARGET_NR_fsync:
    case TARGET_NR_fdatasync:
    case TARGET_NR_flock:
    case TARGET_NR_getdents64:
    case TARGET_NR_getsockname:
    case TARGET_NR_getpeername:
    case TARGET_NR_getsockopt:
    case TARGET_NR_setsockopt:
    case TARGET_NR_shutdown:
    case TARGET_NR_sendto:
    case TARGET_NR_recvfrom:
    case TARGET_NR_sendmsg:
    case TARGET_NR_recvmsg:
        return true;
    default:
        return false;
    }
}

static bool replaces_descriptor(int num)
{
    return num == TARGET_NR_dup3
#ifdef TARGET_NR_dup2
           || num == TARGET_NR_dup2
#endif
        ;
}

static bool refuses_path(int num, const abi_long arg[8])
{
    switch (naming_of(num)) {
    case NAMES_PATH:
        return names_ours(-1, arg[0]);
    case NAMES_IN_FOLDER:
        return names_ours(arg[0], arg[1]);
    default:
        return false;
    }
}

bool dq_self_refuses(int num, const abi_long arg[8], abi_long *ret)
{
    if ((dq_node_owns_fd(arg[0]) && (takes_descriptor(num) || naming_of(num) == NAMES_IN_FOLDER)) ||
        (replaces_descriptor(num) && dq_node_owns_fd(arg[1]))) {
        *ret = -TARGET_EBADF;
        return true;
    }
    if (refuses_path(num, arg)) {
        *ret = -TARGET_ENOENT;
        dq_split_unpin();
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- memory as a file */

/* Somebody has opened it: from now on descriptors are looked at. */
static bool memory_is_open;

int dq_self_open(const char *path)
{
    const char *file = path[0] == '/' ? dq_self_file(path) : path; /* perhaps of such a folder */

    if (g_str_has_suffix(path, "mem")) {
        qatomic_set(&memory_is_open, true);
    }
    return file && path[0] == '/' ? dq_account_open(path, file) : -2;
}

void dq_self_opened(const char *path, int fd)
{
    const char *file = dq_self_file(path);

    if (file && !strcmp(file, "stat")) {
        dq_account_stat(fd);
    }
}

pid_t dq_self_memory_of(int fd)
{
    g_autofree char *path = qatomic_read(&memory_is_open) ? path_of(fd) : NULL;
    const char *number, *file;
    pid_t pid;

    if (!path || !g_str_has_prefix(path, "/proc/")) {
        return 0;
    }
    number = path + strlen("/proc/");
    file = skip_number(number);
    pid = atoi(number);
    if (pid <= 0 || *file != '/' || strcmp(skip_task(file + 1), "mem")) {
        return 0;
    }
    return pid == getpid() && !dq_engaged ? 0 : pid;
}

/* Part of a page that the guest has mapped. With the turn, its page not split. */
static bool access_page(abi_ulong addr, void *data, size_t len, bool reads)
{
    if (!(page_get_flags(addr) & PAGE_VALID) || !dq_source_access(addr, data, len, !reads)) {
        return false;
    }
    if (!reads) {
        mmap_lock();
        tb_invalidate_phys_range(addr, addr + len - 1);
        mmap_unlock();
    }
    return true;
}

/* How many bytes of them can be reached from the first one on. */
static size_t access_range(uint64_t at, char *data, size_t len, bool reads)
{
    size_t done = 0;

    while (done < len) {
        size_t n = MIN(len - done, DQ_PAGE_SIZE - (at + done) % DQ_PAGE_SIZE);
        const void *host = (void *)(uintptr_t)(at + done);

        if (!h2g_valid(host) || !access_page(h2g_nocheck(host), data + done, n, reads)) {
            break;
        }
        done += n;
    }
    return done;
}

/* The map stands still meanwhile, and no page is split. */
static size_t access_memory(uint64_t at, void *data, size_t len, bool reads)
{
    const void *host = (void *)(uintptr_t)at;
    size_t done;

    if (!len || !h2g_valid(host)) {
        return 0;
    }
    dq_map_begin();
    dq_split_exclude(h2g_nocheck(host) >> DQ_PAGE_BITS,
                     ((at + len - 1) >> DQ_PAGE_BITS) - (at >> DQ_PAGE_BITS) + 1);
    done = access_range(at, data, len, reads);
    dq_split_include();
    dq_map_end();
    return done;
}

void dq_self_serve(void)
{
    dq_peek_serve(access_memory);
}

bool dq_self_memory(int fd, pid_t pid, const struct iovec *ours, unsigned count,
                    const off_t *offset, bool reads, abi_long *ret)
{
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    off_t at = offset ? *offset : lseek(fd, 0, SEEK_CUR);
    bool own = pid == getpid();
    struct dq_peek other;
    size_t done = 0, n;

    if (mode == (reads ? O_WRONLY : O_RDONLY)) {
        *ret = -TARGET_EBADF;
        return true;
    }
    if (!own && !dq_peek_open(&other, pid, fd)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        void *data = ours[i].iov_base;
        size_t len = ours[i].iov_len;

        n = own ? access_memory(at + done, data, len, reads)
                : dq_peek_access(&other, at + done, data, len, reads);
        done += n;
        if (n < len) {
            break;
        }
    }
    if (!own) {
        dq_peek_close(&other);
    }
    if (done && !offset) {
        lseek(fd, at + (off_t)done, SEEK_SET);
    }
    *ret = done ? (abi_long)done : -TARGET_EIO;
    return true;
}
