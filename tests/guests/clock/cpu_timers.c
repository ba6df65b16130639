/*
 * Timers of processor time count what threads use on all nodes: interval timers and POSIX timers, of
 * the process, of the own and of another thread. Their signals come while only remote threads work, with
 * the right origin; what is left of them falls, overruns are counted, stopped and deleted ones are quiet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"
#include <sys/time.h>

enum { WORKERS = 3 };
#define MS INT64_C(1000000)

static atomic_bool finished;
static atomic_int virtuals, profs, of_process, of_thread, of_other;
static sem_t shown;
static clockid_t clocks[WORKERS];

static void on_virtual(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGVTALRM && info->si_code == SI_KERNEL);
    atomic_fetch_add(&virtuals, 1);
}

static void on_prof(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGPROF && info->si_code == SI_KERNEL);
    atomic_fetch_add(&profs, 1);
}

static void on_posix(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    CHECK(info->si_code == SI_TIMER && info->si_overrun >= 0);
    atomic_fetch_add((atomic_int *)info->si_value.sival_ptr, 1);
}

static timer_t start(clockid_t clock, atomic_int *count, int64_t first, int64_t interval)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL,
        .sigev_signo = SIGUSR1,
        .sigev_value = {.sival_ptr = count},
    };
    struct itimerspec spec = {{.tv_nsec = interval}, {.tv_nsec = first}};
    timer_t timer;

    CHECK(timer_create(clock, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    CHECK(timer_gettime(timer, &spec) == 0);
    CHECK(spec.it_interval.tv_nsec == interval && spec.it_interval.tv_sec == 0);
    return timer;
}

/* Works until a timer has sent so many more signals. */
static void work_for(atomic_int *count, int more)
{
    int until = atomic_load(count) + more;

    while (atomic_load(count) < until) {
    }
}

static void use_interval_timer(int which, atomic_int *count)
{
    const struct itimerval often = {{.tv_usec = 20000}, {.tv_usec = 50000}}, none = {0};
    struct itimerval old;
    int64_t start = guest_now_ns(CLOCK_PROCESS_CPUTIME_ID);

    CHECK(setitimer(which, &often, NULL) == 0);
    CHECK(getitimer(which, &old) == 0);
    CHECK(old.it_interval.tv_usec == 20000 && old.it_value.tv_usec <= 60000);
    work_for(count, 3);
    CHECK(guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) - start >= 40 * MS); /* it counts ticks */
    CHECK(setitimer(which, &none, &old) == 0);
    CHECK(old.it_interval.tv_usec == 20000 && old.it_value.tv_sec == 0);
    CHECK(getitimer(which, &old) == 0 && old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
    CHECK(setitimer(which, &(struct itimerval){.it_value.tv_usec = 1000000}, NULL) == -1);
    CHECK(errno == EINVAL);
}

static void use_own_clock(void)
{
    timer_t timer = start(CLOCK_THREAD_CPUTIME_ID, &of_thread, 30 * MS, 30 * MS);
    int64_t before = guest_now_ns(CLOCK_THREAD_CPUTIME_ID);

    work_for(&of_thread, 2);
    CHECK(guest_now_ns(CLOCK_THREAD_CPUTIME_ID) - before >= 20 * MS);
    CHECK(timer_delete(timer) == 0);
    CHECK(timer_settime(timer, 0, &(struct itimerspec){0}, NULL) == -1 && errno == EINVAL);
}

static void *worker(void *arg)
{
    intptr_t n = (intptr_t)arg;

    CHECK(pthread_getcpuclockid(pthread_self(), &clocks[n]) == 0);
    CHECK(sem_post(&shown) == 0);
    if (n == 0) {
        use_interval_timer(ITIMER_PROF, &profs);
        use_interval_timer(ITIMER_VIRTUAL, &virtuals);
    } else if (n == 1) {
        use_own_clock();
    }
    while (!atomic_load(&finished)) {
    }
    return arg;
}

/* Blocked for a while, all that has expired meanwhile is one signal. */
static void count_overruns(void)
{
    timer_t timer;
    sigset_t set;
    siginfo_t info;
    int64_t start_ns;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec spec = {{.tv_nsec = 5 * MS}, {.tv_nsec = 5 * MS}}, left;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0);
    start_ns = guest_now_ns(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    while (guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns < 200 * MS) {
    }
    CHECK(sigwaitinfo(&set, &info) == SIGUSR2);
    CHECK(info.si_code == SI_TIMER);
    CHECK(timer_getoverrun(timer) >= 10);
    CHECK(timer_settime(timer, 0, &(struct itimerspec){0}, &left) == 0);
    CHECK(left.it_interval.tv_nsec == 5 * MS);
    CHECK(timer_gettime(timer, &left) == 0 && left.it_value.tv_nsec == 0);
    CHECK(timer_delete(timer) == 0);
}

int main(void)
{
    pthread_t threads[WORKERS];
    timer_t process, other;
    sigset_t set;

    guest_handler(SIGVTALRM, on_virtual, SA_RESTART);
    guest_handler(SIGPROF, on_prof, SA_RESTART);
    guest_handler(SIGUSR1, on_posix, SA_RESTART);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(sem_init(&shown, 0, 0) == 0);
    process = start(CLOCK_PROCESS_CPUTIME_ID, &of_process, 50 * MS, 50 * MS);
    guest_start(threads, WORKERS, worker);
    for (int i = 0; i < WORKERS; i++) {
        guest_sem_wait(&shown);
    }
    other = start(clocks[2], &of_other, 50 * MS, 0);
    while (!atomic_load(&profs) || !atomic_load(&virtuals) || !atomic_load(&of_process) ||
           !atomic_load(&of_other) || !atomic_load(&of_thread)) {
        usleep(10000);
    }
    CHECK(atomic_load(&of_other) == 1);
    CHECK(timer_delete(process) == 0 && timer_delete(other) == 0);
    count_overruns();
    atomic_store(&finished, true);
    guest_join(threads, WORKERS);
    printf("cpu_timers: interval, process, own thread, another thread\n");
    return 0;
}
