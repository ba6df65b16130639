/*
 * Timers that signal: alarm, setitimer (single and periodic), and POSIX timers, set by remote
 * threads, handled in whichever thread lets the signal through.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <sys/time.h>

#include "guest.h"

static sem_t ticks, posix_ticks;

static void on_alarm(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    CHECK(sig == SIGALRM);
    CHECK(sem_post(&ticks) == 0);
}

static void on_posix(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGUSR1 && info->si_code == SI_TIMER && info->si_value.sival_int == 4711);
    CHECK(sem_post(&posix_ticks) == 0);
}

static void *use_itimers(void *arg)
{
    struct itimerval once = {.it_value = {.tv_usec = 20000}}, old;
    int64_t start = guest_now_ns(CLOCK_MONOTONIC);

    CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
    guest_sem_wait(&ticks);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - start >= 20000000);

    struct itimerval often = {{.tv_usec = 50000}, {.tv_usec = 50000}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        guest_sem_wait(&ticks);
    }
    CHECK(setitimer(ITIMER_REAL, &(struct itimerval){0}, &old) == 0);
    CHECK(old.it_interval.tv_usec == 50000);

    CHECK(alarm(3600) == 0);
    CHECK(alarm(0) > 3500);
    return arg;
}

static void *use_posix_timers(void *arg)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL,
        .sigev_signo = SIGUSR1,
        .sigev_value = {.sival_int = 4711},
    };
    struct itimerspec spec = {{.tv_nsec = 50000000}, {.tv_nsec = 50000000}};
    timer_t timer;

    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        guest_sem_wait(&posix_ticks);
    }
    CHECK(timer_gettime(timer, &spec) == 0 && spec.it_interval.tv_nsec == 50000000);
    CHECK(timer_delete(timer) == 0);
    return arg;
}

int main(void)
{
    pthread_t threads[4];

    guest_handler(SIGALRM, on_alarm, 0);
    guest_handler(SIGUSR1, on_posix, 0);
    CHECK(sem_init(&ticks, 0, 0) == 0 && sem_init(&posix_ticks, 0, 0) == 0);
    CHECK(pthread_create(&threads[0], NULL, use_itimers, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, use_posix_timers, NULL) == 0);
    CHECK(pthread_create(&threads[2], NULL, use_posix_timers, NULL) == 0);
    guest_join(threads, 3);
    use_posix_timers(NULL);
    puts("itimers: single, periodic, alarm and POSIX");
    return 0;
}
