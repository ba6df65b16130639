/*
 * Threads: where a new one goes, the proxy on the master, the thread itself on its slave, and
 * the way back.
 *
 * A thread that is placed elsewhere is made by QEMU's own do_fork() like any other. Its host
 * thread becomes the proxy: it ships the state and from then on executes what the thread on
 * the slave asks for, with QEMU's do_syscall() and its own TaskState, so that the host's
 * kernel and QEMU see one ordinary thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "learn.h"
#include "dqemu/clocks.h"
#include "carry.h"
#include "processors.h"
#include "split.h"
#if defined(__x86_64__)
#include <asm/prctl.h>
#endif
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "user/cpu_loop.h"
#include "user/guest-base.h"
#include "user/safe-syscall.h"
#include "qemu/lockable.h"
#include "qemu/timer.h"
#include "qemu/rcu.h"
#include "tcg/startup.h"
#include "exec/tb-flush.h"

/* ---------------------------------------------------------------- a new thread */

struct dq_thread *dq_clone_place(CPUArchState *env)
{
    struct dq_thread *t;

    if (dq_config.nodes == 1) {
        return NULL;
    }
    t = g_new0(struct dq_thread, 1);
    t->node = dq_place_thread(dq_processors_inherit(t));
    if (t->node && !qatomic_read(&dq_engaged)) {
        dq_engage();
    }
    return t;
}

void dq_clone_failed(struct dq_thread *t)
{
    if (t) {
        dq_place_gone(t->node);
        g_free(t->processors);
        g_free(t);
    }
}

/* ---------------------------------------------------------------- the proxy */

/* Until there is mail, or a signal that the slave does not know of yet. */
static void await_mail(struct dq_thread *t, TaskState *ts)
{
    struct dq_gate *mail = &t->proxy.mail;
    bool counted = dq_awake_end();
    uint32_t asleep = 0;

    if (!dq_spin(&mail->word, t->kicked ? NULL : &ts->signal_pending, DQ_SPIN_MAIL)) {
        asleep = dq_gate_lie_down(mail, counted);
    }
    if (!asleep) {
        dq_awake_begin();
        return;
    }
    if (t->kicked) {
        syscall(SYS_futex, &mail->word, FUTEX_WAIT_PRIVATE, asleep, NULL, NULL, 0);
    } else {
        safe_syscall(SYS_futex, &mail->word, FUTEX_WAIT_PRIVATE, asleep, NULL, NULL, 0);
    }
    dq_gate_get_up(mail, asleep);
}

/*
 * Wait for what the thread asks next. A signal that arrives meanwhile is pending here
 * (host_signal_handler() took it down and has blocked the others): the slave is told, once,
 * and asks for it.
 */
static struct dq_mail *next_mail(struct dq_thread *t, TaskState *ts)
{
    for (;;) {
        struct dq_mail *m = dq_proxy_take(&t->proxy);

        if (m) {
            return m;
        }
        if ((qatomic_read(&ts->signal_pending) || qatomic_read(&t->wanted)) && !t->kicked) {
            struct dq_msg_thread kick = {.tid = t->proxy.tid};

            t->kicked = true;
            dq_node_send(t->node, DQ_MSG_KICK, &kick, sizeof(kick));
        }
        await_mail(t, ts);
    }
}

/* Take down the frames of whatever is pending (dq_signal_frame()), do what has no handler. */
static void collect_signals(CPUArchState *env, struct dq_thread *t)
{
    g_array_set_size(t->frames, 0);
    process_pending_signals(env);
    t->kicked = false;
}

/* `brings`: bytes that go with the answer, or NULL */
static void answer(CPUArchState *env, struct dq_thread *t, abi_long value, GByteArray *brings)
{
    struct dq_msg_result r = {
        .tid = t->proxy.tid,
        .signals = t->frames->len,
        .value = value,
        .mask = dq_mask_pack(&get_task_state(env_cpu(env))->signal_mask),
        .go = qatomic_read(&t->wanted) != 0,
    };
    g_autoptr(GByteArray) frames = NULL;

    t->kicked |= r.go;
    if (r.signals) {
        frames = g_byte_array_new();
        g_byte_array_append(frames, (const guint8 *)t->frames->data,
                            r.signals * sizeof(struct dq_frame_of_signal));
        if (brings) {
            g_byte_array_append(frames, brings->data, brings->len);
        }
        brings = frames;
    }
    if (brings && brings->len) {
        dq_node_send2(t->node, DQ_MSG_RESULT, &r, sizeof(r), brings->data, brings->len);
    } else {
        dq_node_send(t->node, DQ_MSG_RESULT, &r, sizeof(r));
    }
}

