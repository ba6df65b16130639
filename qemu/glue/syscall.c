/*
 * System calls: which of them a slave executes itself, and the way to the proxy for all others.
 *
 * The table of local calls is is_local() below; each has its reason there. Everything else
 * is executed by the proxy on the master with QEMU's own do_syscall(): every call that QEMU
 * knows works, with its conversions, and guest pointers mean the same there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <linux/membarrier.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "fd-trans.h"
#include "dqemu/clocks.h"
#include "master/cpu_timers.h"
#include "master/map.h"
#include "bounce.h"
#include "carry.h"
#include "direct.h"
#include "resident.h"
#include "root.h"
#include "self.h"
#include "split.h"
#include "strace.h"
#include "wide.h"

int dq_slave_pid;

/* ---------------------------------------------------------------- on a slave */

/* A clockid_t is an int: the ones of processes and threads are negative, and QEMU takes them so. */
static bool clock_is_local(int clock)
{
    uint32_t tid;

    if (dq_is_cpu_clock(clock, &tid)) { /* the master knows where other threads are */
        return tid == 0 || tid == get_task_state(thread_cpu)->ts_tid;
    }
    if (dq_clocks_differ()) { /* the others are those of the master's kernel */
        return dq_clocks_know(clock);
    }
    return clock >= 0;
}

static bool advice_is_local(abi_long advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_FREE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
        return true; /* hints: QEMU does nothing either */
    default:
        return false;
    }
}

/* Executed here, by QEMU's do_syscall(), without a message. */
static bool is_local(int num, const abi_long arg[8])
{
    switch (num) {
    case TARGET_NR_sched_yield: /* about this node's processors */
    case TARGET_NR_getcpu:
    case TARGET_NR_getrandom:      /* any node's are as good */
    case TARGET_NR_rt_sigprocmask: /* the mask lives with the thread, which tells it */
    case TARGET_NR_rt_sigreturn:   /* registers and mask */
    case TARGET_NR_sigaltstack:    /* lives with the thread */
#ifdef TARGET_NR_sigprocmask
    case TARGET_NR_sigprocmask:
#endif
#ifdef TARGET_NR_sgetmask
    case TARGET_NR_sgetmask:
#endif
#ifdef TARGET_NR_ssetmask
    case TARGET_NR_ssetmask:
#endif
#ifdef TARGET_NR_sigreturn
    case TARGET_NR_sigreturn:
#endif
        return true;
    case TARGET_NR_clock_getres:
#ifdef TARGET_NR_clock_gettime64
    case TARGET_NR_clock_getres_time64:
#endif
        return (int)arg[0] >= 0 && clock_is_local(arg[0]);
    case TARGET_NR_clock_gettime: /* the nodes agree about them: see dqemu/clocks.h */
#ifdef TARGET_NR_clock_gettime64
    case TARGET_NR_clock_gettime64:
#endif
        return clock_is_local(arg[0]);
    case TARGET_NR_gettimeofday:
#ifdef TARGET_NR_time
    case TARGET_NR_time:
#endif
        return true;
    case TARGET_NR_madvise:
        return advice_is_local(arg[2]);
    case TARGET_NR_getrusage: /* of this thread */
        return (int)arg[0] == RUSAGE_THREAD;
    case TARGET_NR_futex: /* the node's own queue; see futex.c */
#ifdef TARGET_NR_futex_time64
    case TARGET_NR_futex_time64:
#endif
        return dq_futex_is_ours(arg[0], arg[1]);
    case TARGET_NR_prctl: /* registers */
        return dq_arch_prctl_is_local(arg[0]);
    case TARGET_NR_set_robust_list: /* QEMU says ENOSYS, for free */
#ifdef TARGET_NR_rseq
    case TARGET_NR_rseq:
#endif
        return true;
    default:
        return dq_arch_syscall_is_local(num);
    }
}

/* A bit for each argument of a futex call that is a pointer. */
static unsigned futex_pointers(abi_long op)
{
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return 1 << 0 | 1 << 3;
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_WAKE_OP:
        return 1 << 0 | 1 << 4;
    default:
        return 1 << 0;
    }
}

