/*
 * Memory of calls about signals and timers, across pages that another node's thread has written: what they
 * read and fill; what interrupted calls leave, and what they read when they are made again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=40 */
#include "guest.h"
#include <poll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { PAGES = 16, LENGTH = PAGES * GUEST_PAGE, ROUNDS = 3, PIECE = 16 };

#define SIG (SIGRTMIN + 4)
#define ALARM (SIGRTMIN + 5)

#include "across.h"

static OWN_PAGE pthread_t caller;
static OWN_PAGE char *to_write; /* what the handler of SIG changes */
static OWN_PAGE sem_t handled;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    CHECK(info->si_value.sival_int == 7);
    if (to_write) {
        memset(to_write, 'h', PIECE);
    }
    CHECK(sem_post(&handled) == 0);
}

static void queue_to(pthread_t thread)
{
    CHECK(pthread_sigqueue(thread, SIG, (union sigval){.sival_int = 7}) == 0);
}

static void wait_for_them(void)
{
    sigset_t *set = ACROSS(sigset_t), *pending = ACROSS(sigset_t);
    siginfo_t *info = ACROSS(siginfo_t);
    struct timespec *t = ACROSS(struct timespec);
    struct signalfd_siginfo *read_info = ACROSS(struct signalfd_siginfo);
    int fd;

    sigemptyset(set);
    sigaddset(set, SIG);
    memset(info, 'x', sizeof(*info));
    *t = (struct timespec){.tv_nsec = 1000};
    CHECK(sigtimedwait(set, info, t) == -1 && errno == EAGAIN && info->si_signo == 0x78787878);
    queue_to(pthread_self());
    memset(pending, 0, sizeof(*pending));
    CHECK(sigpending(pending) == 0 && sigismember(pending, SIG) && !sigismember(pending, SIGUSR1));
    CHECK(sigwaitinfo(set, info) == SIG && info->si_value.sival_int == 7);
    CHECK(info->si_signo == SIG && info->si_code == SI_QUEUE && info->si_pid == getpid());
    queue_to(pthread_self());
    CHECK(sigtimedwait(set, NULL, t) == SIG);
    fd = signalfd(-1, set, 0);
    queue_to(pthread_self());
    CHECK(fd >= 0 && read(fd, read_info, sizeof(*read_info)) == sizeof(*read_info));
    CHECK(read_info->ssi_signo == (uint32_t)SIG && read_info->ssi_int == 7 && close(fd) == 0);
}

/* Calls that a handler ends, which takes the signal in the call alone. */
static void interrupted(int in)
{
    sigset_t *mask = ACROSS(sigset_t);
    struct sigaction *sa = ACROSS(struct sigaction), *old = ACROSS(struct sigaction);
    struct pollfd *p = ACROSS(struct pollfd);
    struct timespec *t = ACROSS(struct timespec);
    fd_set *set = ACROSS(fd_set);

    memset(sa, 0, sizeof(*sa));
    sa->sa_sigaction = on_signal;
    sa->sa_flags = SA_SIGINFO;
    CHECK(sigaction(SIG, sa, NULL) == 0);
    CHECK(sigaction(SIG, NULL, old) == 0 && old->sa_sigaction == on_signal);
    sigfillset(mask);
    sigdelset(mask, SIG);
    queue_to(pthread_self());
    CHECK(sigsuspend(mask) == -1 && errno == EINTR);
    *p = (struct pollfd){.fd = in, .events = POLLIN, .revents = 77};
    *t = (struct timespec){.tv_sec = 100};
    queue_to(pthread_self());
    CHECK(ppoll(p, 1, t, mask) == -1 && errno == EINTR && p->revents == 77);
    FD_ZERO(set);
    FD_SET(in, set);
    queue_to(pthread_self());
    CHECK(pselect(in + 1, set, NULL, NULL, t, mask) == -1 && errno == EINTR && FD_ISSET(in, set));
    for (int i = 0; i < 3; i++) {
        guest_sem_wait(&handled);
    }
}

static OWN_PAGE atomic_bool slept;

static void on_interrupt(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
}

/* One that comes too early, before the thread sleeps, is followed by others. */
static void *interrupt_sleep(void *arg)
{
    struct timespec shortly = {.tv_nsec = 1000000};

    while (!atomic_load(&slept)) {
        CHECK(pthread_kill(caller, SIGUSR1) == 0);
        CHECK(nanosleep(&shortly, NULL) == 0);
    }
    return arg;
}

/* What is left is told. */
static void sleep_shorter(void)
{
    struct timespec *t = ACROSS(struct timespec), *left = ACROSS(struct timespec);
    sigset_t sig;
    pthread_t other;

    guest_handler(SIGUSR1, on_interrupt, SA_RESTART);
    sigemptyset(&sig);
    sigaddset(&sig, SIGUSR1);
    caller = pthread_self();
    atomic_store(&slept, false);
    *t = (struct timespec){.tv_sec = 100, .tv_nsec = 999};
    CHECK(pthread_create(&other, NULL, interrupt_sleep, NULL) == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &sig, NULL) == 0);
    CHECK(nanosleep(t, left) == -1 && errno == EINTR);
    CHECK(t->tv_sec == 100 && left->tv_sec >= 90 && left->tv_sec <= 100);
    atomic_store(&slept, true);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, &sig, NULL) == 0);
}

