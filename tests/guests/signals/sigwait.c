/*
 * Signals taken without handlers: sigwait by one thread for the process, by each for itself,
 * sigwaitinfo with its details, and sigtimedwait that runs out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 */
#include "guest.h"

enum { THREADS = 6, SIGNALS = 20 };

#define FINISH (SIGRTMIN + 3)

static sem_t taken;
static atomic_int by_process, by_thread;

static void *worker(void *arg)
{
    struct timespec ms20 = {.tv_nsec = 20000000};
    sigset_t set;
    siginfo_t info;
    int sig;

    sigemptyset(&set);
    sigaddset(&set, FINISH);
    int64_t start = guest_now_ns(CLOCK_MONOTONIC);
    CHECK(sigtimedwait(&set, &info, &ms20) == -1 && errno == EAGAIN);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - start >= 20000000);

    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    for (;;) {
        if ((intptr_t)arg % 2) {
            CHECK(sigwait(&set, &sig) == 0);
        } else {
            /* Linux says so when another thread was quicker to take a signal to the process. */
            do {
                sig = sigwaitinfo(&set, &info);
            } while (sig == -1 && errno == EINTR);
            CHECK(sig == info.si_signo && info.si_pid == getpid());
            /* The C library shows what tgkill sent as SI_USER, too. */
            CHECK(info.si_code == SI_USER);
        }
        if (sig == FINISH) {
            return NULL;
        }
        atomic_fetch_add(sig == SIGUSR1 ? &by_process : &by_thread, 1);
        CHECK(sem_post(&taken) == 0);
    }
}

int main(void)
{
    pthread_t threads[THREADS];
    sigset_t set;

    sigfillset(&set);
    CHECK(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
    CHECK(sem_init(&taken, 0, 0) == 0);
    guest_start(threads, THREADS, worker);
    for (int i = 0; i < SIGNALS; i++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        guest_sem_wait(&taken);
        CHECK(pthread_kill(threads[i % THREADS], SIGUSR2) == 0);
        guest_sem_wait(&taken);
    }
    for (int t = 0; t < THREADS; t++) {
        CHECK(pthread_kill(threads[t], FINISH) == 0);
    }
    guest_join(threads, THREADS);
    CHECK(by_process == SIGNALS && by_thread == SIGNALS);
    printf("sigwait: %d to the process, %d to threads\n", by_process, by_thread);
    return 0;
}