/* A bit for each argument that can be a pointer, of a call that can be local. */
static unsigned pointer_arguments(int num, const abi_long arg[8])
{
    switch (num) {
    case TARGET_NR_getrandom:
#ifdef TARGET_NR_time
    case TARGET_NR_time:
#endif
        return 1 << 0;
    case TARGET_NR_clock_gettime:
    case TARGET_NR_clock_getres:
#ifdef TARGET_NR_clock_gettime64
    case TARGET_NR_clock_gettime64:
    case TARGET_NR_clock_getres_time64:
#endif
    case TARGET_NR_getrusage:
        return 1 << 1;
    case TARGET_NR_sigaltstack:
    case TARGET_NR_gettimeofday:
    case TARGET_NR_getcpu:
        return 1 << 0 | 1 << 1;
    case TARGET_NR_rt_sigprocmask:
#ifdef TARGET_NR_sigprocmask
    case TARGET_NR_sigprocmask:
#endif
        return 1 << 1 | 1 << 2;
    case TARGET_NR_futex:
#ifdef TARGET_NR_futex_time64
    case TARGET_NR_futex_time64:
#endif
        return futex_pointers(arg[1]);
    default:
        return dq_arch_syscall_is_local(num) ? 1 << 1 : 0;
    }
}

/* Is it in memory that only the master has? What this node has not heard of yet, it learns. */
static bool is_surely_foreign(abi_ulong addr)
{
    addr = cpu_untagged_addr(thread_cpu, addr);
    if (!page_get_flags(addr)) {
        dq_learn(addr, 1);
    }
    return dq_is_foreign(addr);
}

static bool has_foreign_argument(int num, const abi_long arg[8])
{
    unsigned pointers = pointer_arguments(num, arg);

    for (int i = 0; pointers; i++, pointers >>= 1) {
        if (pointers & 1 && arg[i] && is_surely_foreign(arg[i])) {
            return true;
        }
    }
    return false;
}

/* What lives with the thread cannot be done elsewhere without it. */
static bool lives_with_thread(int num)
{
    switch (num) {
    case TARGET_NR_rt_sigprocmask:
    case TARGET_NR_sigaltstack:
#ifdef TARGET_NR_sigprocmask
    case TARGET_NR_sigprocmask:
#endif
        return true;
    default:
        return dq_arch_syscall_is_local(num) || dq_arch_syscall_is_masters(num);
    }
}

static bool is_futex(int num)
{
    return num == TARGET_NR_futex
#ifdef TARGET_NR_futex_time64
           || num == TARGET_NR_futex_time64
#endif
        ;
}