static int full[2];

/* Once the handler has run, in the call or before it, there is room. */
static void *make_room(void *arg)
{
    char some[GUEST_PAGE];

    queue_to(caller);
    guest_sem_wait(&handled);
    for (int left = (int)(intptr_t)arg; left > 0;) {
        ssize_t n = read(full[0], some, left < GUEST_PAGE ? left : GUEST_PAGE);

        CHECK(n > 0);
        left -= n;
    }
    return NULL;
}

/* A write that is made again writes what the handler has put there. */
static void write_again(void)
{
    char some[GUEST_PAGE] = {0}, *data = across(PIECE), got[PIECE];
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigset_t sig;
    pthread_t other;
    intptr_t length = 0;
    ssize_t n;

    CHECK(pipe2(full, O_NONBLOCK) == 0);
    while ((n = write(full[1], some, sizeof(some))) > 0) {
        length += n;
    }
    CHECK(fcntl(full[0], F_SETFL, 0) == 0 && fcntl(full[1], F_SETFL, 0) == 0);
    CHECK(sigaction(SIG, &sa, NULL) == 0);
    sigemptyset(&sig);
    sigaddset(&sig, SIG);
    caller = pthread_self();
    memset(data, 'b', PIECE);
    to_write = data;
    CHECK(pthread_create(&other, NULL, make_room, (void *)length) == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &sig, NULL) == 0);
    CHECK(write(full[1], data, PIECE) == PIECE);
    CHECK(pthread_sigmask(SIG_BLOCK, &sig, NULL) == 0);
    CHECK(pthread_join(other, NULL) == 0);
    to_write = NULL;
    CHECK(read(full[0], got, PIECE) == PIECE);
    for (int i = 0; i < PIECE; i++) {
        CHECK(got[i] == 'h');
    }
    CHECK(close(full[0]) == 0 && close(full[1]) == 0);
}

static void timers(void)
{
    struct sigevent *event = ACROSS(struct sigevent);
    timer_t *timer = ACROSS(timer_t);
    struct itimerspec *its = ACROSS(struct itimerspec), *old = ACROSS(struct itimerspec);
    struct itimerval *value = ACROSS(struct itimerval), *old_value = ACROSS(struct itimerval);
    sigset_t set;
    siginfo_t info;

    memset(event, 0, sizeof(*event));
    event->sigev_notify = SIGEV_SIGNAL;
    event->sigev_signo = ALARM;
    event->sigev_value.sival_int = 11;
    CHECK(timer_create(CLOCK_MONOTONIC, event, timer) == 0);
    *its = (struct itimerspec){.it_value.tv_sec = 1000};
    CHECK(timer_settime(*timer, 0, its, NULL) == 0);
    memset(old, 'x', sizeof(*old));
    its->it_value = (struct timespec){.tv_nsec = 1};
    CHECK(timer_settime(*timer, 0, its, old) == 0 && old->it_value.tv_sec >= 900);
    CHECK(old->it_interval.tv_nsec == 0);
    sigemptyset(&set);
    sigaddset(&set, ALARM);
    CHECK(sigwaitinfo(&set, &info) == ALARM && info.si_value.sival_int == 11);
    memset(its, 'x', sizeof(*its));
    CHECK(timer_gettime(*timer, its) == 0 && its->it_value.tv_sec == 0);
    CHECK(timer_delete(*timer) == 0);
    *value = (struct itimerval){.it_value.tv_sec = 1000};
    CHECK(setitimer(ITIMER_REAL, value, NULL) == 0);
    memset(value, 0, sizeof(*value));
    memset(old_value, 'x', sizeof(*old_value));
    CHECK(getitimer(ITIMER_REAL, old_value) == 0 && old_value->it_value.tv_sec >= 900);
    memset(old_value, 'x', sizeof(*old_value));
    CHECK(setitimer(ITIMER_REAL, value, old_value) == 0 && old_value->it_value.tv_sec >= 900);
}

static void *try_all(void *arg)
{
    int ends[2];

    CHECK(pipe(ends) == 0);
    wait_for_them();
    interrupted(ends[0]);
    sleep_shorter();
    write_again();
    timers();
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    return arg;
}

/* ---- two threads tell each other by signals alone */

static OWN_PAGE pthread_t pair[2];

static void *ping(void *arg)
{
    int me = (int)(intptr_t)arg;
    sigset_t set;
    siginfo_t info;

    sigemptyset(&set);
    sigaddset(&set, SIG);
    for (int i = 0; i < 100; i++) {
        if (me) {
            CHECK(sigwaitinfo(&set, &info) == SIG && info.si_value.sival_int == 7);
        }
        queue_to(pair[!me]);
        if (!me) {
            CHECK(sigwaitinfo(&set, &info) == SIG && info.si_code == SI_QUEUE);
        }
    }
    return arg;
}

int main(void)
{
    sigset_t all;

    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    CHECK(sem_init(&handled, 0, 0) == 0);
    area = guest_map(LENGTH, PROT_READ | PROT_WRITE);
    for (int i = 0; i < ROUNDS; i++) {
        write_area(NULL);
        guest_elsewhere(try_all, NULL);
        guest_elsewhere(write_area, NULL);
        try_all(NULL);
    }
    guest_start(pair, 2, ping);
    guest_join(pair, 2);
    puts("all calls found their memory");
    return 0;
}
