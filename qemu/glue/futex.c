/*
 * The futex system call over all nodes: QEMU's do_futex() asks here first.
 *
 * Until the cluster is engaged, and for foreign memory always, the host's kernel does it on
 * the master. A thread that waits in the kernel when the cluster is engaged is interrupted,
 * and repeats the call.
 *
 * The operations with priority inheritance are executed by the kernel on the master.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include "user/safe-syscall.h"
#include "dqemu/futex.h"
#include "master/futex.h"
#include "clock.h"
#include "split.h"

/* Guards `hosted`, and the decision between kernel and service. Innermost. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *hosted; /* the tids of threads that are in the kernel's futex call */
/* This thread's call began before the cluster was engaged. */
static __thread bool began_before;

static void send_futex(void *ctx, int to, unsigned type, const struct dq_msg_futex *m)
{
    dq_node_send(to, type, m, sizeof(*m));
}

void dq_futex_open(void)
{
    static const struct dq_futex_ops ops = {.send = send_futex};

    hosted = g_hash_table_new(NULL, NULL);
    dq_futex_init(&ops, NULL);
    if (!dq_on_slave()) {
        dq_futex_master_open(dq_config.nodes, &ops, NULL);
    }
}

void dq_futex_engage(void)
{
    GHashTableIter i;
    gpointer tid;

    pthread_mutex_lock(&lock);
    qatomic_set(&dq_engaged, true);
    g_hash_table_iter_init(&i, hosted);
    while (g_hash_table_iter_next(&i, &tid, NULL)) {
        syscall(SYS_tgkill, getpid(), GPOINTER_TO_INT(tid), host_interrupt_signal);
    }
    pthread_mutex_unlock(&lock);
}

void dq_futex_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    dq_futex_forked();
}

/* ---------------------------------------------------------------- waiting */

static bool get_timespec(bool time64, abi_ulong from, struct timespec *to)
{
    if (time64) {
        struct target__kernel_timespec *t;

        if (!lock_user_struct(VERIFY_READ, t, from, 1)) {
            return false;
        }
        __get_user(to->tv_sec, &t->tv_sec);
        to->tv_nsec = (abi_long)tswap64(t->tv_nsec);
        unlock_user_struct(t, from, 0);
    } else {
        struct target_timespec *t;

        if (!lock_user_struct(VERIFY_READ, t, from, 1)) {
            return false;
        }
        __get_user(to->tv_sec, &t->tv_sec);
        __get_user(to->tv_nsec, &t->tv_nsec);
        unlock_user_struct(t, from, 0);
    }
    return true;
}