/* A message of the thread makes no sense: its node runs something else. */
static void G_NORETURN bad_message(struct dq_thread *t, unsigned type)
{
    dq_control_error(125,
                     "node %d sent a malformed message (%u) for thread %u; install the same "
                     "dqemu on every node",
                     t->node, type, t->proxy.tid);
    _exit(125);
}

static void serve_syscall(CPUArchState *env, struct dq_thread *t, struct dq_mail *m)
{
    const struct dq_msg_syscall *s = (const void *)m->body;
    const abi_ulong a[8] = {s->arg[0], s->arg[1], s->arg[2], s->arg[3],
                            s->arg[4], s->arg[5], s->arg[6], s->arg[7]};
    const bool carries = s->number & DQ_SYSCALL_CARRIES;
    const size_t more = m->length - sizeof(*s);
    g_autoptr(GByteArray) brings = g_byte_array_new();
    abi_long ret;

    if (carries ? dq_carry_open(m->body + sizeof(*s), more)
                : more && dq_state_unpack(env, m->body + sizeof(*s), more)) {
        bad_message(t, m->type);
    }
    ret = do_syscall(env, s->number & ~DQ_SYSCALL_CARRIES, a[0], a[1], a[2], a[3], a[4], a[5], a[6],
                     a[7]);
    if (dq_config.nodes == 1) {
        /* the child of a fork: from here on it is an ordinary thread, alone */
        t->is_proxy = false;
        dq_arch_syscall_result(env, ret);
        process_pending_signals(env);
        cpu_loop(env);
    }
    if (carries) {
        ret = dq_carry_close(ret, brings);
    }
    collect_signals(env, t);
    answer(env, t, ret, brings);
}

/* Before anything pending is looked at: the thread has not come to where signals are taken. */
static void serve_map_ask(CPUArchState *env, struct dq_thread *t, const struct dq_mail *m)
{
    if (dq_teach_asked(t->node, (const void *)m->body)) {
        bad_message(t, m->type);
    }
    g_array_set_size(t->frames, 0);
    answer(env, t, 0, NULL);
}

static void block_all_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

/*
 * The thread's mask changes. What the kernel has given to us until now came before that: it is
 * for the thread, whatever the new mask blocks, and its handler runs under the old one. That is
 * how a signal is handled that ends sigsuspend(), and so QEMU is told.
 */
static void follow_mask(TaskState *ts, uint64_t mask)
{
    block_all_signals(); /* so that no one comes between this look and what follows */
    if (qatomic_read(&ts->signal_pending)) {
        ts->sigsuspend_mask = ts->signal_mask;
        ts->in_sigsuspend = 1;
    }
    dq_mask_unpack(&ts->signal_mask, mask);
}

static void serve_take(CPUArchState *env, struct dq_thread *t, TaskState *ts,
                       const struct dq_mail *m)
{
    const struct dq_msg_thread *s = (const void *)m->body;
    const struct dq_take *take = (const void *)(s + 1);
    const struct dq_sync_signal *sync = (const void *)(take + 1);

    const size_t least = sizeof(*s) + sizeof(*take) + (s->arg ? sizeof(*sync) : 0);

    if (m->length < least || (m->length > least && !s->arg)) {
        bad_message(t, m->type);
    }
    if (take->mask != dq_mask_pack(&ts->signal_mask)) {
        follow_mask(ts, take->mask);
    }
    if (s->arg) {
        if (sync->sig < 1 || sync->sig > TARGET_NSIG ||
            dq_state_unpack(env, m->body + least, m->length - least)) {
            bad_message(t, m->type);
        }
        if (sync->no_handler) {
            force_sigsegv(sync->sig);
        } else {
            ts->sync_signal.info = sync->info;
            ts->sync_signal.pending = sync->sig;
        }
    }
    qatomic_set(&ts->signal_pending, 1);
    collect_signals(env, t);
    answer(env, t, 0, NULL);
}

/* The thread ends: it counts nowhere any more. Its TaskState lives on, and QEMU frees it. */
void dq_thread_gone(CPUArchState *env)
{
    TaskState *ts = get_task_state(env_cpu(env));
    struct dq_thread *t = ts->dq;

    dq_place_gone(t->node);
    dq_thread_ends(ts->ts_tid);
    if (t->frames) {
        g_array_free(t->frames, true);
    }
    WITH_QEMU_LOCK_GUARD(&qemu_cpu_list_lock)
    { /* others look at its mask */
        ts->dq = NULL;
    }
    g_free(t->processors);
    g_free(t);
}

