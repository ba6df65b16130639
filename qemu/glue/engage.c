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
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "exec/tb-flush.h"
#include "exec/translation-block.h"
#include "user-mmap.h"
#include "master/map.h"

bool dq_engaged;
bool dq_foreign;

/* What the loader set up on the master in globals; slaves need it to build signal frames. */
struct globals {
    uint64_t sigreturn, rt_sigreturn;
    uint32_t pid;
    uint32_t info_size;
    struct image_info info;
};

static struct image_info slave_info;

/* ---------------------------------------------------------------- host mappings */

struct host_range {
    abi_ulong start, length; /* guest addresses */
    int prot;                /* the host's */
    bool shared, file;
};

/* What the host has mapped in the guest's address space, from /proc/self/maps. */
static GArray *host_ranges(void)
{
    GArray *ranges = g_array_new(false, false, sizeof(struct host_range));
    uintptr_t first = (uintptr_t)g2h_untagged(0), last = (uintptr_t)g2h_untagged(reserved_va);
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t size = 0;

    while (maps && getline(&line, &size, maps) > 0) {
        unsigned long from, to, offset, inode;
        unsigned major, minor;
        char perms[5];

        if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &from, &to, perms, &offset, &major, &minor,
                   &inode) != 7 ||
            to <= first || from > last) {
            continue;
        }
        from = MAX(from, first);
        to = MIN(to, last + 1);
        struct host_range r = {
            .start = from - first,
            .length = to - from,
            .prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0),
            .shared = perms[3] == 's',
            .file = inode != 0,
        };
        g_array_append_val(ranges, r);
    }
    free(line);
    if (maps) {
        fclose(maps);
    }
    return ranges;
}

/*
 * A private mapping of a file cannot be registered: put anonymous memory with the same bytes
 * in its place, at one stroke. Pages beyond the end of the file stay untouched (zero).
 */
static int make_anonymous(const struct host_range *r)
{
    char *target = g2h_untagged(r->start);
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char *copy = mmap(NULL, r->length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int err = 0;

    if (mem < 0 || copy == MAP_FAILED) {
        err = -errno;
    } else {
        for (abi_ulong done = 0; done < r->length;) {
            ssize_t n = pread(mem, copy + done, r->length - done, (uintptr_t)target + done);
            done += n > 0 ? (abi_ulong)n : (abi_ulong)qemu_real_host_page_size();
            done = ROUND_UP(done, qemu_real_host_page_size());
        }
        if (mprotect(copy, r->length, r->prot) ||
            mremap(copy, r->length, r->length, MREMAP_MAYMOVE | MREMAP_FIXED, target) != target) {
            err = -errno;
        }
    }
    if (mem >= 0) {
        close(mem);
    }
    return err;
}

static void register_host_ranges(GArray *ranges)
{
    abi_ulong start = 0, length = 0;

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

    if (flags & PAGE_VALID) {
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

static void tell_map(void)
{
    GArray *guest = guest_ranges();

    for (guint i = 0; i < guest->len; i++) {
        struct guest_range *g = &g_array_index(guest, struct guest_range, i);
        int flags = g->flags & ~(PAGE_WRITE_ORG | PAGE_WRITE_INV);
        abi_ulong length = g->last - g->start + 1;

        if (g->flags & PAGE_WRITE_ORG) {
            flags |= PAGE_WRITE; /* not while translations write-protect it, but really */
        }
        if (flags & DQ_PAGE_FOREIGN) {
            dq_map_tell(DQ_MAP_FOREIGN, g->start, length, flags);
        } else {
            dq_map_tell(DQ_MAP_SET, g->start, length, flags | PAGE_RESET);
            if (dq_pager_own(g->start, length)) {
                _exit(125); /* reported */
            }
        }
    }
    g_array_free(guest, true);
}

static void tell_globals(void)
{
    struct globals g = {
        .sigreturn = default_sigreturn,
        .rt_sigreturn = default_rt_sigreturn,
        .pid = getpid(),
        .info_size = sizeof(g.info),
        .info = *get_task_state(thread_cpu)->info,
    };

    dq_map_tell_globals(&g, sizeof(g));
}

void dq_globals_apply(const void *data, size_t length)
{
    const struct globals *g = data;

    if (length != sizeof(*g) || g->info_size != sizeof(g->info)) {
        dq_control_error(125, "node %d: the master's globals have another size; install the same "
                              "dqemu on every node", dq_config.node);
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
}

static void engage_locked(void)
{
    GArray *host;
    CPUState *cpu;

    if (dq_pager_open((uintptr_t)g2h_untagged(0))) {
        _exit(125); /* reported */
    }
    /* translate anew: with CF_PARALLEL, and through dq_translate_begin() */
    CPU_FOREACH(cpu) {
        tcg_cflags_set(cpu, CF_PARALLEL);
    }
    tb_flush(thread_cpu);

    host = host_ranges();
    for (guint i = 0; i < host->len; i++) {
        struct host_range *r = &g_array_index(host, struct host_range, i);

        if (r->file && !r->shared) {
            int err = make_anonymous(r);
            if (err) {
                dq_control_error(125, "cannot copy a file mapping of %" PRIu64 " MiB: %s; give "
                                      "this machine more memory", (uint64_t)r->length >> 20,
                                 strerror(-err));
                _exit(125);
            }
        }
    }
    mark_foreign(host);
    register_host_ranges(host);
    g_array_free(host, true);

    tell_globals();
    tell_map();
    dq_map_wait();
    dq_futex_engage(); /* sets dq_engaged */
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
