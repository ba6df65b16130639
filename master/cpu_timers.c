/*
 * Timers, and the loop's looks at their clocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/cpu_timers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "dqemu/cpu_time.h"
#include "dqemu/runtime.h"
#include "master/threads.h"

#define TICK_NS 4000000u
#define SECOND_NS UINT64_C(1000000000)

/*
 * Slaves inherit the limit from the shell, and their kernels count what they used before there was
 * a guest: a node must not be killed before the program is.
 */
#define HARD_MARGIN_NS (SECOND_NS / 5)

struct timer {
    enum dq_cpu_clock clock;
    uint32_t tid;
    uint64_t expires, interval; /* expires = 0: it does not run */
};

/* Guards the timers. A leaf. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct timer timers[DQ_CPU_TIMERS];

/* The loop's. */
static struct {
    const struct dq_cpu_timer_ops *ops;
    uint64_t processors;
    rlim_t inherited; /* hard limit */
    int fd;           /* timerfd: the next look */
    int under_way;    /* questions of a look that are not answered */
    bool again;       /* something has changed meanwhile */
    bool process;     /* somebody wants the clock of the process */
    struct dq_cpu_question all, thread[DQ_CPU_TIMERS];
    struct timer asked[DQ_CPU_TIMERS]; /* as they were when the look began */
} look = {.fd = -1};

/* ---------------------------------------------------------------- clocks */

/* As glibc and the kernel make the clock of a thread of this process: clock_getcpuclockid(3). */
static int ns_of_thread_here(uint32_t tid, int64_t carried, uint64_t *ns)
{
    struct timespec t;

    if (clock_gettime((clockid_t)(~tid << 3 | 6), &t)) {
        return -ESRCH;
    }
    *ns = (uint64_t)((int64_t)t.tv_sec * (int64_t)SECOND_NS + t.tv_nsec + carried);
    return 0;
}

bool dq_cpu_thread_elsewhere(uint32_t tid, bool parts, struct dq_cpu_time *t, int64_t *carried)
{
    int node;

    while ((node = dq_thread_clock(tid, carried))) {
        dq_cpu_time_elsewhere(tid, node, parts, t);
        if (t->ns) {
            return true;
        } /* it has ended, or is on its way to the master, who has been told by the time of the answer */
    }
    return false;
}

int dq_cpu_thread_now(uint32_t tid, uint64_t *now)
{
    struct dq_cpu_time t;
    int64_t carried;

    if (dq_cpu_thread_elsewhere(tid, false, &t, &carried)) {
        *now = t.ns;
        return 0;
    }
    return ns_of_thread_here(tid, carried, now);
}

int dq_cpu_timer_now(unsigned timer, uint64_t *now)
{
    struct dq_cpu_time here, others;
    const struct timer *t = &timers[timer];

    if (t->clock == DQ_CPU_THREAD) {
        return dq_cpu_thread_now(t->tid, now);
    }
    dq_cpu_time_elsewhere(0, -1, true, &others);
    dq_cpu_time_here(&here);
    *now = t->clock == DQ_CPU_USER ? (here.user_us + others.user_us) * 1000 : here.ns + others.ns;
    return 0;
}

/* ---------------------------------------------------------------- looking */

static void begin_look(void);

static void expire(unsigned i, uint64_t now)
{
    struct timer *t = &timers[i];
    uint64_t times = 0;

    pthread_mutex_lock(&lock);
    if (t->expires && t->expires <= now && t->clock == look.asked[i].clock &&
        t->tid == look.asked[i].tid) {
        times = 1 + (t->interval ? (now - t->expires) / t->interval : 0);
        t->expires = t->interval ? t->expires + times * t->interval : 0;
    }
    pthread_mutex_unlock(&lock);
    if (times) {
        look.ops->expired(i, times);
    }
}

static uint64_t ns_of(rlim_t seconds)
{
    return seconds > UINT64_MAX / SECOND_NS ? UINT64_MAX : seconds * SECOND_NS;
}

