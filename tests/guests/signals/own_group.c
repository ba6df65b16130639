/*
 * A signal that the program sends to its own process group, from any thread: its handler runs once,
 * its child gets it, and the program goes on. (All others of the group ignore these signals.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

static const int signals[] = {SIGWINCH, SIGURG, SIGCONT};

enum { SIGNALS = sizeof(signals) / sizeof(*signals), THREADS = 4 };

static atomic_int handled[65], by_self;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    handled[sig]++;
    by_self += info->si_pid == getpid() && info->si_code == SI_USER;
}

/* It ends with 3 when it has had each of them; it may be slow: what waits for it has no order. */
static pid_t start_child(void)
{
    sigset_t set;
    pid_t child;

    sigemptyset(&set);
    for (int i = 0; i < SIGNALS; i++) {
        sigaddset(&set, signals[i]);
    }
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    child = fork();
    CHECK(child >= 0);
    for (int i = 0; child == 0 && i < SIGNALS; i++) {
        siginfo_t info;
        sigset_t one;

        sigemptyset(&one);
        sigaddset(&one, signals[i]);
        CHECK(sigwaitinfo(&one, &info) == signals[i] && info.si_pid == getppid());
    }
    if (child == 0) {
        _exit(3);
    }
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    return child;
}

static void *work(void *arg)
{
    int me = (int)(intptr_t)arg, status;

    if (me != THREADS - 1) {
        return arg;
    }
    pid_t child = start_child();
    for (int i = 0; i < SIGNALS; i++) {
        CHECK(kill(0, signals[i]) == 0);
        while (!handled[signals[i]]) {
            sched_yield();
        }
        usleep(100000); /* for one that should not come */
        CHECK(handled[signals[i]] == 1);
        handled[signals[i]] = 0;
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
    return arg;
}

int main(void)
{
    for (int i = 0; i < SIGNALS; i++) {
        guest_handler(signals[i], on_signal, SA_RESTART);
    }
    guest_run(THREADS, work);
    guest_run(THREADS, work);
    CHECK(by_self == 2 * SIGNALS);
    puts("own_group: each once");
}