/*
 * The thread ends: what the kernel has given to us and is for the process is for another thread, or
 * waits. What was sent to this thread goes with it, as in the kernel, but for what rt_tgsigqueueinfo()
 * queued: nothing tells it from what was queued for the process. Libraries block all signals before a
 * thread ends, so it takes none down by then.
 */
static void give_back(TaskState *ts)
{
    for (int sig = 1; sig <= TARGET_NSIG; sig++) {
        struct emulated_sigtable *k = &ts->sigtab[sig - 1];
        int host_sig = target_to_host_signal(sig);
        siginfo_t info = {0};

        if (!k->pending) {
            continue;
        }
        k->pending = 0;
        k->info.si_code = sextract32(k->info.si_code, 0, 16); /* without QEMU's type */
        target_to_host_siginfo(&info, &k->info);
        info.si_signo = host_sig;
        if (info.si_code == SI_TKILL) {
            continue;
        } else if (info.si_code == SI_USER && info.si_pid == getpid()) {
            kill(getpid(), host_sig);
        } else if (syscall(SYS_rt_sigqueueinfo, getpid(), host_sig, &info)) {
            info.si_code = SI_QUEUE; /* only the main thread may speak for the kernel or others */
            if (syscall(SYS_rt_sigqueueinfo, getpid(), host_sig, &info)) {
                kill(getpid(), host_sig); /* the queue is full */
            }
        }
    }
}

/* Signals that came meanwhile are for others: this thread takes none any more. */
static void G_NORETURN serve_exit(CPUArchState *env, struct dq_thread *t, struct dq_mail *m)
{
    TaskState *ts = get_task_state(env_cpu(env));
    int status = (int)((const struct dq_msg_thread *)m->body)->arg;

    g_free(m);
    block_all_signals();
    sigfillset(&ts->signal_mask);
    give_back(ts);
    dq_proxy_close(&t->proxy);
    dq_thread_gone(env);
    for (;;) {
        do_syscall(env, TARGET_NR_exit, status, 0, 0, 0, 0, 0, 0, 0);
        process_pending_signals(env); /* none: this lets QEMU go on */
    }
}

/* What the kernel counts for the calling thread. */
static uint64_t own_ns(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * NANOSECONDS_PER_SECOND + t.tv_nsec;
}

/* It is a thread of the master's when this returns, if it is not to go on to another node. */
static void serve_move(CPUArchState *env, struct dq_thread *t, struct dq_mail *m)
{
    const struct dq_moved *moved = (const void *)(m->body + sizeof(struct dq_msg_thread));
    const size_t head = sizeof(struct dq_msg_thread) + sizeof(*moved);

    if (m->length < head || dq_state_unpack(env, m->body + head, m->length - head)) {
        bad_message(t, m->type);
    }
    dq_proxy_moved(&t->proxy, (int64_t)(moved->used_ns - own_ns()));
    g_free(m);
    dq_place_moved(t->node, 0);
    t->node = 0;
    t->is_proxy = false;
    t->kicked = false;
    dq_stat_add(threads, 1);
    qatomic_set(&get_task_state(env_cpu(env))->signal_pending, 1); /* sets the host's mask too */
    process_pending_signals(env);
}

/* The thread begins on its node, or goes on there. */
static void start_there(CPUArchState *env, struct dq_thread *t, uint32_t tid)
{
    struct dq_msg_thread start = {.tid = tid};
    g_autoptr(GByteArray) state = g_byte_array_new();
    struct dq_moved moved;
    int64_t carried;

    dq_thread_clock(tid, &carried);
    moved.used_ns = own_ns() + carried;
    dq_proxy_open(&t->proxy, tid, t->node);
    dq_teach_stack(env, t->node);
    g_byte_array_append(state, (const guint8 *)&moved, sizeof(moved));
    dq_state_pack(env, state);
    dq_node_send2(t->node, DQ_MSG_START, &start, sizeof(start), state->data, state->len);
    dq_scheduling_begin(t);
}