/* The time at which to give up, on `clock`; absolute already for WAIT_BITSET. 0 or -errno. */
static int deadline(int op, bool time64, abi_ulong timeout, struct timespec *at)
{
    int base_op = op & FUTEX_CMD_MASK;
    struct timespec now;

    if (!get_timespec(time64, timeout, at)) {
        return -TARGET_EFAULT;
    }
    if (at->tv_sec < 0 || at->tv_nsec < 0 || at->tv_nsec >= 1000000000) {
        return -TARGET_EINVAL;
    }
    if (base_op == FUTEX_WAIT) {
        dq_clock_gettime(op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
        at->tv_sec = MIN(at->tv_sec, INT64_MAX - now.tv_sec - 1) + now.tv_sec; /* for ever */
        at->tv_nsec += now.tv_nsec;
        if (at->tv_nsec >= 1000000000) {
            at->tv_nsec -= 1000000000;
            at->tv_sec++;
        }
    }
    return 0;
}

/* 0 or an error number. */
static int sleep_in_kernel(struct dq_futex_waiter *w, int clock, const struct timespec *until)
{
    long ret = safe_syscall(SYS_futex, &w->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | clock, 0,
                            until, NULL, FUTEX_BITSET_MATCH_ANY);

    return ret == -1 ? errno : 0;
}

/* The same for a while, not beyond that time. False: it has come. */
static bool sleep_until(struct dq_futex_waiter *w, int clock, const struct timespec *at, int *err)
{
    struct dq_sleeper s;
    struct timespec until;

    if (!dq_clock_sleep_begin(&s, &w->word, clock != 0, at, &until)) {
        return false;
    }
    *err = sleep_in_kernel(w, s.followed ? 0 : clock, &until);
    dq_clock_sleep_end(&s);
    if (s.followed && *err == ETIMEDOUT) {
        *err = 0; /* by the host's clock */
    }
    return true;
}

/* Sleep until woken (0), too late, or interrupted: -errno, or -QEMU_ERESTARTSYS. */
static int sleep_on(struct dq_futex_waiter *w, int op, const struct timespec *at)
{
    for (;;) {
        int err = 0;

        if (qatomic_load_acquire(&w->word)) {
            return 0;
        }
        if (!at) {
            err = sleep_in_kernel(w, 0, NULL);
        } else if (!sleep_until(w, op & FUTEX_CLOCK_REALTIME, at, &err)) {
            return -TARGET_ETIMEDOUT;
        }
        if (err == QEMU_ERESTARTSYS) {
            return -QEMU_ERESTARTSYS;
        }
        if (err && err != EAGAIN) {
            errno = err;
            return get_errno(-1);
        }
    }
}

/*
 * On a slave only kicks interrupt, and whether there is a handler, and one that restarts the
 * call, is not known yet: step back, and let the frame decide.
 */
static int interrupted(int err, bool timed)
{
    if (dq_on_slave() && (err == -TARGET_EINTR || err == -QEMU_ERESTARTSYS)) {
        dq_this_thread()->interrupted = timed ? 2 : 1;
        return -QEMU_ERESTARTSYS;
    }
    return err;
}

static int futex_wait(abi_ulong uaddr, int op, uint32_t val, bool time64, abi_ulong timeout,
                      uint32_t bitset)
{
    struct dq_futex_waiter w;
    struct timespec at;
    uint64_t start;
    uint32_t word;
    int err;

    if (!bitset) {
        return -TARGET_EINVAL;
    }
    if (timeout) {
        err = deadline(op, time64, timeout, &at);
        if (err) {
            return err;
        }
    }
    dq_futex_enter(&w, uaddr, bitset);
    do {
        bool good = dq_guest_load32(uaddr, &word);

        if (!good || word != tswap32(val)) {
            dq_futex_leave(&w);
            return good ? -TARGET_EAGAIN : -TARGET_EFAULT;
        }
    } while (!dq_futex_commit(&w));
    start = dq_node_now();
    err = sleep_on(&w, op, timeout ? &at : NULL);
    dq_stat_add(wait_futex_us, (dq_node_now() - start) / 1000);
    return dq_futex_leave(&w) ? 0 : interrupted(err, timeout != 0);
}

/* ---------------------------------------------------------------- FUTEX_REQUEUE */

/* The kernel returns the sum for both operations, whatever its manual says. */
static int futex_requeue(abi_ulong uaddr, int op, uint32_t wakes, uint32_t moves, abi_ulong uaddr2,
                         uint32_t val)
{
    bool compare = (op & FUTEX_CMD_MASK) == FUTEX_CMP_REQUEUE;
    struct dq_futex_requeue q;
    uint32_t word;

    if (dq_is_foreign(uaddr2)) { /* the kernel's queue: woken there too soon, they wait again */
        wakes = MIN((uint64_t)wakes + moves, INT_MAX);
        moves = 0;
    }
    dq_futex_requeue_begin(&q, uaddr, uaddr2);
    do {
        bool good = !compare || dq_guest_load32(uaddr, &word);

        if (!good || (compare && word != tswap32(val))) {
            dq_futex_requeue_cancel(&q);
            return good ? -TARGET_EAGAIN : -TARGET_EFAULT;
        }
    } while (!dq_futex_requeue_commit(&q, wakes, moves));
    return q.r.woken + q.r.moved;
}

/* ---------------------------------------------------------------- FUTEX_WAKE_OP */

static uint32_t op_result(unsigned op, uint32_t old, uint32_t arg)
{
    switch (op) {
    case FUTEX_OP_SET:
        return arg;
    case FUTEX_OP_ADD:
        return old + arg;
    case FUTEX_OP_OR:
        return old | arg;
    case FUTEX_OP_ANDN:
        return old & ~arg;
    default: /* FUTEX_OP_XOR */
        return old ^ arg;
    }
}

static bool op_compare(unsigned cmp, int32_t old, int32_t arg)
{
    switch (cmp) {
    case FUTEX_OP_CMP_EQ:
        return old == arg;
    case FUTEX_OP_CMP_NE:
        return old != arg;
    case FUTEX_OP_CMP_LT:
        return old < arg;
    case FUTEX_OP_CMP_LE:
        return old <= arg;
    case FUTEX_OP_CMP_GT:
        return old > arg;
    default: /* FUTEX_OP_CMP_GE */
        return old >= arg;
    }
}

static int futex_wake_op(abi_ulong uaddr, uint32_t val, abi_ulong uaddr2, uint32_t val2, int op)
{
    unsigned what = ((unsigned)op >> 28) & 7, cmp = ((unsigned)op >> 24) & 15;
    int32_t oparg = sextract32(op, 12, 12), cmparg = sextract32(op, 0, 12);
    uint32_t old, seen, woken;

    if (what > FUTEX_OP_XOR || cmp > FUTEX_OP_CMP_GE) {
        return -TARGET_ENOSYS;
    }
    if ((unsigned)op >> 28 & FUTEX_OP_OPARG_SHIFT) {
        oparg = 1u << (oparg & 31);
    }
    if (!dq_guest_load32(uaddr2, &seen)) {
        return -TARGET_EFAULT;
    }
    do {
        old = seen;
        if (!dq_guest_cmpxchg32(uaddr2, &seen, tswap32(op_result(what, tswap32(old), oparg)))) {
            return -TARGET_EFAULT;
        }
    } while (seen != old);
    woken = dq_futex_wake(uaddr, val, FUTEX_BITSET_MATCH_ANY);
    if (op_compare(cmp, tswap32(old), cmparg)) {
        woken += dq_futex_wake(uaddr2, val2, FUTEX_BITSET_MATCH_ANY);
    }
    return woken;
}

/* ---------------------------------------------------------------- the call */

static bool word_ok(CPUState *cpu, abi_ulong addr, bool write)
{
    return access_ok(cpu, write ? VERIFY_WRITE : VERIFY_READ, addr, 4);
}

/* Who wakes within the process need not be able to read the word, or have it mapped any more. */
static bool wakes_by_address(int op)
{
    int base_op = op & FUTEX_CMD_MASK;

    return op & FUTEX_PRIVATE_FLAG && (base_op == FUTEX_WAKE || base_op == FUTEX_WAKE_BITSET);
}

static int futex_service(CPUState *cpu, bool time64, abi_ulong uaddr, int op, int val,
                         abi_ulong timeout, abi_ulong uaddr2, int val3)
{
    /* the kernel counts after it has woken one, so "none" and less mean one; not in a requeue */
    uint32_t wakes = MAX(val, 1), wakes2 = MAX((int)timeout, 1);

    if (uaddr & 3) {
        return -TARGET_EINVAL;
    }
    if (!wakes_by_address(op) && !word_ok(cpu, uaddr, false)) {
        return -TARGET_EFAULT;
    }
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return futex_wait(uaddr, op, val, time64, timeout, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return futex_wait(uaddr, op, val, time64, timeout, val3);
    case FUTEX_WAKE:
        return dq_futex_wake(uaddr, wakes, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        return val3 ? (int)dq_futex_wake(uaddr, wakes, val3) : -TARGET_EINVAL;
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        if (val < 0 || (int)timeout < 0 || (uaddr2 & 3)) {
            return -TARGET_EINVAL;
        }
        if (!word_ok(cpu, uaddr2, false)) {
            return -TARGET_EFAULT;
        }
        return futex_requeue(uaddr, op, val, timeout, uaddr2, val3);
    case FUTEX_WAKE_OP:
        if (uaddr2 & 3) {
            return -TARGET_EINVAL;
        }
        if (!word_ok(cpu, uaddr2, true)) {
            return -TARGET_EFAULT;
        }
        return futex_wake_op(uaddr, wakes, uaddr2, wakes2, val3);
    default:
        return -TARGET_ENOSYS;
    }
}

/* Operations that the host's kernel must do, on the master. */
static bool is_for_kernel(int op)
{
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_WAKE_OP:
        return false;
    default:
        return true;
    }
}

/*
 * Where the kernel changes the word of a lock, it does not wait for a userfaultfd but says
 * EFAULT. So the page is fetched before; if it leaves at once, dq_futex_host_end() has the
 * call repeated.
 */
static __thread abi_ulong kernel_word;

/* A bad address is the kernel's to refuse: then nothing is repeated. */
static void bring_for_kernel(abi_ulong uaddr, abi_ulong uaddr2, int op, abi_ulong timeout)
{
    int base_op = op & FUTEX_CMD_MASK;
    bool two = base_op == FUTEX_WAIT_REQUEUE_PI || base_op == FUTEX_CMP_REQUEUE_PI;
    bool timed = timeout && base_op != FUTEX_CMP_REQUEUE_PI;

    kernel_word = 0;
    if (!dq_engaged || !is_for_kernel(op) || dq_is_foreign(uaddr) || (uaddr & 3) ||
        (two && (uaddr2 & 3)) || !word_ok(thread_cpu, uaddr, true) ||
        (two && !word_ok(thread_cpu, uaddr2, true)) ||
        (timed && !access_ok(thread_cpu, VERIFY_READ, timeout, sizeof(struct target_timespec)))) {
        return;
    }
    kernel_word = uaddr;
    dq_split_pin(uaddr, sizeof(uint32_t));
    /* an access as the kernel's, but one that waits */
    qatomic_fetch_or((uint32_t *)g2h_untagged(uaddr), 0);
    if (two) {
        dq_split_pin(uaddr2, sizeof(uint32_t));
        qatomic_fetch_or((uint32_t *)g2h_untagged(uaddr2), 0);
    }
}

bool dq_futex_is_ours(abi_ulong uaddr, int op)
{
    return !is_for_kernel(op) && !dq_is_foreign(uaddr);
}

bool dq_futex(CPUState *cpu, bool time64, abi_ulong uaddr, int op, int val, abi_ulong timeout,
              abi_ulong uaddr2, int val3, int *ret)
{
    if (dq_config.nodes == 1) {
        return false;
    }
    uaddr = cpu_untagged_addr(cpu, uaddr);
    uaddr2 = cpu_untagged_addr(cpu, uaddr2);
    if (!dq_on_slave()) {
        bool to_host;

        pthread_mutex_lock(&lock);
        to_host = !dq_engaged;
        if (to_host) {
            g_hash_table_add(hosted, GINT_TO_POINTER(get_task_state(cpu)->ts_tid));
            began_before = true;
        }
        pthread_mutex_unlock(&lock);
        if (to_host || !dq_futex_is_ours(uaddr, op)) {
            bring_for_kernel(uaddr, uaddr2, op, timeout);
            return false;
        }
    }
    *ret = futex_service(cpu, time64, uaddr, op, val, timeout, uaddr2, val3);
    return true;
}

/*
 * A call that began before the cluster was engaged and was interrupted since is repeated,
 * and finds the service. (If it was a signal of the guest's that interrupted it, its handler
 * runs first; a futex call may return early for no reason, or not.)
 */
int dq_futex_host_end(int ret)
{
    bool was_before = began_before;

    if (dq_config.nodes == 1) {
        return ret;
    }
    began_before = false;
    pthread_mutex_lock(&lock);
    g_hash_table_remove(hosted, GINT_TO_POINTER(get_task_state(thread_cpu)->ts_tid));
    pthread_mutex_unlock(&lock);
    if ((was_before && dq_engaged && ret == -TARGET_EINTR) ||
        (kernel_word && ret == -TARGET_EFAULT)) {
        return -QEMU_ERESTARTSYS;
    }
    return ret;
}

bool dq_futex_wake_tid(abi_ulong uaddr)
{
    if (!dq_engaged || dq_is_foreign(uaddr)) {
        return false;
    }
    dq_futex_wake(uaddr, INT_MAX, FUTEX_BITSET_MATCH_ANY);
    return true;
}
