/*
 * Processors as the guest sees them with nodes on several hosts (dqemu/processors.h): affinity masks,
 * the one that a thread runs on, and the files that tell how many there are.
 *
 * A mask is the guest's alone, on the master: a thread reads back what was set, new threads inherit it
 * and start on a node that has one of its processors. A thread that runs stays where it is, and the
 * hosts' kernels are told nothing. Masks are guarded by QEMU's list of CPUs and its lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include "qemu/lockable.h"
#include "dqemu/processors.h"
#include "processors.h"
#include "self.h"

#define WORD sizeof(unsigned long)

/* The main thread's mask, who is in no struct dq_thread. NULL: all processors, as there. */
static unsigned long *main_mask;

/* The place of each of the host's processors that this process may use among them; -1: it may not. */
static int16_t rank_of[CPU_SETSIZE];

static bool are_ours(void)
{
    return dq_config.nodes > 1 && dq_config.processors[0].count;
}

void dq_processors_open(void)
{
    cpu_set_t own;
    int16_t rank = 0;

    CPU_ZERO(&own);
    sched_getaffinity(0, sizeof(own), &own); /* a larger machine's: then all are the first */
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        rank_of[cpu] = CPU_ISSET(cpu, &own) ? rank++ : -1;
    }
}

int dq_getcpu(unsigned *cpu, unsigned *node)
{
    const struct dq_processors *p = &dq_config.processors[dq_config.node];
    unsigned here = 0;
    int ret = syscall(SYS_getcpu, &here, node, NULL);

    if (ret == 0 && are_ours()) {
        int rank = here < CPU_SETSIZE ? MAX(rank_of[here], 0) : 0;
        here = p->first + rank % p->count;
        *node = dq_config.node;
    }
    *cpu = here;
    return ret;
}

/*
 * Where the mask of a thread is kept. NULL: it is no thread of the guest's. Under the lock: a CPU is taken
 * out of the list before its TaskState is freed, and put in before it gets one.
 */
static unsigned long **slot_of(pid_t tid)
{
    CPUState *cpu;

    CPU_FOREACH(cpu)
    {
        TaskState *ts = get_task_state(cpu);
        if (ts && ts->ts_tid == tid) {
            return tid == getpid() ? &main_mask : ts->dq ? &ts->dq->processors : NULL;
        }
    }
    return NULL;
}

static unsigned long **slot_or_own(pid_t tid)
{
    return slot_of(tid ? tid : get_task_state(thread_cpu)->ts_tid);
}

/* As the kernel's call: the bytes that it has written. */
static int show_mask(const unsigned long *kept, unsigned length, unsigned long *mask)
{
    const size_t bytes = dq_processors_words(&dq_config) * WORD;

    if (length < bytes) {
        errno = EINVAL;
        return -1;
    }
    if (kept) {
        memcpy(mask, kept, bytes);
    } else {
        bitmap_fill(mask, dq_processors_count(&dq_config));
    }
    return bytes;
}

int dq_sched_getaffinity(pid_t tid, unsigned length, unsigned long *mask)
{
    if (are_ours()) {
        QEMU_LOCK_GUARD(&qemu_cpu_list_lock);
        unsigned long **slot = slot_or_own(tid);
        if (slot) {
            return show_mask(*slot, length, mask);
        }
    }
    return syscall(SYS_sched_getaffinity, tid, length, mask);
}

int dq_sched_setaffinity(pid_t tid, unsigned length, const unsigned long *mask)
{
    g_autofree unsigned long *chosen = NULL;

    if (are_ours()) {
        chosen = g_new(unsigned long, dq_processors_words(&dq_config));
        bool any = dq_processors_filter(&dq_config, mask, length / WORD, chosen);
        QEMU_LOCK_GUARD(&qemu_cpu_list_lock);
        unsigned long **slot = slot_or_own(tid);
        if (slot && !any) {
            errno = EINVAL;
            return -1;
        }
        if (slot) {
            g_free(*slot);
            *slot = g_steal_pointer(&chosen);
            return 0;
        }
    }
    return syscall(SYS_sched_setaffinity, tid, length, mask);
}

uint64_t dq_processors_inherit(struct dq_thread *child)
{
    unsigned long **slot = NULL;

    if (!are_ours()) {
        return UINT64_MAX;
    }
    QEMU_LOCK_GUARD(&qemu_cpu_list_lock);
    slot = slot_or_own(0);
    if (!slot || !*slot) {
        return UINT64_MAX;
    }
    child->processors = g_memdup2(*slot, dq_processors_words(&dq_config) * WORD);
    return dq_processors_nodes(&dq_config, child->processors);
}

/* ---------------------------------------------------------------- files */

static bool is_list(const char *path)
{
    static const char folder[] = "/sys/devices/system/cpu/";
    const char *name;

    if (!g_str_has_prefix(path, folder)) {
        return false;
    }
    name = path + strlen(folder);
    return !strcmp(name, "online") || !strcmp(name, "possible") || !strcmp(name, "present");
}

static bool is_info(const char *path)
{
    return !strcmp(path, "/proc/cpuinfo");
}

int dq_open_processors(const char *path)
{
    g_autofree char *text = NULL, *all = NULL;

    if (!are_ours()) {
        return dq_self_open(path);
    }
    if (is_list(path)) { /* several hosts have two processors at least */
        text = g_strdup_printf("0-%d\n", dq_processors_count(&dq_config) - 1);
        return dq_self_text(text);
    }
    if (is_info(path) && g_file_get_contents(path, &text, NULL, NULL)) {
        all = dq_processors_info(text, dq_processors_count(&dq_config));
        return dq_self_text(all);
    }
    return dq_self_open(path);
}

void dq_opened_info(const char *path, int fd)
{
    g_autofree char *all = NULL;
    g_autoptr(GString) text = NULL;
    char part[4096];
    ssize_t n;

    dq_self_opened(path, fd);
    if (!are_ours() || !is_info(path)) {
        return;
    }
    text = g_string_new(NULL);
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, part, sizeof(part))) > 0) {
        g_string_append_len(text, part, n);
    }
    all = dq_processors_info(text->str, dq_processors_count(&dq_config));
    if (ftruncate(fd, 0) == 0 && pwrite(fd, all, strlen(all), 0) < 0) {
        /* memory is short: the file is empty */
    }
}
