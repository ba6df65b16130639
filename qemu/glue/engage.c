/*
 * Engaging the cluster: until the first thread is placed elsewhere, the master is a plain
 * emulator. Here its memory comes under the pager, and the other nodes learn what the
 * loader and the guest have set up so far.
 *
 * The order, and why it is safe while threads of the guest sit in the host's kernel (nobody
 * runs translated code: this is the exclusive section; nobody changes the map: we have the
 * turn). First every range is registered: from then on a missing page traps, and waits for
 * the pager. Only then are the present pages counted and given to the directory: none can
 * appear unseen in between. Other nodes start no thread before all of them have answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <dirent.h>
#include <sys/sysmacros.h>
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "exec/tb-flush.h"
#include "exec/translation-block.h"
#include "user-mmap.h"
#include "dqemu/cpu_time.h"
#include "dqemu/runtime.h"
#include "master/cpu_timers.h"
#include "master/map.h"
#include "source.h"
#include "split.h"
#include "wide.h"

bool dq_engaged;
bool dq_foreign;

/* Older kernels look through what is not mapped page by page. */
#define MOST_GAP (UINT64_C(64) << 20)
#define MOST_AREA_BYTES 32768 /* of names and numbers to the launcher */

/* What the loader set up on the master in globals; slaves need it to build signal frames. */
struct globals {
    uint64_t sigreturn, rt_sigreturn;
    uint32_t pid;
    uint32_t splits; /* 1: the end of the address space is that of shadow pages */
    uint32_t info_size;
    struct image_info info;
};

static struct image_info slave_info;

/* ---------------------------------------------------------------- host mappings */

struct host_range {
    uint64_t start, length; /* guest addresses; all of them can be one range */
    int prot;               /* the host's */
    off_t offset;           /* in the file */
    char *path;             /* of the file */
    ino_t inode;            /* likewise */
    dev_t device;
    bool file;
    bool shared; /* with others; or the kernel's own for another reason */
};

static void forget_path(void *range)
{
    g_free(((struct host_range *)range)->path);
}

/*
 * What the kernel tells of this process. Opened before the guest runs, which may change its user, its
 * root or its limits, and then might not be allowed to.
 */
static int maps_fd = -1, pagemap_fd = -1;

static int open_own(const char *path)
{
    int fd = dq_node_high_fd(open(path, O_RDONLY | O_CLOEXEC));

    if (fd < 0) {
        dq_control_error(125, "cannot open %s: %s; is /proc mounted?", path, strerror(errno));
        exit(125);
    }
    return fd;
}

void dq_engage_prepare(void)
{
    maps_fd = open_own("/proc/self/maps");
    pagemap_fd = open_own("/proc/self/pagemap");
}

void dq_engage_in_child(void)
{
    close(maps_fd);
    close(pagemap_fd);
}

/* All of /proc/self/maps. */
static char *read_maps(void)
{
    GString *text = g_string_new(NULL);
    char part[16384];
    ssize_t n;

    lseek(maps_fd, 0, SEEK_SET);
    while ((n = read(maps_fd, part, sizeof(part))) > 0) {
        g_string_append_len(text, part, n);
    }
    if (n < 0) {
        dq_control_error(125, "cannot read /proc/self/maps: %s", strerror(errno));
        _exit(125);
    }
    return g_string_free(text, FALSE);
}

/* What the host has mapped in the guest's address space, from /proc/self/maps. */
static GArray *host_ranges(void)
{
    g_autofree char *maps = read_maps();
    char *rest = NULL;
    GArray *ranges = g_array_new(false, false, sizeof(struct host_range));
    uintptr_t first = (uintptr_t)g2h_untagged(0), last = (uintptr_t)g2h_untagged(reserved_va);

    g_array_set_clear_func(ranges, forget_path);
    for (char *line = strtok_r(maps, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        unsigned long from, to, offset, inode;
        unsigned major, minor;
        char perms[5];
        int name = 0;

        if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &from, &to, perms, &offset, &major, &minor,
                   &inode, &name) != 7 ||
            to <= first || from > last || dq_wide_is_between(from - first)) {
            continue;
        }
        from = MAX(from, first);
        to = MIN(to, last + 1);
        struct host_range r = {
            .start = from - first,
            .length = to - from,
            .prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0),
            .offset = offset,
            .shared = perms[3] == 's',
            .file = inode != 0,
            .path = inode ? g_strdup(g_strchomp(line + name)) : NULL,
            .inode = inode,
            .device = makedev(major, minor),
        };
        g_array_append_val(ranges, r);
    }
    return ranges;
}

