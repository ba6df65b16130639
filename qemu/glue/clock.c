/*
 * Time as the guest sees it: system calls, counter registers, and sleeping until a time.
 *
 * A processor's own counter differs between machines, in rate as well. So with several nodes the
 * guest's counters are CLOCK_MONOTONIC, which the nodes agree about (dqemu/clocks.h), on all nodes
 * and from the program's start on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include "qemu/timer.h"
#include "system/cpu-timers.h"
#include "dqemu/clocks.h"
#include "dqemu/cpu_time.h"
#include "master/cpu_timers.h"
#include "self.h"
#include "clock.h"

/* Counters count nanoseconds. Set once, before the guest runs, and kept in forked children. */
static bool shared_counter;

/* Who sleeps until a time by the realtime clock of another machine; guarded by `lock`, a leaf. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static QLIST_HEAD(, dq_sleeper) sleepers = QLIST_HEAD_INITIALIZER(sleepers);

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* ---------------------------------------------------------------- processor time */

bool dq_is_cpu_clock(clockid_t clock, uint32_t *tid)
{
    const unsigned kind = clock & 7, process = 2, thread = 6;
    int id = ~(clock >> 3);

    *tid = 0;
    if (clock == CLOCK_PROCESS_CPUTIME_ID) {
        return true;
    }
    if (clock == CLOCK_THREAD_CPUTIME_ID || (clock < 0 && kind == thread)) {
        *tid = clock < 0 && id ? id : get_task_state(thread_cpu)->ts_tid;
        return true;
    }
    return clock < 0 && kind == process &&
           (id == 0 || id == (dq_on_slave() ? dq_slave_pid : getpid()));
}

static int64_t ns_of(const struct timespec *t)
{
    return t->tv_sec * 1000000000 + t->tv_nsec;
}

static void add_us(struct timeval *t, uint64_t us)
{
    us += t->tv_usec;
    t->tv_sec += us / 1000000;
    t->tv_usec = us % 1000000;
}

/*
 * Of the whole program, anywhere; of threads, on the master, which knows where each one is. A slave
 * has only those that it runs.
 */
static int read_cpu_clock(clockid_t clock, uint32_t tid, struct timespec *t)
{
    uint64_t ns;
    int ret = 0;

    if (tid == 0) {
        ns = dq_cpu_time_process();
    } else if (dq_on_slave()) {
        ret = clock_gettime(CLOCK_THREAD_CPUTIME_ID, t);
        ns = ns_of(t) + dq_this_thread()->remote.before_ns;
    } else if (clock_gettime(clock, t)) {
        return -1; /* there is none */
    } else if (dq_cpu_thread_now(tid, &ns)) {
        errno = EINVAL;
        return -1;
    }
    *t = timespec_of(ns);
    return ret;
}

