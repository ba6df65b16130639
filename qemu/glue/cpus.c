/*
 * CPU objects are used again: a thread that ends leaves its own to the next one.
 *
 * QEMU makes one in milliseconds (an Arm CPU registers its system registers in a table of its
 * own and describes them to gdb), and a thread that runs elsewhere needs two, one for its proxy.
 * A kept object is in none of QEMU's lists; to the rest of the process it has ended. What is
 * special to the thread is in CPUArchState, all of which cpu_copy() overwrites, and in the
 * fields of CPUState that forget() sets back.
 *
 * Everything here is guarded by what already guards the making and freeing of CPUs: clone_lock
 * on the master, cpus_lock (thread.c) on a slave.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "exec/tb-flush.h"
#include "qemu/lockable.h"
#include "qemu/plugin.h"
#include "qemu/rcu_queue.h"
#include "dqemu/split.h"

/* Some 0.6 MB each. A program that has more threads at once makes and frees the others. */
#define MOST_KEPT 64

static CPUState *kept[MOST_KEPT];
static int kept_count;

/* As in a new object that has been reset. */
static void forget(CPUState *cpu)
{
    g_assert(!cpu->running && !cpu->exclusive_context_count);
    free_queued_cpu_work(cpu);
    cpu_breakpoint_remove_all(cpu, BP_ANY);
    cpu->opaque = NULL;
    cpu->has_waiter = false;
    cpu->exit_request = false;
    cpu->singlestep_enabled = 0;
    cpu->random_seed = 0;
    cpu->prctl_unalign_sigbus = false;
    /* cpu_common_reset_hold() */
    cpu->interrupt_request = 0;
    cpu->halted = cpu->start_powered_off;
    cpu->mem_io_pc = 0;
    cpu->icount_extra = 0;
    cpu->neg.icount_decr.u32 = 0;
    cpu->neg.can_do_io = true;
    cpu->exception_index = -1;
    cpu->crash_occurred = false;
    cpu->cflags_next_tb = -1;
#ifdef CONFIG_PLUGIN
    cpu->neg.plugin_mem_cbs = NULL;
    g_free(cpu->plugin_state);
    cpu->plugin_state = qemu_plugin_create_vcpu_state();
#endif
    /* Outside the list nobody takes out the translations that are thrown away. */
    tcg_flush_jmp_cache(cpu);
}

/*
 * As cpu_list_add(), but second in the list, not last. Some walk along the list without a lock
 * (a flush of all translations, for one), and one of them may have come to this very object
 * before it left the list: from here it meets some CPUs again, from the end it would miss some.
 * Whoever has walked past this place already misses nothing: the object's jump cache is empty.
 * (The list is never empty: the thread that makes this one, or a slave's template, is in it.)
 */
static void list_again(CPUState *cpu)
{
    QEMU_LOCK_GUARD(&qemu_cpu_list_lock);
    cpu->cpu_index = cpu_get_free_index();
    QTAILQ_INSERT_AFTER_RCU(&cpus_queue, first_cpu, cpu, node);
}

CPUState *dq_cpu_create(const char *type)
{
    CPUState *cpu;

    if (!kept_count) {
        cpu = cpu_create(type);
        cpu_reset(cpu);
        return cpu;
    }
    cpu = kept[--kept_count];
    list_again(cpu);
#ifdef CONFIG_PLUGIN
    qemu_plugin_vcpu_init_hook(cpu);
#endif
    return cpu;
}

/* By the thread whose CPU it was. */
void dq_cpu_free(CPUState *cpu)
{
    dq_split_unregister();
    if (dq_config.nodes == 1 || kept_count == MOST_KEPT) {
        object_unparent(OBJECT(cpu));
        object_unref(OBJECT(cpu));
        return;
    }
#ifdef CONFIG_PLUGIN
    qemu_plugin_vcpu_exit_hook(cpu);
#endif
    cpu_list_remove(cpu);
    forget(cpu);
    kept[kept_count++] = cpu;
}

void dq_cpus_forked(void)
{
    kept_count = 0; /* as QEMU leaves behind the CPUs of the parent's other threads */
}