/* Until the thread has come to the master. */
static void be_proxy(CPUArchState *env, struct dq_thread *t)
{
    TaskState *ts = get_task_state(env_cpu(env));

    /* what the making of the CPU left for its first loop */
    process_queued_cpu_work(env_cpu(env));
    current_cpu = env_cpu(env); /* as cpu_exec() would: the exclusive section asks for it */
    t->is_proxy = true;
    if (!t->frames) {
        t->frames = g_array_new(false, false, sizeof(struct dq_frame_of_signal));
    }
    start_there(env, t, ts->ts_tid);

    for (;;) {
        struct dq_mail *m = next_mail(t, ts);

        switch (m->type) {
        case DQ_MSG_SYSCALL:
            serve_syscall(env, t, m);
            break;
        case DQ_MSG_TAKE:
            serve_take(env, t, ts, m);
            break;
        case DQ_MSG_MAP_ASK:
            serve_map_ask(env, t, m);
            break;
        case DQ_MSG_EXIT:
            serve_exit(env, t, m);
        case DQ_MSG_MOVE:
            serve_move(env, t, m);
            return;
        default:
            bad_message(t, m->type);
        }
        g_free(m);
    }
}

/* ---------------------------------------------------------------- here, or there */

/* Where a thread of the master's comes back to from QEMU's loop, to go elsewhere. */
static __thread sigjmp_buf *out;

/* Runs the thread wherever it is; does not return. */
static void run(CPUArchState *env, struct dq_thread *t)
{
    sigjmp_buf here;

    out = &here;
    sigsetjmp(here, 0); /* signals are blocked or not as the guest has it, here and there */
    for (;;) {
        if (t) {
            dq_processors_bind(t);
        }
        if (t && t->node) {
            be_proxy(env, t);
        } else {
            cpu_loop(env);
        }
    }
}

void dq_thread_passes(CPUArchState *env)
{
    struct dq_thread *t = dq_this_thread();
    int node;

    if (!t || t->is_proxy || dq_config.nodes == 1 || likely(!qatomic_read(&t->wanted))) {
        return;
    }
    node = qatomic_xchg(&t->wanted, 0) - 1;
    if (node > 0) {
        if (!qatomic_read(&dq_engaged)) {
            dq_engage();
        }
        dq_place_moved(0, node);
        dq_stat_add(migrations, 1);
        t->node = node;
        siglongjmp(*out, 1);
    }
}

/*
 * The thread looks at `wanted` when it passes, and its proxy before it waits and with each answer; so
 * whichever of both it is now, or becomes meanwhile, one of the two calls below makes it look.
 */
void dq_thread_want(CPUState *cpu, int node)
{
    TaskState *ts = get_task_state(cpu);

    qatomic_set(&ts->dq->wanted, 1 + node);
    smp_mb();
    dq_proxy_nudge(ts->ts_tid);
    cpu_exit(cpu);
}

void dq_cpu_loop(CPUArchState *env)
{
    struct dq_thread *t = dq_this_thread();

    dq_awake_begin();
    dq_split_settle(env_cpu(env)); /* nothing, but known to it from now on */
    if (!t || !t->node) {
        dq_stat_add(threads, 1);
    }
    run(env, t);
}

void dq_main_loop(CPUArchState *env)
{
    if (dq_config.nodes > 1) {
        get_task_state(env_cpu(env))->dq = g_new0(struct dq_thread, 1);
    }
    run(env, dq_this_thread());
}

/* ---------------------------------------------------------------- on the slave */

/*
 * CPU objects are made and freed one at a time; guards QEMU's object tree and CPU list, as
 * clone_lock does on the master. Nothing waits for another node under it.
 */
static pthread_mutex_t cpus_lock = PTHREAD_MUTEX_INITIALIZER;
static CPUArchState *template_env;

struct start {
    struct dq_thread *t;
    size_t length;
    _Alignas(8) unsigned char state[]; /* struct dq_moved, and the thread's */
};

void dq_thread_template(CPUArchState *env)
{
    template_env = env;
    tcg_cflags_set(env_cpu(env), CF_PARALLEL);
}

CPUArchState *dq_template_env(void)
{
    return template_env;
}

TaskState *dq_template_task(void)
{
    return get_task_state(env_cpu(template_env));
}

void dq_thread_each(void (*fn)(CPUArchState *env, const struct dq_thread *t))
{
    CPUState *cpu;

    pthread_mutex_lock(&cpus_lock);
    cpu_list_lock();
    CPU_FOREACH(cpu)
    {
        const TaskState *ts = cpu->opaque;

        if (ts && ts->dq && qatomic_read(&ts->dq->remote.host_tid)) { /* it has its registers */
            fn(cpu_env(cpu), ts->dq);
        }
    }
    cpu_list_unlock();
    pthread_mutex_unlock(&cpus_lock);
}

/*
 * Where guest addresses are not the host's, translated code may find them by a register that threads
 * inherit: this one's parent, the loop, is older than that.
 */
static void set_guest_base(void)
{
#if defined(__x86_64__)
    if (guest_base) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, guest_base);
    }
#endif
}