/* What the kernel cannot know of a thread that is, or was, elsewhere is added as time of the program. */
static void see_thread(struct rusage *r)
{
    uint64_t ns, us = (r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000ull + r->ru_utime.tv_usec +
                      r->ru_stime.tv_usec;

    if (dq_cpu_thread_now(get_task_state(thread_cpu)->ts_tid, &ns) == 0 && ns / 1000 > us) {
        add_us(&r->ru_utime, ns / 1000 - us);
    }
}

/* Other nodes use some, or have for a program that execve() replaced. */
static bool kernel_lacks_time(void)
{
    return dq_config.nodes > 1 || dq_cpu_time_has_before();
}

int dq_getrusage(int who, struct rusage *r)
{
    int ret = getrusage(who, r);

    if (ret == 0 && who == RUSAGE_SELF && !dq_on_slave()) {
        struct dq_cpu_time more;

        dq_cpu_time_elsewhere(0, -1, true, &more);
        add_us(&r->ru_utime, more.user_us);
        add_us(&r->ru_stime, more.system_us);
        dq_account_peak(&r->ru_maxrss);
    } else if (ret == 0 && who == RUSAGE_THREAD && dq_on_slave()) {
        add_us(&r->ru_utime, dq_this_thread()->remote.before_ns / 1000);
    } else if (ret == 0 && who == RUSAGE_THREAD && dq_config.nodes > 1) {
        see_thread(r);
    }
    return ret;
}

clock_t dq_times(struct tms *t)
{
    clock_t ret = times(t);

    if (kernel_lacks_time()) {
        uint64_t us_a_tick = 1000000 / sysconf(_SC_CLK_TCK);
        struct dq_cpu_time more;

        dq_cpu_time_elsewhere(0, -1, true, &more);
        t->tms_utime += more.user_us / us_a_tick;
        t->tms_stime += more.system_us / us_a_tick;
    }
    return ret;
}

/* ---------------------------------------------------------------- clocks */

int dq_clock_gettime(clockid_t clock, struct timespec *t)
{
    uint32_t tid;
    int64_t ns;

    if (dq_clocks_read(clock, &ns)) {
        *t = timespec_of(ns);
        return 0;
    }
    if (kernel_lacks_time() && dq_is_cpu_clock(clock, &tid)) {
        return read_cpu_clock(clock, tid, t);
    }
    return clock_gettime(clock, t);
}

int dq_gettimeofday(struct timeval *t, struct timezone *zone)
{
    int ret = gettimeofday(t, zone);
    int64_t ns;

    if (ret == 0 && dq_clocks_read(CLOCK_REALTIME, &ns)) {
        t->tv_sec = ns / 1000000000;
        t->tv_usec = ns % 1000000000 / 1000;
    }
    return ret;
}

time_t dq_time(time_t *t)
{
    int64_t ns;

    *t = dq_clocks_read(CLOCK_REALTIME, &ns) ? ns / 1000000000 : time(NULL);
    return *t;
}

/* ---------------------------------------------------------------- counters */

static int64_t monotonic(void)
{
    struct timespec t;

    dq_clock_gettime(CLOCK_MONOTONIC, &t);
    return ns_of(&t);
}

int64_t dq_clock_ticks(void)
{
    return shared_counter ? monotonic() : (cpu_get_host_ticks)();
}

/* In place of the one that QEMU has for emulators of programs. */
int64_t cpu_get_clock(void)
{
    return shared_counter ? monotonic() : get_clock_realtime();
}

/* ---------------------------------------------------------------- sleeping */

/*
 * A 512th is more than clocks differ: who sleeps long by this machine's clock stops short of the
 * time by so much, and looks how much is left. On the last leg the difference is nothing.
 */
#define MOST_DIFFERENCE 512
#define LAST_LEG_NS 20000000

/* The word of a sleeper who is to look at the time again. (0: it sleeps; 1: it has been woken.) */
#define LOOK_AGAIN 2

/* On the loop. */
static void wake_sleepers(void)
{
    struct dq_sleeper *s;

    pthread_mutex_lock(&lock);
    QLIST_FOREACH(s, &sleepers, link)
    {
        if (qatomic_cmpxchg(s->word, 0, LOOK_AGAIN) == 0) {
            syscall(SYS_futex, s->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
}

void dq_clock_open(void)
{
    shared_counter = true;
    dq_clocks_on_set(wake_sleepers);
}

void dq_clock_in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    QLIST_INIT(&sleepers);
}

/* From now on the sleeper hears if the realtime clock is set. */
static void list_sleeper(struct dq_sleeper *s, uint32_t *word)
{
    pthread_mutex_lock(&lock);
    s->word = word;
    QLIST_INSERT_HEAD(&sleepers, s, link);
    pthread_mutex_unlock(&lock);
}

bool dq_clock_sleep_begin(struct dq_sleeper *s, uint32_t *word, bool realtime,
                          const struct timespec *at, struct timespec *until)
{
    int64_t now, left;

    *s = (struct dq_sleeper){.followed = dq_on_slave() && dq_clocks_differ()};
    *until = *at;
    if (!s->followed) {
        return true;
    }
    if (realtime) {
        list_sleeper(s, word);
    }
    dq_clocks_read(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    left = MIN(at->tv_sec, INT64_MAX / 2000000000) * 1000000000 + at->tv_nsec - now;
    if (left <= 0) {
        dq_clock_sleep_end(s);
        return false;
    }
    if (left > LAST_LEG_NS) {
        left -= left / MOST_DIFFERENCE;
    }
    *until = timespec_of(dq_node_now() + left);
    return true;
}

void dq_clock_sleep_end(struct dq_sleeper *s)
{
    if (s->word) {
        pthread_mutex_lock(&lock);
        QLIST_REMOVE(s, link);
        pthread_mutex_unlock(&lock);
        qatomic_cmpxchg(s->word, LOOK_AGAIN, 0);
    }
}
