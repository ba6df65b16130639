/*
 * Signals of threads that run elsewhere.
 *
 * The host's kernel gives signals to the proxy, whose mask follows the thread's. The proxy
 * runs QEMU's own process_pending_signals(); where that would build a frame, the frame is
 * taken down instead (dq_signal_frame) and sent with the next result. The slave builds it on
 * the guest's stack (dq_signals). So which signal comes next, what it blocks, restarts,
 * defaults and forced signals are all QEMU's code, on the master.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "learn.h"
#include "split.h"

/* ---------------------------------------------------------------- at the proxy */

bool dq_signal_frame(CPUArchState *env, int sig, struct target_sigaction *sa,
                     target_siginfo_t *info, target_sigset_t *set)
{
    struct dq_thread *t = get_task_state(env_cpu(env))->dq;
    struct dq_frame_of_signal frame = {.sig = sig, .sa = *sa, .info = *info, .set = *set};

    if (!t || !t->is_proxy) {
        return false;
    }
    g_array_append_val(t->frames, frame);
    return true;
}

/* ---------------------------------------------------------------- on the slave */

/*
 * Ask the proxy what is pending; `sync` is the fault of this thread, if there is one. Then its state goes
 * along: if the process ends by that, the file with its memory shows where.
 */
static void take(CPUArchState *env, struct dq_thread *t, const struct dq_sync_signal *sync)
{
    TaskState *ts = get_task_state(env_cpu(env));
    g_autoptr(GByteArray) more = g_byte_array_new();
    struct {
        struct dq_msg_thread m;
        struct dq_take take;
    } body = {
        .m = {.tid = t->remote.tid, .arg = sync != NULL},
        .take = {.mask = dq_mask_pack(&ts->signal_mask)},
    };

    t->told_mask = body.take.mask;
    if (sync) {
        g_byte_array_append(more, (const void *)sync, sizeof(*sync));
        dq_state_pack(env, more);
    }
    dq_remote_call(&t->remote, DQ_MSG_TAKE, &body, sizeof(body), more->data, more->len);
}

/* A fault in memory that only the master has is no fault. */
static bool faulted_in_foreign_memory(const struct dq_sync_signal *sync)
{
    return sync->sig == TARGET_SIGSEGV && extract32(sync->info.si_code, 16, 16) == QEMU_SI_FAULT &&
           dq_is_foreign(sync->info._sifields._sigfault._addr);
}

/* An access where nothing is mapped, as far as this node knows. True: it may be made again. */
static bool fault_was_ignorance(CPUArchState *env, struct dq_thread *t,
                                const struct dq_sync_signal *sync)
{
    abi_ulong addr = cpu_untagged_addr(env_cpu(env), sync->info._sifields._sigfault._addr);

    return sync->sig == TARGET_SIGSEGV && extract32(sync->info.si_code, 16, 16) == QEMU_SI_FAULT &&
           dq_learn_fault(addr, &t->doubt);
}

static void take_sync_signal(CPUArchState *env, struct dq_thread *t, TaskState *ts)
{
    struct dq_sync_signal sync = {
        .sig = ts->sync_signal.pending,
        .no_handler = t->sigsegv_failed,
        .info = ts->sync_signal.info,
    };

    ts->sync_signal.pending = 0;
    t->sigsegv_failed = 0;
    if (faulted_in_foreign_memory(&sync)) {
        dq_thread_move(env);
    }
    if (fault_was_ignorance(env, t, &sync)) {
        return;
    }
    take(env, t, &sync);
}

static void build_frame(CPUArchState *env, struct dq_thread *t, TaskState *ts,
                        struct dq_frame_of_signal *f)
{
    if (t->interrupted == 2 || (t->interrupted && !(f->sa.sa_flags & TARGET_SA_RESTART))) {
        dq_arch_syscall_interrupted(env);
    }
    t->interrupted = 0;
#if defined(TARGET_ARCH_HAS_SETUP_FRAME)
    if (!(f->sa.sa_flags & TARGET_SA_SIGINFO)) {
        setup_frame(f->sig, &f->sa, &f->set, env);
    } else
#endif
    {
        setup_rt_frame(f->sig, &f->sa, &f->info, &f->set, env);
    }
    if (ts->sync_signal.pending && f->sig == TARGET_SIGSEGV) {
        t->sigsegv_failed = 1;
    }
}

/* The frames that came with the last result. */
static void build_frames(CPUArchState *env, struct dq_thread *t, TaskState *ts)
{
    g_autofree struct dq_msg_result *r = NULL;
    struct dq_frame_of_signal *f;

    if (!t->remote.result || !t->remote.result->signals) {
        return;
    }
    r = dq_remote_take_result(&t->remote); /* while a frame is built, there may be others */
    if (t->remote.result_length != sizeof(*r) + r->signals * sizeof(*f)) {
        dq_control_error(125,
                         "node %d got malformed signal frames; install the same dqemu on "
                         "every node",
                         dq_config.node);
        _exit(125);
    }
    f = (void *)(r + 1);
    for (uint32_t i = 0; i < r->signals; i++) {
        build_frame(env, t, ts, &f[i]);
    }
    t->told_mask = r->mask;
    dq_mask_unpack(&ts->signal_mask, r->mask);
}

/* All signals wait at the proxy; here only faults and kicks are let through. */
void dq_slave_mask(void)
{
    sigset_t set;

    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGTRAP);
    sigdelset(&set, host_interrupt_signal);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

bool dq_signals(CPUArchState *env)
{
    TaskState *ts = get_task_state(env_cpu(env));
    struct dq_thread *t = ts->dq;

    dq_split_unpin(); /* what a frame was built in, or a call left */
    dq_split_settle(env_cpu(env));
    if (!dq_on_slave()) {
        dq_thread_passes(env);
        return false;
    }
    while (qatomic_read(&ts->signal_pending)) {
        qatomic_set(&ts->signal_pending, 0);
        build_frames(env, t, ts);
        if (ts->sync_signal.pending) {
            take_sync_signal(env, t, ts);
            qatomic_set(&ts->signal_pending, 1);
        } else if (dq_remote_was_kicked(&t->remote)) {
            take(env, t, NULL);
            qatomic_set(&ts->signal_pending, 1);
        } else {
            /* block_signals() of a call that was executed here; a kick may come at once */
            dq_slave_mask();
        }
    }
    t->interrupted = 0;
    if (t->remote.go) {
        dq_thread_move(env);
    }
    return true;
}
