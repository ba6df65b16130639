/*
 * A child with its own session, signals between parent and child, and pipes in both directions:
 * the pattern of a shell and its job, run by a remote thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=20 */
#include "guest.h"

static volatile sig_atomic_t told;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    told = sig;
}

static void child(int in, int out)
{
    sigset_t none;
    char line[32];

    CHECK(setsid() == getpid());
    guest_handler(SIGUSR1, on_signal, 0);
    CHECK(write(out, "ready", 5) == 5);
    sigemptyset(&none);
    CHECK(sigsuspend(&none) == -1 && errno == EINTR && told == SIGUSR1);
    CHECK(kill(getppid(), SIGUSR2) == 0);
    ssize_t n = read(in, line, sizeof(line));
    CHECK(n == 6 && write(out, line, n) == n);
    CHECK(read(in, line, sizeof(line)) == 0);
    _exit(17);
}

static void *job(void *arg)
{
    int to[2], from[2], status;
    char line[32];
    sigset_t wait_for;
    siginfo_t info;

    CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(close(to[1]) == 0 && close(from[0]) == 0);
        child(to[0], from[1]);
    }
    CHECK(close(to[0]) == 0 && close(from[1]) == 0);
    CHECK(read(from[0], line, sizeof(line)) == 5);
    CHECK(kill(pid, SIGUSR1) == 0);
    sigemptyset(&wait_for);
    sigaddset(&wait_for, SIGUSR2);
    CHECK(sigwaitinfo(&wait_for, &info) == SIGUSR2 && info.si_pid == pid);
    CHECK(write(to[1], "hello\n", 6) == 6);
    CHECK(read(from[0], line, sizeof(line)) == 6 && memcmp(line, "hello\n", 6) == 0);
    CHECK(close(to[1]) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 17);
    return arg;
}

int main(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    guest_elsewhere(job, NULL);
    puts("daemon_child: told, asked and ended");
    return 0;
}
