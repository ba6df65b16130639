/*
 * Processors as the guest sees them with nodes on several hosts (dqemu/processors.h): affinity masks,
 * the one that a thread runs on, and the files that tell how many there are.
 *
 * A mask is the guest's alone, on the master: a thread reads back what was set, new threads inherit it
 * and start on a node that has one of its processors. A thread that runs goes there, if its own node has
 * none of them. Where it is, the host's kernel binds it to those processors of it that are the node's: of
 * this node here, of others by slave/sched.c. Masks are guarded by QEMU's list of CPUs and its lock.
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

/* The place of each of the host's processors that this process may use among them; -1: it may not. */
static int16_t rank_of[CPU_SETSIZE];
static cpu_set_t own; /* those that it may use */

static bool are_ours(void)
{
    return dq_config.nodes > 1 && dq_config.processors[0].count;
}

void dq_processors_open(void)
{
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
 * A thread of the guest's; NULL: it is none. Under the lock: a CPU is taken out of the list before its
 * TaskState is freed, and put in before it gets one.
 */
static CPUState *cpu_of(pid_t tid)
{
    CPUState *cpu;

    tid = tid ? tid : get_task_state(thread_cpu)->ts_tid;
    CPU_FOREACH(cpu)
    {
        TaskState *ts = get_task_state(cpu);
        if (ts && ts->dq && ts->ts_tid == tid) {
            return cpu;
        }
    }
    return NULL;
}

/* Where the mask of a thread is kept. */
static unsigned long **slot_of(CPUState *cpu)
{
    return &get_task_state(cpu)->dq->processors;
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
        CPUState *cpu = cpu_of(tid);
        if (cpu) {
            return show_mask(*slot_of(cpu), length, mask);
        }
    }
    return syscall(SYS_sched_getaffinity, tid, length, mask);
}

/* The host's processors in it that are this node's. False: none is. */
static bool own_part(const unsigned long *mask, cpu_set_t *part)
{
    unsigned long ranks[BITS_TO_LONGS(CPU_SETSIZE)];

    CPU_ZERO(part);
    if (!dq_processors_of_node(&dq_config, 0, mask, dq_processors_words(&dq_config), ranks,
                               ARRAY_SIZE(ranks))) {
        return false;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (rank_of[cpu] >= 0 && test_bit(rank_of[cpu], ranks)) {
            CPU_SET(cpu, part);
        }
    }
    return true;
}

/* `mask`: of a thread that runs here; NULL: it is a proxy. */
static void bind_here(pid_t tid, const unsigned long *mask)
{
    cpu_set_t part;
    bool some = mask && own_part(mask, &part);

    sched_setaffinity(tid, sizeof(own), some ? &part : &own);
}

void dq_processors_bind(const struct dq_thread *t)
{
    if (!are_ours()) {
        return;
    }
    QEMU_LOCK_GUARD(&qemu_cpu_list_lock);
    if (t->processors) {
        bind_here(0, t->node ? NULL : t->processors);
    }
}

/* The thread goes to a node that has one of its processors, if its own has none. */
static void follow_mask(CPUState *cpu)
{
    TaskState *ts = get_task_state(cpu);
    struct dq_thread *t = ts->dq;
    uint64_t nodes = dq_processors_nodes(&dq_config, t->processors);
    int node = qatomic_read(&t->node);

    if (!(nodes >> node & 1)) {
        node = dq_place_choose(nodes);
    }
    if (node != qatomic_read(&t->node) || qatomic_read(&t->wanted)) {
        dq_thread_want(cpu, node);
    } else if (node == 0) {
        bind_here(ts->ts_tid, t->processors);
    }
}

int dq_sched_setaffinity(pid_t tid, unsigned length, const unsigned long *mask)
{
    g_autofree unsigned long *chosen = NULL;

    if (are_ours()) {
        chosen = g_new(unsigned long, dq_processors_words(&dq_config));
        bool any = dq_processors_filter(&dq_config, mask, length / WORD, chosen);
        QEMU_LOCK_GUARD(&qemu_cpu_list_lock);
        CPUState *cpu = cpu_of(tid);
        if (cpu && !any) {
            errno = EINVAL;
            return -1;
        }
        if (cpu) {
            g_free(*slot_of(cpu));
            *slot_of(cpu) = g_steal_pointer(&chosen);
            follow_mask(cpu);
            return 0;
        }
    }
    return syscall(SYS_sched_setaffinity, tid, length, mask);
}

uint64_t dq_processors_inherit(struct dq_thread *child)
{
    unsigned long *own = NULL;

    if (!are_ours()) {
        return UINT64_MAX;
    }
    QEMU_LOCK_GUARD(&qemu_cpu_list_lock);
    own = dq_this_thread()->processors;
    if (!own) {
        return UINT64_MAX;
    }
    child->processors = g_memdup2(own, dq_processors_words(&dq_config) * WORD);
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