/* When the program is killed. */
static uint64_t end_of(const struct rlimit *limit)
{
    uint64_t end = ns_of(limit->rlim_max);

    return end != UINT64_MAX && limit->rlim_max == look.inherited ? end - MIN(end, HARD_MARGIN_NS)
                                                                  : end;
}

/*
 * As the kernel does: the soft limit's signal comes each second, and the limit goes up with it. Where
 * the kernel has seen first that this process has used as much, it has done so itself.
 */
static void check_limit(uint64_t now)
{
    struct rlimit limit, next;

    if (prlimit(0, RLIMIT_CPU, NULL, &limit)) {
        return;
    }
    if (now >= end_of(&limit)) {
        look.ops->exceeded(SIGKILL);
    } else if (now >= ns_of(limit.rlim_cur)) {
        next = limit;
        next.rlim_cur++;
        if (prlimit(0, RLIMIT_CPU, &next, &limit) == 0 && limit.rlim_cur < next.rlim_cur) {
            look.ops->exceeded(SIGXCPU);
        }
    }
}

/* The clock of all threads is as fast as all processors. */
uint64_t dq_cpu_wait(enum dq_cpu_clock clock, uint64_t left)
{
    return MAX(left / (clock == DQ_CPU_THREAD ? 1 : look.processors), TICK_NS);
}

/* UINT64_MAX: there is none. */
static uint64_t until_limit(uint64_t now)
{
    struct rlimit limit;
    uint64_t at;

    if (prlimit(0, RLIMIT_CPU, NULL, &limit) || limit.rlim_cur == RLIM_INFINITY) {
        return UINT64_MAX;
    }
    at = MIN(ns_of(limit.rlim_cur), end_of(&limit));
    return dq_cpu_wait(DQ_CPU_PROCESS, at > now ? at - now : 0);
}

static uint64_t until_timer(unsigned i, uint64_t now)
{
    const struct timer *t = &timers[i];
    uint64_t wait = UINT64_MAX;

    pthread_mutex_lock(&lock);
    if (t->expires && t->clock == DQ_CPU_THREAD && now == 0) {
        wait = TICK_NS; /* it was on its way to the master */
    } else if (t->expires) {
        wait = dq_cpu_wait(t->clock, t->expires > now ? t->expires - now : 0);
    }
    pthread_mutex_unlock(&lock);
    return wait;
}

/* What the clock of a timer showed. 0: nothing is known of it. */
static uint64_t shown(unsigned i, const struct dq_cpu_time *all)
{
    const struct timer *t = &look.asked[i];

    switch (t->clock) {
    case DQ_CPU_PROCESS:
        return all->ns;
    case DQ_CPU_USER:
        return all->user_us * 1000;
    case DQ_CPU_THREAD:
        return look.thread[i].sum.ns;
    }
    return 0;
}

static void end_look(void)
{
    struct dq_cpu_time all = {0};
    uint64_t wait = UINT64_MAX;

    if (look.process) {
        dq_cpu_time_here(&all);
        all.ns += look.all.sum.ns;
        all.user_us += look.all.sum.user_us;
    }
    for (unsigned i = 0; i < DQ_CPU_TIMERS; i++) {
        if (look.asked[i].expires) {
            expire(i, shown(i, &all));
            wait = MIN(wait, until_timer(i, shown(i, &all)));
        }
    }
    if (dq_cpu_time_has_begun() && look.process) {
        check_limit(all.ns);
        wait = MIN(wait, until_limit(all.ns));
    }
    if (look.again) {
        begin_look();
    } else if (wait != UINT64_MAX) {
        dq_node_set_timer(look.fd, dq_node_now() + wait);
    }
}

static void answered(struct dq_cpu_question *q)
{
    (void)q;
    if (--look.under_way == 0) {
        end_look();
    }
}

static void ask_for(struct dq_cpu_question *q, uint32_t tid, int node)
{
    q->tid = tid;
    q->answered = answered;
    dq_cpu_time_ask(q, node);
}

