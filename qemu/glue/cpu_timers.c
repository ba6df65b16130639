/*
 * Timers of processor time as the guest has them: its own interval timers, POSIX timers on processor
 * clocks, the signals of both, and sleeping by such clocks. When they expire is said in master/cpu_timers.h.
 *
 * A POSIX timer keeps a timer of the host's kernel, which has the guest's event, by CLOCK_MONOTONIC: it
 * is set to expire at once when the guest's has expired, so that the kernel sends the signal, to whom and
 * as it should be, and once while it is pending. The signals of interval timers and of the limit come
 * from our loop, which may not say that it is the kernel: that is put right when the guest takes them
 * (dq_timer_signal()), where overruns are counted as well.
 *
 * In a child that is forked no timer runs, and execve() keeps the interval timers: then the host's
 * kernel has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define DQEMU_HOST_TIMERS
#include "internal.h"
#include <sys/resource.h>
#include <sys/syscall.h>
#include "qemu/timer.h"
#include "dqemu/processors.h"
#include "master/cpu_timers.h"
#include "cpu_timers.h"

/* By their numbers in master/cpu_timers.h: two interval timers, then POSIX timers. */
enum { VIRTUAL, PROF, FIRST_POSIX };
#define MOST_POSIX (DQ_CPU_TIMERS - FIRST_POSIX)

static struct posix_timer {
    bool used; /* atomic: everything below was there before */
    timer_t host;
    uint64_t pending; /* atomic: expiries that the guest has not been told of */
    int overrun;      /* atomic: of the latest signal */
} posix_timers[MOST_POSIX];

/* Guards the choice of one that is free. A leaf. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What a signal of our loop's carries. */
static char from_the_kernel;

/* ---------------------------------------------------------------- signals */

/* On the loop. */
static void send_signal(int sig)
{
    siginfo_t info = {
        .si_signo = sig,
        .si_code = SI_QUEUE,
    };

    info.si_pid = getpid();
    info.si_value.sival_ptr = &from_the_kernel;
    if (sig == SIGKILL || syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info)) {
        kill(getpid(), sig);
    }
}

static void expired(unsigned timer, uint64_t times)
{
    static const struct itimerspec now = {.it_value.tv_nsec = 1};
    struct posix_timer *p;

    if (timer < FIRST_POSIX) {
        send_signal(timer == PROF ? SIGPROF : SIGVTALRM);
        return;
    }
    p = &posix_timers[timer - FIRST_POSIX];
    qatomic_fetch_add(&p->pending, times);
    timer_settime(p->host, 0, &now, NULL);
}

static struct posix_timer *by_kernels_number(int number)
{
    for (unsigned i = 0; i < MOST_POSIX; i++) {
        struct posix_timer *p = &posix_timers[i];
        if (qatomic_load_acquire(&p->used) && (int)(intptr_t)p->host == number) {
            return p;
        }
    }
    return NULL;
}

int dq_timer_signal(const siginfo_t **info, siginfo_t *ours)
{
    struct posix_timer *p;
    uint64_t times;

    if (dq_config.nodes == 1) {
        return (*info)->si_code;
    }
    if ((*info)->si_code == SI_QUEUE && (*info)->si_value.sival_ptr == &from_the_kernel) {
        *ours = (siginfo_t){.si_signo = (*info)->si_signo, .si_code = SI_KERNEL};
        *info = ours;
    } else if ((*info)->si_code == SI_TIMER && (p = by_kernels_number((*info)->si_timerid))) {
        times = qatomic_xchg(&p->pending, 0);
        *ours = **info;
        ours->si_overrun = times ? MIN(times - 1, INT_MAX) : 0;
        qatomic_set(&p->overrun, ours->si_overrun);
        *info = ours;
    }
    return (*info)->si_code;
}

/* ---------------------------------------------------------------- times */

/* Longer than any program runs; sums of a few of them fit. */
#define MOST_NS (INT64_MAX / 4)

static uint64_t ns_of(time_t s, long ns)
{
    return s >= MOST_NS / NANOSECONDS_PER_SECOND ? MOST_NS : s * NANOSECONDS_PER_SECOND + ns;
}

static bool is_time(time_t s, long part, long whole)
{
    return s >= 0 && part >= 0 && part < whole;
}

/* Rounded up: what is left of a timer that runs is never 0. */
static struct timeval timeval_of(uint64_t ns)
{
    uint64_t us = DIV_ROUND_UP(ns, 1000);

    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = ns / NANOSECONDS_PER_SECOND,
                             .tv_nsec = ns % NANOSECONDS_PER_SECOND};
}

static int fail(int err)
{
    errno = err;
    return -1;
}

/* ---------------------------------------------------------------- interval timers */