/* A descriptor of the file, if this (any descriptor) is it, to find its holes; -1 if not, or worthless. */
static int reopen(int fd, const struct host_range *r)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) || st.st_ino != r->inode || st.st_dev != r->device) {
        return -1;
    }
    return dq_source_reopen(fd, r->length);
}

static int open_by_name(const char *name, const struct host_range *r)
{
    int fd = open(name, O_PATH | O_CLOEXEC), file = reopen(fd, r);

    if (fd >= 0) {
        close(fd);
    }
    return file;
}

/* A file without a name may be open still. */
static int open_by_number(const struct host_range *r)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    int file = -1;

    while (folder && file < 0 && (entry = readdir(folder))) {
        file = reopen(atoi(entry->d_name), r);
    }
    if (folder) {
        closedir(folder);
    }
    return file;
}

/*
 * A descriptor of the mapped file, to find its holes; -1: there is none, or it is worthless. The kernel's
 * own link to it is for privileged users; others find the file in one of two other ways, or all of it
 * is read.
 */
static int open_mapped(const struct host_range *r)
{
    uintptr_t from = (uintptr_t)g2h_untagged(r->start);
    g_autofree char *name =
        g_strdup_printf("/proc/self/map_files/%lx-%lx", from, from + (uintptr_t)r->length);
    int file = open_by_name(name, r);

    file = file < 0 ? open_by_name(r->path, r) : file;
    return file < 0 ? open_by_number(r) : file;
}

/* Of what lies in holes of the file only what the guest has written counts. */
static int copy_written(char *to, const char *from, abi_ulong len)
{
    uint64_t entries[512];
    size_t page_size = qemu_real_host_page_size();

    for (abi_ulong page = 0; page < len / page_size;) {
        size_t want = MIN(len / page_size - page, ARRAY_SIZE(entries)) * sizeof(entries[0]);
        ssize_t n = pread(pagemap_fd, entries, want,
                          ((uintptr_t)from / page_size + page) * sizeof(entries[0]));

        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        for (size_t i = 0; i < n / sizeof(entries[0]); i++, page++) {
            bool present = entries[i] >> 62; /* or swapped out */
            bool of_file = entries[i] >> 61 & 1;

            if (present && !of_file) {
                dq_source_copy(to + page * page_size, from + page * page_size, page_size);
            }
        }
    }
    return 0;
}

static int copy_content(char *to, const char *from, abi_ulong len, const GArray *extents)
{
    abi_ulong done = 0;
    int err = 0;

    for (guint i = 0; !err && i < extents->len; i++) {
        const struct dq_extent *e = &g_array_index(extents, struct dq_extent, i);

        err = copy_written(to + done, from + done, e->start - done);
        dq_source_copy(to + e->start, from + e->start, e->length);
        done = e->start + e->length;
    }
    return err;
}

