/*
 * Signals read from a signalfd, by whichever thread reads: those of the process, and those of the
 * reading thread itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <sys/signalfd.h>

#include "guest.h"

enum { THREADS = 4, SIGNALS = 10 };

static int fd;
static sem_t taken;

static void *worker(void *arg)
{
    struct signalfd_siginfo info;

    /* Sent to this thread, so no other can read it. */
    CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0);
    do {
        CHECK(read(fd, &info, sizeof(info)) == sizeof(info));
        CHECK(info.ssi_pid == (uint32_t)getpid());
        if (info.ssi_signo == SIGUSR1) {
            CHECK(sem_post(&taken) == 0);
        }
    } while (info.ssi_signo != SIGUSR2);
    for (;;) {
        CHECK(read(fd, &info, sizeof(info)) == sizeof(info));
        if (info.ssi_signo == SIGTERM) {
            return arg;
        }
        CHECK(info.ssi_signo == SIGUSR1 && info.ssi_code == SI_USER);
        CHECK(sem_post(&taken) == 0);
    }
}

int main(void)
{
    pthread_t threads[THREADS];
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGTERM);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    CHECK(fd >= 0 && sem_init(&taken, 0, 0) == 0);
    guest_start(threads, THREADS, worker);
    for (int i = 0; i < SIGNALS; i++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        guest_sem_wait(&taken);
    }
    for (int t = 0; t < THREADS; t++) {
        CHECK(pthread_kill(threads[t], SIGTERM) == 0);
    }
    guest_join(threads, THREADS);
    printf("signalfd: %d signals\n", SIGNALS);
    return 0;
}
