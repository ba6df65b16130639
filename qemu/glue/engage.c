/*
 * Engaging the cluster: until the first thread is placed elsewhere, the master is a plain
 * emulator. Here its memory comes under the pager, and the other nodes learn what the
 * loader and the guest have set up so far.
 *
 * The order, and why it is safe while threads of the guest sit in the host's kernel (nobody
 * runs translated code: this is the exclusive section; nobody changes the map: we have the
 * turn). First every range is registered: from then on a missing page traps, and waits for
 * the pager. Only then are the present pages counted and given to the directory: none can
 * appear unseen in between. (What has been a file's is registered range by range, each at once when it
 * comes into its place: until then the kernel would put zeroes where the file's content should be.) Other
 * nodes start no thread before all of them have answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "exec/tb-flush.h"
#include "exec/translation-block.h"
#include "user-mmap.h"
#include "dqemu/cpu_time.h"
#include "dqemu/runtime.h"
#include "dqemu/uffd.h"
#include "master/cpu_timers.h"
#include "master/map.h"
#include "self.h"
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
static int maps_fd = -1;

void dq_engage_prepare(void)
{
    maps_fd = dq_node_high_fd(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
    if (maps_fd < 0) {
        dq_control_error(125, "cannot open /proc/self/maps: %s; is /proc mounted?",
                         strerror(errno));
        exit(125);
    }
}

void dq_engage_in_child(void)
{
    close(maps_fd);
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
        };
        g_array_append_val(ranges, r);
    }
    return ranges;
}

/* Memory that is being taken over, and its copy at a distance. */
static void copy_own(void *distance, uintptr_t at, size_t pages)
{
    void *to = (void *)(at + *(uintptr_t *)distance);

    dq_source_read(to, (const void *)at, pages << DQ_PAGE_BITS);
}

/* A mapping goes to `place`, with nothing of what the guest has written. */
static bool move_aside(void *mapping, abi_ulong len, void *place)
{
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    void *source = mremap(mapping, len, len, flags | MREMAP_DONTUNMAP, place);

    if (source == MAP_FAILED && errno == EINVAL) { /* before Linux 5.13 */
        source = mremap(mapping, len, len, flags, place);
    }
    if (source == MAP_FAILED) {
        return false;
    }
    madvise(source, len, MADV_DONTNEED);
    return mprotect(source, len, PROT_READ) == 0;
}

/*
 * A private mapping of a file cannot be registered: anonymous memory comes in its place, with those
 * pages that the guest has written; the mapping becomes its source, which all others get their
 * content from when they are touched. The homes know that before such a touch can trap.
 */
static int make_anonymous(const struct host_range *r)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, err;
    char *target = g2h_untagged(r->start);
    char *own = mmap(NULL, r->length, PROT_READ | PROT_WRITE, flags, -1, 0);
    char *source = mmap(NULL, r->length, PROT_NONE, flags, -1, 0);
    uintptr_t distance = (uintptr_t)own - (uintptr_t)target;

    if (own == MAP_FAILED || source == MAP_FAILED) {
        return -errno;
    }
    dq_source_reset(r->start, r->length, source);
    err = dq_uffd_written((uintptr_t)target, r->length, copy_own, &distance);
    if (err) {
        return err;
    }
    if (mprotect(own, r->length, r->prot) || !move_aside(target, r->length, source) ||
        mremap(own, r->length, r->length, MREMAP_MAYMOVE | MREMAP_FIXED, target) != target) {
        return -errno;
    }
    err = dq_pager_register(r->start, r->length);
    dq_source_add(r->start, r->length, source);
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
                             "cannot take over a file mapping of %" PRIu64 " MiB: %s; give "
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
    dq_map_tell_all(dq_map_op(g->flags), g->start, g->last - g->start + 1, dq_map_told(g->flags));
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
    bool first;

    start_exclusive();
    dq_map_begin();
    first = !dq_engaged;
    if (first) {
        engage_locked();
    }
    dq_map_end();
    end_exclusive();
    if (first) {
        dq_self_serve();
    }
}
