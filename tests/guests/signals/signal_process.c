/*
 * A signal to the process is handled once, by a thread that does not block it: each thread in
 * turn is the only one that lets it through, then all do, then the main thread alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 */
#include "guest.h"

enum { THREADS = 6, MANY = 20 };

static sem_t ready, handled, next;
static sem_t turn[THREADS];
static atomic_int count;
static volatile pid_t handler_tid, only;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGUSR1 && info->si_code == SI_USER && info->si_pid == getpid());
    CHECK(info->si_uid == getuid());
    handler_tid = gettid();
    CHECK(only == 0 || only == handler_tid);
    atomic_fetch_add(&count, 1);
    CHECK(sem_post(&handled) == 0);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    guest_sem_wait(&turn[me]);
    only = gettid();
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(sem_post(&ready) == 0);
    guest_sem_wait(&turn[me]);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(sem_post(&ready) == 0);

    /* All at once. */
    guest_sem_wait(&turn[me]);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(sem_post(&ready) == 0);
    guest_sem_wait(&next);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    sigset_t set;

    guest_handler(SIGUSR1, on_signal, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(sem_init(&ready, 0, 0) == 0 && sem_init(&handled, 0, 0) == 0);
    CHECK(sem_init(&next, 0, 0) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(sem_init(&turn[i], 0, 0) == 0);
    }
    guest_start(threads, THREADS, worker);

    for (int i = 0; i < THREADS; i++) {
        CHECK(sem_post(&turn[i]) == 0);
        guest_sem_wait(&ready);
        for (int k = 1; k <= 3; k++) {
            CHECK(kill(getpid(), SIGUSR1) == 0);
            guest_sem_wait(&handled);
            CHECK(count == i * 3 + k && handler_tid == only);
        }
        CHECK(sem_post(&turn[i]) == 0);
        guest_sem_wait(&ready);
    }

    only = 0;
    for (int i = 0; i < THREADS; i++) {
        CHECK(sem_post(&turn[i]) == 0);
        guest_sem_wait(&ready);
    }
    for (int k = 0; k < MANY; k++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        guest_sem_wait(&handled);
    }
    CHECK(count == THREADS * 3 + MANY);
    for (int i = 0; i < THREADS; i++) {
        CHECK(sem_post(&next) == 0);
    }
    guest_join(threads, THREADS);

    only = gettid();
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(count == THREADS * 3 + MANY);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(count == THREADS * 3 + MANY + 1);
    printf("signal_process: %d signals\n", count);
    return 0;
}