/* What nobody else shows of a call that is over. */
static void trace(CPUArchState *env, int num, const abi_long arg[8], abi_long ret)
{
    if (unlikely(qemu_loglevel_mask(LOG_STRACE))) {
        print_syscall(env, num, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
        print_syscall_ret(env, num, ret, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    }
}

/* Answered here, without QEMU. */
static bool is_known(struct dq_thread *t, int num, abi_long *ret)
{
    switch (num) {
    case TARGET_NR_gettid:
        *ret = t->remote.tid;
        return true;
    case TARGET_NR_getpid:
        *ret = dq_slave_pid;
        return true;
    default:
        return false;
    }
}

/* Does this signal make the kernel write a file with the memory, if it has no handler? */
static bool dumps_core(abi_long sig)
{
    switch (sig) {
    case TARGET_SIGQUIT:
    case TARGET_SIGILL:
    case TARGET_SIGTRAP:
    case TARGET_SIGABRT:
    case TARGET_SIGBUS:
    case TARGET_SIGFPE:
    case TARGET_SIGSEGV:
    case TARGET_SIGSYS:
        return true;
    default:
        return false;
    }
}

/* Calls that make a copy of the thread, or show others where it is, carry its registers. */
static bool needs_state(int num, const abi_long arg[8])
{
    switch (num) {
    case TARGET_NR_kill:
    case TARGET_NR_tkill:
        return dumps_core(arg[1]);
    case TARGET_NR_tgkill:
        return dumps_core(arg[2]);
#ifdef TARGET_NR_fork
    case TARGET_NR_fork:
#endif
#ifdef TARGET_NR_vfork
    case TARGET_NR_vfork:
#endif
    case TARGET_NR_clone:
        return true;
    default:
        return false;
    }
}

static void count_wait(struct dq_thread *t, uint64_t ns)
{
    ns += t->waited_ns;
    dq_stat_add(wait_syscall_us, ns / 1000);
    t->waited_ns = ns % 1000;
}

static abi_long delegate(CPUArchState *env, struct dq_thread *t, int num, const abi_long arg[8])
{
    TaskState *ts = get_task_state(env_cpu(env));
    struct dq_msg_syscall m = {.tid = t->remote.tid, .number = num};
    struct dq_carried carried;
    GByteArray *state = NULL;
    const struct dq_msg_result *r;
    abi_long value;
    uint64_t start;

    for (int i = 0; i < 8; i++) {
        m.arg[i] = arg[i];
    }
    if (needs_state(num, arg)) {
        state = g_byte_array_new();
        dq_state_pack(env, state);
    }
    dq_stat_add(syscalls_delegated, 1);
    start = dq_node_now();
    if (dq_carry_begin(env, num, arg, &carried)) {
        r = dq_remote_call(&t->remote, DQ_MSG_SYSCALL, carried.call, carried.length, NULL, 0);
        value = dq_carry_end(&carried, &t->remote);
    } else {
        r = dq_remote_call(&t->remote, DQ_MSG_SYSCALL, &m, sizeof(m), state ? state->data : NULL,
                           state ? state->len : 0);
        value = r->value;
    }
    count_wait(t, dq_node_now() - start);
    if (state) {
        g_byte_array_free(state, true);
    }
    if (r->signals) {
        qatomic_set(&ts->signal_pending, 1);
    }
    return value;
}

/*
 * The thread's mask has changed here: the proxy's must have followed before the call returns. What
 * was unblocked and is pending there must be handled by then; and who has blocked a signal may say
 * so by memory, which is quicker than any message to the proxy, and must get no more of it. So
 * dq_signals() asks what is pending, which tells the mask as well, as if the proxy had kicked.
 */
static void tell_mask(struct dq_thread *t, TaskState *ts)
{
    if (dq_mask_pack(&ts->signal_mask) != t->told_mask) {
        qatomic_set(&t->remote.kicked, 1);
        qatomic_set(&ts->signal_pending, 1);
    }
}

/*
 * membarrier(): threads of different nodes see each other's writes in one order anyway, as each
 * write waits until its page is nobody else's, and taking a page away stops who has it. Threads of one
 * node share memory as the host's processors do, so its kernel orders them, as the master's has.
 */
static void order_here(int command)
{
    if (command != MEMBARRIER_CMD_QUERY) {
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
}

/* ---------------------------------------------------------------- on the master */

static abi_long close_piece(unsigned first, unsigned last, unsigned flags)
{
    if (close_range(first, last, flags)) {
        return errno == EMFILE ? -TARGET_EMFILE : -TARGET_ENOMEM; /* of CLOSE_RANGE_UNSHARE */
    }
    if (!(flags & CLOSE_RANGE_CLOEXEC)) {
        for (unsigned fd = first; fd <= last && fd < target_fd_max; fd++) {
            fd_trans_unregister(fd);
        }
    }
    return 0;
}

/* close_range(): what lies between descriptors of ours. True: done. */
static bool close_around_ours(unsigned first, unsigned last, unsigned flags, abi_long *ret)
{
    int ours = dq_node_next_own_fd(first);

    if (ours < 0 || ours > last || (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))) {
        return false;
    }
    *ret = 0;
    while (*ret == 0 && ours >= 0 && ours <= last) {
        if (ours > first) {
            *ret = close_piece(first, ours - 1, flags);
        }
        first = ours + 1;
        ours = dq_node_next_own_fd(first);
    }
    if (*ret == 0 && first <= last) {
        *ret = close_piece(first, last, flags);
    }
    return true;
}

/*
 * Programs close all descriptors that they do not know (daemons, before exec). Ours are not
 * there for them. True: done.
 */
static bool keep_ours(int num, const abi_long arg[8], abi_long *ret)
{
    if (num == TARGET_NR_close_range) {
        return close_around_ours(arg[0], arg[1], arg[2], ret);
    }
    return dq_self_refuses(num, arg, ret);
}

/*
 * msync() of memory that the guest has not mapped: for the kernel it is ours. Programs find out so
 * whether they may read an address. True: it fails.
 */
static bool syncs_nothing(int num, const abi_long arg[8], abi_long *ret)
{
    abi_ulong start = cpu_untagged_addr(thread_cpu, arg[0]), len = TARGET_PAGE_ALIGN(arg[1]);

    if (num != TARGET_NR_msync || start & ~TARGET_PAGE_MASK || len == 0 ||
        (guest_range_valid_untagged(start, len) && page_check_range(start, len, PAGE_VALID))) {
        return false;
    }
    *ret = -TARGET_ENOMEM;
    return true;
}

static bool sets_limit(int num)
{
    switch (num) {
#ifdef TARGET_NR_setrlimit
    case TARGET_NR_setrlimit:
#endif
#ifdef TARGET_NR_prlimit64
    case TARGET_NR_prlimit64:
#endif
        return true;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------- on every node */

bool dq_syscall_begin(CPUArchState *env, int num, const abi_long arg[8], abi_long *ret)
{
    struct dq_thread *t;

#ifdef TARGET_NR_getppid
    if (num == TARGET_NR_getppid && !dq_on_slave()) { /* in a forked child, too */
        *ret = dq_account_parent(getppid());
        if (*ret != getppid()) {
            return true;
        }
    }
#endif
    dq_root_call_begin(num);
    if (dq_config.nodes == 1) {
        return dq_direct_call(env, num, arg, ret) ||
               (dq_is_child && dq_map_call(num, arg[0]) && dq_wide_call(num, arg, ret));
    }
    t = dq_this_thread();
    if (!dq_on_slave()) {
        if (keep_ours(num, arg, ret) || syncs_nothing(num, arg, ret) ||
            dq_mlock_call(num, arg, ret) || dq_resident_call(num, arg, ret) ||
            dq_direct_call(env, num, arg, ret)) {
            trace(env, num, arg, *ret);
            return true;
        }
        if (dq_map_call(num, arg[0])) {
            dq_map_begin();
            dq_map_for(t ? t->node : 0);
            if (dq_wide_call(num, arg, ret)) {
                dq_split_include();
                dq_map_end();
                trace(env, num, arg, *ret);
                return true;
            }
            if (dq_map_attaches(num, arg[0]) && dq_engaged) { /* it may replace any mapping */
                dq_split_exclude(0, DQ_ALL_PAGES);
            }
        } else if (num == TARGET_NR_exit && t) {
            dq_thread_gone(env);
        } else if (num == TARGET_NR_execve || num == TARGET_NR_execveat) {
            dq_report(); /* if it succeeds, nobody will be left to tell */
            dq_timers_exec();
        }
        dq_bounce_begin(num);
        dq_awake_end(); /* it may sleep in there */
        return false;
    }
    if (num == TARGET_NR_exit) {
        dq_thread_exit(env, arg[0]);
    }
    if (is_known(t, num, ret)) {
        trace(env, num, arg, *ret);
        dq_stat_add(syscalls_local, 1);
        return true;
    }
    if (num == TARGET_NR_prctl && dq_arch_prctl_is_about_pointers(arg[0])) {
        *ret = delegate(env, t, num, arg);
        return *ret != 0; /* if it is valid: here too */
    }
    if (!has_foreign_argument(num, arg) && is_local(num, arg)) {
        dq_stat_add(syscalls_local, 1);
        dq_bounce_begin(num);
        if (is_futex(num)) {
            dq_awake_end(); /* the others do not sleep */
        }
        return false;
    }
    if (lives_with_thread(num)) {
        dq_arch_syscall_result(env, -QEMU_ERESTARTSYS);
        dq_thread_move(env);
    }
    *ret = delegate(env, t, num, arg);
    if (num == TARGET_NR_membarrier && *ret == 0) {
        order_here(arg[0]);
    }
    return true;
}

void dq_strace_thread(FILE *f, const TaskState *ts)
{
    if (dq_config.nodes == 1) {
        fprintf(f, "%d ", ts->ts_tid);
    } else {
        fprintf(f, "%d@%d ", ts->ts_tid, ts->dq ? ts->dq->node : 0);
    }
}

abi_long dq_syscall_end(CPUArchState *env, int num, abi_long arg, abi_long ret)
{
    if (ret == -TARGET_ENOSYS) {
        dq_missing_count(num);
    }
    dq_root_call_end(num);
    if (dq_config.nodes == 1) {
        return ret;
    }
    if (!dq_bounce_end() && !is_error(ret)) {
        ret = -TARGET_EFAULT;
    }
    dq_awake_begin();
    dq_split_unpin();
    if (dq_on_slave()) {
        /* frames could not be built there from here */
        if (num == TARGET_NR_sigaltstack && ret == 0 &&
            is_surely_foreign(get_task_state(env_cpu(env))->sigaltstack_used.ss_sp)) {
            dq_arch_syscall_result(env, ret);
            dq_thread_move(env);
        }
        tell_mask(dq_this_thread(), get_task_state(env_cpu(env)));
    } else if (dq_map_call(num, arg)) {
        dq_split_include();
        dq_map_end();
    } else if (num == TARGET_NR_execve || num == TARGET_NR_execveat) {
        dq_timers_exec_failed();
    } else if (sets_limit(num)) {
        dq_cpu_limit_changed();
    } else if (ret == 0) {
        dq_scheduling_changed(num, arg);
    }
    return ret;
}
