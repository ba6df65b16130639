/*
 * What the kernel's account of the process lacks, or has too much of: the guest's pages on other nodes,
 * what its threads have used there, threads of ours, the address space that is reserved for the guest, and
 * the launcher, which adopts orphans.
 *
 * Resident is what the kernel counts here, with the pages that only other nodes have. A page that was
 * granted to a node counts, which has perhaps not touched it yet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/socket.h>
#include "qemu/timer.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "dqemu/split.h"
#include "master/cpu_timers.h"
#include "master/memory.h"
#include "root.h"
#include "self.h"
#include "wide.h"

static pid_t launcher; /* of a run with several nodes; in its forked children too */
static pid_t master;

void dq_account_start(int control)
{
    struct ucred who;
    socklen_t length = sizeof(who);

    if (dq_config.nodes > 1 && !getsockopt(control, SOL_SOCKET, SO_PEERCRED, &who, &length)) {
        launcher = who.pid;
        master = getpid();
    }
}

/* ---------------------------------------------------------------- the parent */

static pid_t parent_of(pid_t pid, char name[16])
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    const char *open, *close;
    int parent = 0;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !(open = strchr(text, '(')) ||
        !(close = strrchr(text, ')')) || sscanf(close, ") %*c %d", &parent) != 1) {
        return 0;
    }
    g_strlcpy(name, open + 1, MIN(16, close - open));
    return parent;
}

/* Who adopts orphans where there is no launcher: init, or the one that a user's session has. */
static pid_t adopter(void)
{
    char name[16] = "";
    pid_t pid = launcher;

    while (pid > 1) {
        pid_t parent = parent_of(pid, name);

        if (pid != launcher && !strcmp(name, "systemd")) {
            return pid;
        }
        pid = parent;
    }
    return 1;
}

pid_t dq_account_parent(pid_t parent)
{
    return launcher && parent == launcher && getpid() != master ? adopter() : parent;
}

/* ---------------------------------------------------------------- sizes */

/* The guest's pages, in bytes. Without nodes that share them: none. */
struct pages {
    int64_t elsewhere; /* those that only other nodes have */
    int64_t most;      /* all of them at once, less those that are here */
};

static struct pages measure(void)
{
    struct dq_memory m = {0};

    if (dq_engaged && dq_config.nodes > 1) {
        m = dq_memory_count();
    }
    return (struct pages){
        .elsewhere = (m.touched > m.here ? m.touched - m.here : 0) << DQ_PAGE_BITS,
        .most = (m.most > m.here ? m.most - m.here : 0) << DQ_PAGE_BITS,
    };
}

static int add_mapped(void *opaque, target_ulong start, target_ulong end, unsigned long flags)
{
    if (flags & PAGE_VALID && !(flags & DQ_PAGE_HOLE) && end - 1 <= reserved_va) {
        *(int64_t *)opaque += end - start;
    }
    return 0;
}

/* Addresses of the guest's that nobody has mapped, in bytes. */
static int64_t reserved_bytes(void)
{
    int64_t mapped = 0;

    if (TARGET_ABI_BITS != 64 || !reserved_va) { /* QEMU reserves as much; or nothing */
        return 0;
    }
    walk_memory_regions(&mapped, add_mapped);
    return (int64_t)(DQ_GUEST_SPACE + dq_wide_bytes()) - mapped;
}

static int64_t resident_here(void)
{
    g_autofree char *text = NULL;
    long size, resident = 0;

    if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL) ||
        sscanf(text, "%ld %ld", &size, &resident) != 2) {
        return 0;
    }
    return resident * (int64_t)qemu_real_host_page_size();
}

/*
 * The most that anybody was told, in KiB, of this process: sums of what was counted here and there, a moment
 * apart, may come out less the next time, and the most that there was never falls.
 */
static long told_kib; /* atomic */

void dq_account_in_child(void)
{
    told_kib = 0;
}

static long told_at_least(long kib)
{
    long before = qatomic_read(&told_kib);

    while (before < kib) {
        long now = qatomic_cmpxchg(&told_kib, before, kib);

        if (now == before) {
            return kib;
        }
        before = now;
    }
    return before;
}

static long peak_of(long kib, const struct pages *p)
{
    return told_at_least(MAX(kib, (resident_here() + p->most) >> 10));
}

void dq_account_peak(long *peak_kib)
{
    const struct pages p = measure();

    *peak_kib = peak_of(*peak_kib, &p);
}

/* ---------------------------------------------------------------- files */

static const char *value_of(const char *line, const char *key)
{
    return g_str_has_prefix(line, key) ? line + strlen(key) : NULL;
}

static int64_t added(const char *line, const struct pages *p)
{
    if (value_of(line, "VmPeak:") || value_of(line, "VmSize:")) {
        return -reserved_bytes() - (int64_t)dq_split_deltas_size();
    }
    if (value_of(line, "VmData:")) {
        return -(int64_t)dq_split_deltas_size();
    }
    return value_of(line, "VmRSS:") || value_of(line, "RssAnon:") ? p->elsewhere : 0;
}

static int64_t kib_of(const char *line, int64_t more)
{
    return MAX(0, g_ascii_strtoll(line + strcspn(line, ":") + 1, NULL, 10) + more / 1024);
}

