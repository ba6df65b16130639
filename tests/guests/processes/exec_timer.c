/*
 * An interval timer of processor time that runs goes on in the program that execve() puts in place of
 * this one, as that of a host's shell, which works until SIGPROF ends it. A call that fails changes nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 status=155 */
#include "guest.h"
#include <sys/time.h>

static char *const args[] = {"sh", "-c", "while :; do :; done", NULL};
static atomic_int signals;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGPROF && info->si_code == SI_KERNEL);
    atomic_fetch_add(&signals, 1);
}

static void *worker(void *arg)
{
    const struct itimerval often = {{.tv_usec = 20000}, {.tv_usec = 20000}};

    CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0);
    CHECK(execv("/nowhere", args) == -1 && errno == ENOENT);
    while (atomic_load(&signals) < 3) {
    }
    puts("exec_timer: still running");
    fflush(stdout);
    execv("/bin/sh", args);
    CHECK(false);
    return arg;
}

int main(void)
{
    guest_handler(SIGPROF, on_signal, SA_RESTART);
    guest_elsewhere(worker, NULL);
    return 0;
}