/* Take a mapping away as the source of what comes in its place. */
static void *move_aside(void *mapping, abi_ulong len)
{
    void *source = mremap(mapping, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);

    if (source == MAP_FAILED && errno == EINVAL) { /* before Linux 5.13 */
        void *place =
            mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        source = place == MAP_FAILED
                     ? MAP_FAILED
                     : mremap(mapping, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    }
    if (source != MAP_FAILED) {
        madvise(source, len, MADV_DONTNEED); /* not what the guest has written */
        mprotect(source, len, PROT_READ);
    }
    return source;
}

/*
 * A private mapping of a file cannot be registered: put anonymous memory with the same bytes
 * in its place; the mapping becomes its source.
 */
static int make_anonymous(const struct host_range *r)
{
    char *target = g2h_untagged(r->start);
    char *copy = mmap(NULL, r->length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int fd = open_mapped(r), err;
    GArray *extents = dq_source_extents(fd, r->offset, r->length);
    void *source = MAP_FAILED;

    err = copy == MAP_FAILED ? -errno : copy_content(copy, target, r->length, extents);
    if (!err) {
        source = move_aside(target, r->length);
        if (source == MAP_FAILED || mprotect(copy, r->length, r->prot) ||
            mremap(copy, r->length, r->length, MREMAP_MAYMOVE | MREMAP_FIXED, target) != target) {
            err = -errno;
        } else {
            dq_source_add(r->start, r->length, source, extents);
        }
    }
    g_array_free(extents, true);
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

/* The files among the ranges; what lies beyond their ends stays the kernel's. */
static void make_all_anonymous(GArray *ranges)
{
    for (guint i = 0; i < ranges->len; i++) {
        struct host_range *r = &g_array_index(ranges, struct host_range, i);
        struct host_range outside = *r;
        abi_ulong inside;
        int err;

        if (!r->file || r->shared) {
            continue;
        }
        inside = dq_source_in_file(g2h_untagged(r->start), r->length);
        if (inside < r->length) {
            outside.start += inside;
            outside.length -= inside;
            outside.shared = true;
            outside.path = g_strdup(r->path);
            r->length = inside;
            g_array_insert_val(ranges, i + 1, outside);
        }
        if (inside == 0) {
            continue;
        }
        err = make_anonymous(&g_array_index(ranges, struct host_range, i));
        if (err) {
            dq_control_error(125,
                             "cannot copy a file mapping of %" PRIu64 " MiB: %s; give "
                             "this machine more memory",
                             (uint64_t)inside >> 20, strerror(-err));
            _exit(125);
        }
    }
}

static void register_host_ranges(GArray *ranges)
{
    uint64_t start = 0, length = 0;

    for (guint i = 0; i <= ranges->len; i++) {
        struct host_range *r =
            i < ranges->len ? &g_array_index(ranges, struct host_range, i) : NULL;

        if (r && !r->shared && start + length == r->start) {
            length += r->length;
            continue;
        }
        if (length) {
            madvise(g2h_untagged(start), length, MADV_NOHUGEPAGE);
            if (dq_pager_register(start, length)) {
                _exit(125); /* reported */
            }
        }
        start = r && !r->shared ? r->start : 0;
        length = r && !r->shared ? r->length : 0;
    }
}

/* ---------------------------------------------------------------- the guest's map */

struct guest_range {
    abi_ulong start, last;
    int flags;
};

static int note_guest_range(void *opaque, target_ulong start, target_ulong end, unsigned long flags)
{
    struct guest_range r = {start, end - 1, flags};

    /* not a kernel's page above all others: see dq_page_beyond() */
    if (flags & PAGE_VALID && !(flags & DQ_PAGE_HOLE) && r.last <= reserved_va) {
        g_array_append_val((GArray *)opaque, r);
    }
    return 0;
}

static GArray *guest_ranges(void)
{
    GArray *ranges = g_array_new(false, false, sizeof(struct guest_range));

    walk_memory_regions(ranges, note_guest_range);
    return ranges;
}

/* Mark what the kernel shares with others. */
static void mark_foreign(GArray *host)
{
    GArray *guest = guest_ranges();

    mmap_lock();
    for (guint i = 0; i < host->len; i++) {
        struct host_range *h = &g_array_index(host, struct host_range, i);

        for (guint k = 0; h->shared && k < guest->len; k++) {
            struct guest_range *g = &g_array_index(guest, struct guest_range, k);
            abi_ulong start = MAX(g->start, h->start);
            abi_ulong last = MIN(g->last, h->start + h->length - 1);

            if (start <= last) {
                /* flags that stick (PAGE_ANON...) stay as they are */
                page_set_flags(start, last,
                               (g->flags & ~(PAGE_ANON | PAGE_PASSTHROUGH)) | DQ_PAGE_FOREIGN);
                dq_foreign = true;
            }
        }
    }
    mmap_unlock();
    g_array_free(guest, true);
}

static void tell_range(const struct guest_range *g)
{
    int flags = g->flags & ~(PAGE_WRITE_ORG | PAGE_WRITE_INV);
    abi_ulong length = g->last - g->start + 1;

    if (g->flags & PAGE_WRITE_ORG) {
        flags |= PAGE_WRITE; /* not while translations write-protect it, but really */
    }
    if (flags & DQ_PAGE_FOREIGN) {
        dq_map_tell(DQ_MAP_FOREIGN, g->start, length, flags);
    } else {
        dq_map_tell_private(g->start, length, flags | PAGE_RESET);
    }
}

/* What is present there is this node's. */
static void own(uint64_t start, uint64_t end)
{
    if (end > start && dq_pager_own(start, end - start)) {
        _exit(125); /* reported */
    }
}

/* A round trip for each is long where there are many: neighbours are taken over together. */
static void own_private(const GArray *guest)
{
    uint64_t start = 0, end = 0;

    for (guint i = 0; i < guest->len; i++) {
        const struct guest_range *g = &g_array_index(guest, struct guest_range, i);

        if (g->flags & DQ_PAGE_FOREIGN || g->start - end > MOST_GAP) {
            own(start, end);
            start = end = (uint64_t)g->last + 1;
        }
        if (!(g->flags & DQ_PAGE_FOREIGN)) {
            start = start == end ? g->start : start;
            end = (uint64_t)g->last + 1;
        }
    }
    own(start, end);
}

static void tell_map(void)
{
    GArray *guest = guest_ranges();

    for (guint i = 0; i < guest->len; i++) {
        tell_range(&g_array_index(guest, struct guest_range, i));
    }
    own_private(guest);
    g_array_free(guest, true);
}

static void tell_globals(void)
{
    struct globals g = {
        .sigreturn = default_sigreturn,
        .rt_sigreturn = default_rt_sigreturn,
        .pid = getpid(),
        .splits = dq_split_shadow() != 0,
        .info_size = sizeof(g.info),
        .info = *get_task_state(thread_cpu)->info,
    };

    dq_map_tell_globals(&g, sizeof(g));
}

void dq_globals_apply(const void *data, size_t length)
{
    const struct globals *g = data;

    if (length != sizeof(*g) || g->info_size != sizeof(g->info)) {
        dq_control_error(125,
                         "node %d: the master's globals have another size; install the same "
                         "dqemu on every node",
                         dq_config.node);
        _exit(125);
    }
    default_sigreturn = g->sigreturn;
    default_rt_sigreturn = g->rt_sigreturn;
    slave_info = g->info;
#ifdef CONFIG_USE_FDPIC
    slave_info.loadsegs = NULL;
    slave_info.other_info = NULL;
#endif
    dq_template_task()->info = &slave_info;
    dq_slave_pid = g->pid;
    if (g->splits) {
        dq_split_engage();
    }
}

/* For the user, who is told which pages are asked for most; no more than a line may hold. */
static void tell_areas(const GArray *ranges)
{
    const struct image_info *info = get_task_state(thread_cpu)->info;
    GArray *areas = g_array_new(false, false, sizeof(struct dq_control_area));
    struct dq_control_area area = {
        .start = info->stack_limit, .end = info->start_stack + DQ_PAGE_SIZE, .name = "[stack]"};
    size_t length = 0;

    g_array_append_val(areas, area);
    for (guint i = 0; i < ranges->len; i++) {
        const struct host_range *r = &g_array_index(ranges, struct host_range, i);

        if (r->path && (length += strlen(r->path) + 64) < MOST_AREA_BYTES) {
            area = (struct dq_control_area){r->start, r->start + r->length, r->offset, r->path};
            g_array_append_val(areas, area);
        }
    }
    dq_control_memory((struct dq_control_area *)areas->data, areas->len);
    g_array_free(areas, true);
}

static void engage_locked(void)
{
    GArray *host;
    CPUState *cpu;

    dq_pager_open((uintptr_t)g2h_untagged(0));
    /* translate anew: with CF_PARALLEL, and through dq_translate_lock() */
    CPU_FOREACH(cpu)
    {
        tcg_cflags_set(cpu, CF_PARALLEL);
    }
    tb_flush(thread_cpu);

    dq_split_engage();
    host = host_ranges();
    tell_areas(host);
    make_all_anonymous(host);
    mark_foreign(host);
    register_host_ranges(host);
    g_array_free(host, true);

    tell_globals();
    tell_map();
    dq_map_wait();
    dq_futex_engage(); /* sets dq_engaged */
    dq_cpu_time_begin(NULL);
    dq_cpu_limit_changed(); /* all nodes count for it */
}

void dq_engage(void)
{
    start_exclusive();
    dq_map_begin();
    if (!dq_engaged) {
        engage_locked();
    }
    dq_map_end();
    end_exclusive();
}