static void add_status_line(GString *out, const char *line, const struct pages *p)
{
    g_autofree char *root = dq_root_status(line);
    const char *value;
    int64_t more = added(line, p);
    int name = strcspn(line, ":");

    if (value_of(line, "VmHWM:")) {
        g_string_append_printf(out, "%.*s:\t%8ld kB\n", name, line,
                               peak_of(atol(line + name + 1), p));
    } else if (more) {
        g_string_append_printf(out, "%.*s:\t%8" PRId64 " kB\n", name, line, kib_of(line, more));
    } else if ((value = value_of(line, "Threads:\t"))) {
        g_string_append_printf(out, "Threads:\t%d\n", atoi(value) - dq_node_own_threads());
    } else if (root) {
        g_string_append_printf(out, "%s\n", root);
    } else if ((value = value_of(line, "PPid:\t"))) {
        g_string_append_printf(out, "PPid:\t%d\n", (int)dq_account_parent(atoi(value)));
    } else {
        g_string_append_printf(out, "%s\n", line);
    }
}

static GString *status_of(const char *path)
{
    g_autofree char *text = NULL;
    const struct pages p = measure();
    GString *out;
    char *rest, *line;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return NULL;
    }
    line = strstr(text, "\nVmRSS:"); /* it comes after the most that there was */
    if (line) {
        told_at_least(kib_of(line + 1, p.elsewhere));
    }
    out = g_string_new(NULL);
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        add_status_line(out, line, &p);
    }
    return out;
}

static GString *statm_of(const char *path)
{
    const int64_t page = qemu_real_host_page_size();
    g_autofree char *text = NULL;
    const struct pages p = measure();
    const int64_t table = (int64_t)dq_split_deltas_size();
    GString *out;
    long size, resident, shared, code, data;

    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        sscanf(text, "%ld %ld %ld %ld %*d %ld", &size, &resident, &shared, &code, &data) != 5) {
        return NULL;
    }
    size = MAX(0, size - (reserved_bytes() + table) / page);
    resident += p.elsewhere / page;
    told_at_least(resident * page / 1024);
    data = MAX(0, data - table / page);
    out = g_string_new(NULL);
    g_string_printf(out, "%ld %ld %ld %ld 0 %ld 0\n", size, resident, shared, code, data);
    return out;
}

/* Fields of "stat", the name in parentheses being the second. */
enum { FIRST_FIELD = 3, PARENT = 4, USER_TICKS = 14, SYSTEM_TICKS = 15, THREADS = 20 };

static void put_field(char **fields, int number, int64_t value)
{
    char **at = &fields[number - FIRST_FIELD];

    g_free(*at);
    *at = g_strdup_printf("%" PRId64, value);
}

static int64_t field_of(char **fields, int number)
{
    return g_ascii_strtoll(fields[number - FIRST_FIELD], NULL, 10);
}

/* The clocks of threads that are, or were, elsewhere. */
static void set_times(char **fields, int tid)
{
    const int64_t ticks = sysconf(_SC_CLK_TCK);
    struct dq_cpu_time t = {0};
    int64_t carried;

    if (dq_cpu_thread_elsewhere(tid, true, &t, &carried)) {
        put_field(fields, USER_TICKS, t.user_us * ticks / 1000000);
        put_field(fields, SYSTEM_TICKS, t.system_us * ticks / 1000000);
    } else {
        put_field(fields, USER_TICKS,
                  field_of(fields, USER_TICKS) + carried * ticks / NANOSECONDS_PER_SECOND);
    }
}

static void set_parent(char **fields, int tid)
{
    put_field(fields, PARENT, dq_account_parent(field_of(fields, PARENT)));
}

static void set_thread(char **fields, int tid)
{
    set_parent(fields, tid);
    put_field(fields, THREADS, field_of(fields, THREADS) - dq_node_own_threads());
    set_times(fields, tid);
}

/* What "stat" says, with other fields. NULL: it is none. */
static GString *edit_stat(const char *text, void (*edit)(char **fields, int tid), int tid)
{
    const char *name_end = strrchr(text, ')');
    g_auto(GStrv) fields = name_end && name_end[1] ? g_strsplit(name_end + 2, " ", 0) : NULL;
    g_autofree char *joined = NULL;
    GString *out;

    if (!fields || g_strv_length(fields) <= THREADS - FIRST_FIELD) {
        return NULL;
    }
    edit(fields, tid);
    joined = g_strjoinv(" ", fields);
    out = g_string_new_len(text, name_end + 2 - text);
    g_string_append(out, joined);
    return out;
}

/* "stat" of one thread, which QEMU takes from the host. */
static GString *thread_stat_of(const char *path, int tid)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? edit_stat(text, set_thread, tid) : NULL;
}

int dq_account_open(const char *path, const char *file)
{
    g_autoptr(GString) text = NULL;
    int tid;

    if ((!launcher && !dq_root_is_hidden()) || dq_on_slave()) {
        return -2;
    }
    if (!strcmp(file, "status")) {
        text = status_of(path);
    } else if (!strcmp(file, "statm")) {
        text = statm_of(path);
    } else if (!strcmp(file, "stat") && (tid = dq_self_thread(path))) {
        text = thread_stat_of(path, tid);
    }
    return text ? dq_self_text(text->str) : -2; /* the host says what is wrong, if anything is */
}

/* /proc/self/stat, as QEMU has written it: the fourth field is the parent. */
void dq_account_stat(int fd)
{
    char text[4096];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    g_autoptr(GString) all = NULL;

    text[MAX(n, 0)] = '\0';
    all = launcher ? edit_stat(text, set_parent, 0) : NULL;
    if (!all || strcmp(all->str, text) == 0) {
        return;
    }
    if (ftruncate(fd, 0) == 0 && pwrite(fd, all->str, all->len, 0) < 0) {
        /* memory is short: the file is empty */
    }
}