static bool is_ours(int which)
{
    return dq_config.nodes > 1 && (which == ITIMER_VIRTUAL || which == ITIMER_PROF);
}

static unsigned number_of(int which)
{
    return which == ITIMER_PROF ? PROF : VIRTUAL;
}

int dq_setitimer(int which, const struct itimerval *value, struct itimerval *old)
{
    static const struct itimerval none;
    const struct itimerval *v = value ? value : &none;
    uint64_t now, first, left, was;

    if (!is_ours(which)) {
        return setitimer(which, value, old);
    }
    if (!is_time(v->it_value.tv_sec, v->it_value.tv_usec, 1000000) ||
        !is_time(v->it_interval.tv_sec, v->it_interval.tv_usec, 1000000)) {
        return fail(EINVAL);
    }
    first = ns_of(v->it_value.tv_sec, v->it_value.tv_usec * 1000);
    dq_cpu_timer_now(number_of(which), &now);
    dq_cpu_timer_set(number_of(which), now, first ? now + first : 0,
                     ns_of(v->it_interval.tv_sec, v->it_interval.tv_usec * 1000), &left, &was);
    *old = (struct itimerval){timeval_of(was), timeval_of(left)};
    return 0;
}

int dq_getitimer(int which, struct itimerval *value)
{
    uint64_t now, left, interval;

    if (!is_ours(which)) {
        return getitimer(which, value);
    }
    dq_cpu_timer_now(number_of(which), &now);
    dq_cpu_timer_get(number_of(which), now, &left, &interval);
    *value = (struct itimerval){timeval_of(interval), timeval_of(left)};
    return 0;
}

void dq_timers_exec(void)
{
    struct itimerval t;

    for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
        if (is_ours(which) && dq_getitimer(which, &t) == 0 && timerisset(&t.it_value)) {
            setitimer(which, &t, NULL);
        }
    }
}

void dq_timers_exec_failed(void)
{
    static const struct itimerval none;

    for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
        if (is_ours(which)) {
            setitimer(which, &none, NULL);
        }
    }
}

/* ---------------------------------------------------------------- POSIX timers */

/* The number of one of ours. -1: it is the host's. */
static int find(timer_t timer)
{
    if (dq_config.nodes > 1) {
        for (unsigned i = 0; i < MOST_POSIX; i++) {
            if (qatomic_load_acquire(&posix_timers[i].used) && posix_timers[i].host == timer) {
                return FIRST_POSIX + i;
            }
        }
    }
    return -1;
}

/* -1: all are used. QEMU has no more either. */
static int keep(timer_t host, enum dq_cpu_clock clock, uint32_t tid)
{
    unsigned i = 0;

    pthread_mutex_lock(&lock);
    while (i < MOST_POSIX && posix_timers[i].used) {
        i++;
    }
    if (i < MOST_POSIX) {
        posix_timers[i] = (struct posix_timer){.host = host};
        dq_cpu_timer_init(FIRST_POSIX + i, clock, tid);
        qatomic_store_release(&posix_timers[i].used, true);
    }
    pthread_mutex_unlock(&lock);
    return i < MOST_POSIX ? 0 : -1;
}

int dq_timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    uint32_t tid;

    if (timer_create(clock, event, timer)) {
        return -1;
    }
    if (dq_config.nodes == 1 || !dq_is_cpu_clock(clock, &tid)) {
        return 0;
    }
    timer_delete(*timer); /* it was valid */
    if (timer_create(CLOCK_MONOTONIC, event, timer)) {
        return -1;
    }
    if (keep(*timer, tid ? DQ_CPU_THREAD : DQ_CPU_PROCESS, tid)) {
        timer_delete(*timer);
        return fail(EAGAIN);
    }
    return 0;
}

int dq_timer_settime(timer_t timer, int flags, const struct itimerspec *value,
                     struct itimerspec *old)
{
    static const struct itimerspec none;
    const struct timespec *v = &value->it_value, *i = &value->it_interval;
    uint64_t now, first, left, was;
    int number = find(timer);

    if (number < 0) {
        return timer_settime(timer, flags, value, old);
    }
    if (!is_time(v->tv_sec, v->tv_nsec, NANOSECONDS_PER_SECOND) ||
        !is_time(i->tv_sec, i->tv_nsec, NANOSECONDS_PER_SECOND)) {
        return fail(EINVAL);
    }
    if (dq_cpu_timer_now(number, &now)) {
        return fail(ESRCH);
    }
    first = ns_of(v->tv_sec, v->tv_nsec);
    if (first && !(flags & TIMER_ABSTIME)) {
        first += now;
    }
    dq_cpu_timer_set(number, now, 0, 0, &left, &was);
    timer_settime(timer, 0, &none, NULL); /* what it has sent is no longer valid */
    qatomic_set(&posix_timers[number - FIRST_POSIX].pending, 0);
    qatomic_set(&posix_timers[number - FIRST_POSIX].overrun, 0);
    *old = (struct itimerspec){timespec_of(was), timespec_of(left)};
    dq_cpu_timer_set(number, now, first, ns_of(i->tv_sec, i->tv_nsec), &left, &was);
    return 0;
}

