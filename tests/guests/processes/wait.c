/*
 * Waiting for children, which belong to the process: any thread waits for those of any other, by
 * pid, by group, without blocking, keeping them waitable; SIGCHLD comes for each; stopped and
 * continued children are reported.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, CHILDREN = 3 };

static pid_t made[THREADS][CHILDREN];
static pthread_barrier_t gate;
static atomic_int notices;

static void on_child(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGCHLD && info->si_pid > 0);
    CHECK(info->si_code == CLD_EXITED || info->si_code == CLD_KILLED ||
          info->si_code == CLD_STOPPED || info->si_code == CLD_CONTINUED);
    atomic_fetch_add(&notices, 1);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg, other = (me + 1) % THREADS, status;
    siginfo_t info;

    for (int c = 0; c < CHILDREN; c++) {
        made[me][c] = fork();
        CHECK(made[me][c] >= 0);
        if (made[me][c] == 0) {
            _exit(me * 10 + c);
        }
    }
    pthread_barrier_wait(&gate);
    /* My neighbour's children: one looked at first and then taken, one by waitpid, one by wait4. */
    info.si_pid = 0;
    CHECK(waitid(P_PID, made[other][0], &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == made[other][0] && info.si_code == CLD_EXITED);
    CHECK(info.si_status == other * 10);
    CHECK(waitid(P_PID, made[other][0], &info, WEXITED) == 0 && info.si_status == other * 10);
    for (int c = 1; c < CHILDREN; c++) {
        CHECK(waitpid(made[other][c], &status, 0) == made[other][c]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == other * 10 + c);
    }
    pthread_barrier_wait(&gate);
    CHECK(waitpid(made[me][0], &status, WNOHANG) == -1 && errno == ECHILD);

    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return NULL;
}

int main(void)
{
    guest_handler(SIGCHLD, on_child, SA_RESTART);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    CHECK(notices > 0);
    printf("wait: %d children\n", THREADS * (CHILDREN + 1));
    return 0;
}
