/*
 * A thread that has blocked a signal and has said so, by memory alone, gets no more of it, and none
 * is lost, is another's, or comes out of order: what was sent to it is there when it unblocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 3, ROUNDS = 40, WHILE_BLOCKED = 3 };

static struct {
    pthread_t thread;
    sem_t ready;
    atomic_int blocked; /* rounds in which it has said so */
    atomic_int sent;    /* rounds in which the signals were sent after that */
    atomic_int taken;   /* signals: the next one's value */
    char apart[4096];
} turn[THREADS];

static __thread int self;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    CHECK(info->si_code == SI_QUEUE);
    CHECK(info->si_value.sival_int == atomic_fetch_add(&turn[self].taken, 1));
}

static void *worker(void *arg)
{
    int t = (int)(intptr_t)arg;
    sigset_t set;

    self = t;
    CHECK(sem_post(&turn[t].ready) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    for (int r = 1; r <= ROUNDS; r++) {
        int before;

        CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
        before = atomic_load(&turn[t].taken);
        atomic_store(&turn[t].blocked, r);
        while (atomic_load(&turn[t].sent) < r) {
            sched_yield();
        }
        CHECK(atomic_load(&turn[t].taken) == before);
        CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
        CHECK(atomic_load(&turn[t].taken) >= before + WHILE_BLOCKED);
    }
    return NULL;
}

static int send(int t, int value)
{
    union sigval v = {.sival_int = value};

    CHECK(pthread_sigqueue(turn[t].thread, SIGRTMIN + 3, v) == 0);
    return value + 1;
}

static void *sender(void *arg)
{
    int t = (int)(intptr_t)arg;
    int value = 0;

    guest_sem_wait(&turn[t].ready);
    for (int r = 1; r <= ROUNDS; r++) {
        while (atomic_load(&turn[t].blocked) < r) { /* while it is about to block */
            if (atomic_load(&turn[t].taken) == value) {
                value = send(t, value);
            }
            sched_yield();
        }
        for (int i = 0; i < WHILE_BLOCKED; i++) {
            value = send(t, value);
        }
        atomic_store(&turn[t].sent, r);
    }
    return NULL;
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    pthread_t threads[THREADS], senders[THREADS];

    CHECK(sigaction(SIGRTMIN + 3, &sa, NULL) == 0);
    for (int t = 0; t < THREADS; t++) {
        CHECK(sem_init(&turn[t].ready, 0, 0) == 0);
    }
    guest_start(threads, THREADS, worker);
    for (int t = 0; t < THREADS; t++) {
        turn[t].thread = threads[t];
    }
    guest_start(senders, THREADS, sender);
    guest_join(senders, THREADS);
    guest_join(threads, THREADS);
    printf("block_told: %d rounds of %d threads\n", ROUNDS, THREADS);
    return 0;
}