int dq_timer_gettime(timer_t timer, struct itimerspec *value)
{
    uint64_t now = 0, left = 0, interval = 0;
    int number = find(timer);

    if (number < 0) {
        return timer_gettime(timer, value);
    }
    if (dq_cpu_timer_now(number, &now) == 0) { /* else its thread has ended, as the kernel says */
        dq_cpu_timer_get(number, now, &left, &interval);
    }
    *value = (struct itimerspec){timespec_of(interval), timespec_of(left)};
    return 0;
}

int dq_timer_getoverrun(timer_t timer)
{
    int number = find(timer);

    return number < 0 ? timer_getoverrun(timer)
                      : qatomic_read(&posix_timers[number - FIRST_POSIX].overrun);
}

int dq_timer_delete(timer_t timer)
{
    uint64_t left, was;
    int number = find(timer);

    if (number >= 0) {
        dq_cpu_timer_set(number, 0, 0, 0, &left, &was);
        qatomic_set(&posix_timers[number - FIRST_POSIX].used, false);
    }
    return timer_delete(timer);
}

/* ---------------------------------------------------------------- sleeping */

static int read_clock(uint32_t tid, uint64_t *now)
{
    return tid ? dq_cpu_thread_now(tid, now) : dq_cpu_timer_now(PROF, now);
}

/*
 * Until the clock can show `until` at the earliest, then look again. A thread that has ended uses no more:
 * its clock is waited for until a signal comes, as the kernel does.
 */
static int sleep_until(int (*host)(clockid_t, int, const struct timespec *, struct timespec *),
                       uint32_t tid, uint64_t until, uint64_t now)
{
    const enum dq_cpu_clock kind = tid ? DQ_CPU_THREAD : DQ_CPU_PROCESS;

    for (bool begun = false; now < until; begun = true) {
        struct timespec leg = timespec_of(dq_cpu_wait(kind, until - now));

        if (host(CLOCK_MONOTONIC, 0, &leg, NULL)) {
            /* it is not the whole call that would be made again */
            return fail(errno == QEMU_ERESTARTSYS && begun ? EINTR : errno);
        }
        read_clock(tid, &now);
    }
    return 0;
}

int dq_clock_nanosleep(int (*host)(clockid_t, int, const struct timespec *, struct timespec *),
                       clockid_t clock, int flags, const struct timespec *request,
                       struct timespec *left)
{
    static const struct timespec past = {.tv_nsec = 1};
    bool relative = !(flags & TIMER_ABSTIME);
    uint64_t now, until;
    uint32_t tid;

    if (dq_config.nodes == 1 || !dq_is_cpu_clock(clock, &tid)) {
        return host(clock, flags, request, left);
    }
    if (!is_time(request->tv_sec, request->tv_nsec, NANOSECONDS_PER_SECOND)) {
        return fail(EINVAL);
    }
    if (host(clock, TIMER_ABSTIME, &past, NULL)) {
        return -1; /* there is no such clock, or it is the caller's */
    }
    if (read_clock(tid, &now)) {
        return fail(EINVAL);
    }
    until = ns_of(request->tv_sec, request->tv_nsec) + (relative ? now : 0);
    if (sleep_until(host, tid, until, now) == 0) {
        return 0;
    }
    if (errno == EINTR && relative && left && read_clock(tid, &now) == 0) {
        *left = timespec_of(until > now ? until - now : 0);
        errno = EINTR;
    }
    return -1;
}

/* ---------------------------------------------------------------- start, and fork */

void dq_timers_open(void)
{
    static const struct dq_cpu_timer_ops ops = {.expired = expired, .exceeded = send_signal};
    int processors = dq_processors_count(&dq_config);
    int err;

    dq_cpu_timer_init(VIRTUAL, DQ_CPU_USER, 0);
    dq_cpu_timer_init(PROF, DQ_CPU_PROCESS, 0);
    err = dq_cpu_timers_open(&ops, processors ? processors : g_get_num_processors());

    if (err) {
        dq_control_error(125, "node %d cannot start: %s; raise the limit of open files",
                         dq_config.node, strerror(-err));
        exit(125);
    }
}

void dq_timers_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    memset(posix_timers, 0, sizeof(posix_timers));
    dq_cpu_timers_forked();
}
