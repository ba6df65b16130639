/*
 * clock_nanosleep() by clocks of processor time: of the process, while only threads elsewhere work, and of
 * one of those; for a time and until one, from any thread. Signals end it, and the rest is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"

enum { WORKERS = 3 };
#define MS INT64_C(1000000)

static atomic_bool finished;
static atomic_int signals;
static clockid_t clocks[WORKERS];
static pthread_barrier_t barrier;

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* The raw call: libraries add rules of their own. */
static int nap(clockid_t clock, int flags, int64_t ns, struct timespec *left)
{
    struct timespec t = timespec_of(ns);

    return syscall(SYS_clock_nanosleep, clock, flags, &t, left) ? errno : 0;
}

static void sleep_by(clockid_t clock)
{
    int64_t before = guest_now_ns(clock), real = guest_now_ns(CLOCK_MONOTONIC);

    CHECK(nap(clock, 0, 100 * MS, NULL) == 0);
    CHECK(guest_now_ns(clock) - before >= 100 * MS);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - real < 20000 * MS);
    before = guest_now_ns(clock);
    CHECK(nap(clock, TIMER_ABSTIME, before + 100 * MS, NULL) == 0);
    CHECK(guest_now_ns(clock) - before >= 100 * MS);
    CHECK(nap(clock, TIMER_ABSTIME, before, NULL) == 0);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    atomic_fetch_add(&signals, 1);
}

/* By a timer that sends its signals again and again: one of them ends the sleep. */
static void interrupted(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{.tv_nsec = 50 * MS}, {.tv_nsec = 50 * MS}};
    struct timespec left = {0};
    timer_t timer;

    event._sigev_un._tid = gettid();
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &often, NULL) == 0);
    CHECK(nap(CLOCK_PROCESS_CPUTIME_ID, 0, 1000000 * MS, &left) == EINTR);
    CHECK(left.tv_sec > 900 && left.tv_sec < 1000);
    CHECK(nap(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, 1000000 * MS, NULL) == EINTR);
    CHECK(timer_delete(timer) == 0 && atomic_load(&signals) > 0);
}

static void wrong(void)
{
    clockid_t own;

    CHECK(pthread_getcpuclockid(pthread_self(), &own) == 0);
    CHECK(nap(own, 0, MS, NULL) == EINVAL);
    CHECK(nap(CLOCK_PROCESS_CPUTIME_ID, 0, -1, NULL) == EINVAL);
}

static void *sleep_by_all(void *arg)
{
    sleep_by(CLOCK_PROCESS_CPUTIME_ID);
    sleep_by(clocks[1]);
    interrupted();
    wrong();
    return arg;
}

static void *run(void *arg)
{
    intptr_t i = (intptr_t)arg;

    CHECK(pthread_getcpuclockid(pthread_self(), &clocks[i]) == 0);
    pthread_barrier_wait(&barrier);
    if (i == 0) { /* the others work for it */
        sleep_by_all(NULL);
        atomic_store(&finished, true);
    }
    while (!atomic_load(&finished)) {
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[WORKERS];

    guest_handler(SIGUSR1, on_signal, 0);
    CHECK(pthread_barrier_init(&barrier, NULL, WORKERS + 1) == 0);
    guest_start(threads, WORKERS, run);
    pthread_barrier_wait(&barrier);
    sleep_by_all(NULL);
    guest_join(threads, WORKERS);
    puts("cpu_sleep: as long as was worked");
}