static void ask_for_thread(unsigned i)
{
    uint32_t tid = look.asked[i].tid;
    uint64_t ns = 0;
    int64_t carried;
    int node = dq_thread_clock(tid, &carried);

    if (node) {
        ask_for(&look.thread[i], tid, node);
    } else {
        if (ns_of_thread_here(tid, carried, &ns)) {
            look.asked[i].expires = 0; /* it has ended: its clock stands still */
        }
        look.thread[i].sum.ns = ns;
        answered(NULL);
    }
}

/* Before nodes share the program the kernel minds the limit. */
static bool has_limit(void)
{
    struct rlimit limit;

    return dq_cpu_time_has_begun() && prlimit(0, RLIMIT_CPU, NULL, &limit) == 0 &&
           limit.rlim_cur != RLIM_INFINITY;
}

static void begin_look(void)
{
    look.again = false;
    look.process = has_limit();
    pthread_mutex_lock(&lock);
    memcpy(look.asked, timers, sizeof(timers));
    pthread_mutex_unlock(&lock);

    look.under_way = 1; /* until all have been asked */
    for (unsigned i = 0; i < DQ_CPU_TIMERS; i++) {
        if (look.asked[i].expires && look.asked[i].clock == DQ_CPU_THREAD) {
            look.under_way++;
            ask_for_thread(i);
        } else if (look.asked[i].expires) {
            look.process = true;
        }
    }
    if (look.process) {
        look.under_way++;
        ask_for(&look.all, 0, -1);
    }
    answered(NULL);
}

static void on_timer(void)
{
    if (dq_node_timer_expired(look.fd) && look.under_way == 0) {
        begin_look();
    }
}

static void on_change(void *arg)
{
    (void)arg;
    if (look.under_way) {
        look.again = true;
    } else {
        begin_look();
    }
}

/* ---------------------------------------------------------------- timers */

static void watch_timer(void *arg)
{
    (void)arg;
    dq_node_watch(look.fd, on_timer);
}

int dq_cpu_timers_open(const struct dq_cpu_timer_ops *ops, int processors)
{
    struct rlimit limit = {.rlim_max = RLIM_INFINITY};

    prlimit(0, RLIMIT_CPU, NULL, &limit);
    look.inherited = limit.rlim_max;
    look.ops = ops;
    look.processors = (uint64_t)MAX(processors, 1);
    look.fd = dq_node_high_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (look.fd < 0) {
        return -errno;
    }
    dq_node_call(watch_timer, NULL);
    return 0;
}

void dq_cpu_timer_init(unsigned timer, enum dq_cpu_clock clock, uint32_t tid)
{
    pthread_mutex_lock(&lock);
    timers[timer] = (struct timer){.clock = clock, .tid = tid};
    pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static void get(const struct timer *t, uint64_t now, uint64_t *left, uint64_t *interval)
{
    *left = t->expires == 0 ? 0 : t->expires > now ? t->expires - now : 1;
    *interval = t->interval;
}

void dq_cpu_timer_set(unsigned timer, uint64_t now, uint64_t expires, uint64_t interval,
                      uint64_t *left, uint64_t *was)
{
    struct timer *t = &timers[timer];

    pthread_mutex_lock(&lock);
    get(t, now, left, was);
    t->expires = expires;
    t->interval = interval;
    pthread_mutex_unlock(&lock);
    if (expires) {
        dq_node_post(on_change, NULL);
    }
}

void dq_cpu_timer_get(unsigned timer, uint64_t now, uint64_t *left, uint64_t *interval)
{
    pthread_mutex_lock(&lock);
    get(&timers[timer], now, left, interval);
    pthread_mutex_unlock(&lock);
}

void dq_cpu_limit_changed(void)
{
    dq_node_post(on_change, NULL);
}

void dq_cpu_timers_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    memset(timers, 0, sizeof(timers));
    if (look.fd >= 0) {
        close(look.fd);
        look.fd = -1;
    }
}