static void *run_thread(void *arg)
{
    struct start *start = arg;
    const struct dq_moved *moved = (const void *)start->state;
    struct dq_thread *t = start->t;
    TaskState *template_ts = get_task_state(env_cpu(template_env));
    CPUArchState *env;
    CPUState *cpu;
    TaskState *ts;

    dq_awake_was_begun(); /* by dq_thread_start() */
    /* or it would bear the loop's; tests/bench/slow.c looks for it */
    prctl(PR_SET_NAME, "dqemu-guest");
    set_guest_base();
    rcu_register_thread();
    tcg_register_thread();
    pthread_mutex_lock(&cpus_lock);
    env = cpu_copy(template_env);
    pthread_mutex_unlock(&cpus_lock);

    cpu = env_cpu(env);
    ts = g_new0(TaskState, 1);
    init_task_state(ts);
    ts->info = template_ts->info;
    ts->bprm = template_ts->bprm;
    ts->ts_tid = t->remote.tid;
    ts->dq = t;
    cpu->opaque = ts;
    thread_cpu = cpu;
    if (start->length < sizeof(*moved) ||
        dq_state_unpack(env, start->state + sizeof(*moved), start->length - sizeof(*moved))) {
        dq_control_error(125,
                         "node %d got a malformed thread; install the same dqemu on every "
                         "node",
                         dq_config.node);
        _exit(125);
    }
    t->remote.before_ns = moved->used_ns;
    g_free(start);
    t->told_mask = dq_mask_pack(&ts->signal_mask);
    dq_stat_add(threads, 1);
    dq_split_settle(cpu); /* nothing, but known to it from now on */
    dq_slave_mask();
    dq_clocks_enter();
    if (dq_remote_begin(&t->remote, syscall(SYS_gettid))) {
        qatomic_set(&ts->signal_pending, 1);
        cpu_exit(cpu);
    }
    cpu_loop(env);
    return NULL;
}

int dq_thread_start(const void *body, size_t length)
{
    const struct dq_msg_thread *m = body;
    struct start *start = g_malloc(sizeof(*start) + length - sizeof(*m));
    pthread_attr_t attr;
    pthread_t id;
    int err;

    start->t = g_new0(struct dq_thread, 1);
    start->t->node = dq_config.node;
    start->t->remote.tid = m->tid;
    start->length = length - sizeof(*m);
    memcpy(start->state, m + 1, start->length);
    dq_remote_open(&start->t->remote);

    dq_awake_begin_other(); /* who waits awake makes room at once */
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 0x40000); /* as QEMU's NEW_STACK_SIZE */
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    err = pthread_create(&id, &attr, run_thread, start);
    pthread_attr_destroy(&attr);
    if (err) {
        dq_control_error(125, "node %d cannot create a thread: %s; raise its process limit",
                         dq_config.node, strerror(err));
        _exit(125);
    }
    return 0;
}

/* The host thread ends; what the guest's thread becomes has been told to the proxy. */
static void G_NORETURN leave(CPUArchState *env)
{
    CPUState *cpu = env_cpu(env);
    TaskState *ts = get_task_state(cpu);

    block_all_signals(); /* no kick finds this thread half gone */
    dq_clocks_leave();
    pthread_mutex_lock(&cpus_lock);
    dq_cpu_free(cpu);
    pthread_mutex_unlock(&cpus_lock);
    dq_awake_end();
    thread_cpu = NULL;
    g_free(ts->dq);
    g_free(ts);
    rcu_unregister_thread();
    pthread_exit(NULL);
}

void dq_thread_exit(CPUArchState *env, int status)
{
    struct dq_thread *t = dq_this_thread();
    struct dq_msg_thread m = {.tid = t->remote.tid, .arg = status};

    dq_remote_close(&t->remote);
    dq_node_send(0, DQ_MSG_EXIT, &m, sizeof(m));
    leave(env);
}

void dq_thread_move(CPUArchState *env)
{
    struct dq_thread *t = dq_this_thread();
    struct dq_msg_thread m = {.tid = t->remote.tid};
    GByteArray *state = g_byte_array_new();
    struct dq_moved moved;

    g_byte_array_set_size(state, sizeof(moved));
    dq_state_pack(env, state);
    moved.used_ns = own_ns() + t->remote.before_ns;
    memcpy(state->data, &moved, sizeof(moved));
    dq_remote_close(&t->remote);
    dq_stat_add(migrations, 1);
    dq_node_send2(0, DQ_MSG_MOVE, &m, sizeof(m), state->data, state->len);
    g_byte_array_free(state, true);
    leave(env);
}
