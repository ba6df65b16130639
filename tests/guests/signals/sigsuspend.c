/*
 * sigsuspend, ppoll and pselect let a blocked signal in for just as long as they wait: a signal
 * that is pending already ends them at once, none is lost between, and the mask is back afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <poll.h>
#include <sys/select.h>

#include "guest.h"

enum { THREADS = 4, ROUNDS = 30 };

static __thread volatile int count;
static sem_t answered;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    count++;
}

static void *worker(void *arg)
{
    sigset_t let_in, now;

    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &let_in) == 0);
    CHECK(sigismember(&let_in, SIGUSR1));
    sigdelset(&let_in, SIGUSR1);
    for (int i = 1; i <= ROUNDS; i++) {
        switch (i % 3) {
        case 0:
            CHECK(sigsuspend(&let_in) == -1 && errno == EINTR);
            break;
        case 1:
            CHECK(ppoll(NULL, 0, NULL, &let_in) == -1 && errno == EINTR);
            break;
        case 2:
            CHECK(pselect(0, NULL, NULL, NULL, NULL, &let_in) == -1 && errno == EINTR);
            break;
        }
        CHECK(count == i);
        CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGUSR1));
        CHECK(sem_post(&answered) == 0);
    }
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    sigset_t set;

    guest_handler(SIGUSR1, on_signal, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(sem_init(&answered, 0, 0) == 0);
    guest_start(threads, THREADS, worker);
    for (int i = 0; i < ROUNDS; i++) {
        for (int t = 0; t < THREADS; t++) {
            CHECK(pthread_kill(threads[t], SIGUSR1) == 0);
        }
        for (int t = 0; t < THREADS; t++) {
            guest_sem_wait(&answered);
        }
    }
    guest_join(threads, THREADS);
    printf("sigsuspend: %d signals to each of %d threads\n", ROUNDS, THREADS);
    return 0;
}
