/*
 * Real-time signals queue with their values, arrive in order, lower numbers first, also across
 * threads and for a thread that has them blocked for a while.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4, VALUES = 16 };

static __thread volatile int last_number, last_value, count;
static sem_t blocked, sent;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    int value = info->si_value.sival_int;

    (void)context;
    CHECK(info->si_code == SI_QUEUE && info->si_pid == getpid());
    /* One at a time (all are in the mask), so the kernel's order is ours. */
    CHECK(sig > last_number || (sig == last_number && value == last_value + 1));
    if (sig > last_number) {
        CHECK(value == 0);
    }
    last_number = sig;
    last_value = value;
    count++;
}

static void *worker(void *arg)
{
    sigset_t set;

    sigfillset(&set);
    CHECK(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
    CHECK(sem_post(&blocked) == 0);
    guest_sem_wait(&sent);
    CHECK(count == 0);
    sigemptyset(&set);
    CHECK(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
    CHECK(count == 2 * VALUES && last_value == VALUES - 1);
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    sigfillset(&sa.sa_mask);
    CHECK(sigaction(SIGRTMIN + 2, &sa, NULL) == 0);
    CHECK(sigaction(SIGRTMIN + 5, &sa, NULL) == 0);
    CHECK(sem_init(&blocked, 0, 0) == 0 && sem_init(&sent, 0, 0) == 0);
    guest_start(threads, THREADS, worker);
    for (int t = 0; t < THREADS; t++) {
        guest_sem_wait(&blocked);
    }
    for (int v = 0; v < VALUES; v++) {
        for (int t = 0; t < THREADS; t++) {
            union sigval value = {.sival_int = v};
            CHECK(pthread_sigqueue(threads[t], SIGRTMIN + 5, value) == 0);
            CHECK(pthread_sigqueue(threads[t], SIGRTMIN + 2, value) == 0);
        }
    }
    for (int t = 0; t < THREADS; t++) {
        CHECK(sem_post(&sent) == 0);
    }
    guest_join(threads, THREADS);
    printf("sigqueue: %d values to each of %d threads\n", 2 * VALUES, THREADS);
    return 0;
}
