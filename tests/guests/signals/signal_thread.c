/*
 * Signals to single threads by pthread_kill: each arrives in its thread, once, whether the thread
 * computes, waits for a semaphore, or is blocked in a read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include "guest.h"

enum { THREADS = 6, SIGNALS = 12 };

static __thread int me = -1;
static atomic_int received[THREADS];
static atomic_int stop;
static sem_t handled, parked;
static pthread_barrier_t gate;
static int pipe_fds[2];

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGUSR2 && info->si_code == SI_TKILL && info->si_pid == getpid());
    CHECK(me >= 0);
    atomic_fetch_add(&received[me], 1);
    CHECK(sem_post(&handled) == 0);
}

static void *worker(void *arg)
{
    volatile unsigned long spin = 0;
    char byte;

    me = (intptr_t)arg;
    pthread_barrier_wait(&gate);
    switch (me % 3) {
    case 0:
        while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
            spin++;
        }
        break;
    case 1:
        guest_sem_wait(&parked);
        break;
    case 2:
        CHECK(read(pipe_fds[0], &byte, 1) == 1);
        break;
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    guest_handler(SIGUSR2, on_signal, SA_RESTART);
    CHECK(pipe(pipe_fds) == 0);
    CHECK(sem_init(&handled, 0, 0) == 0 && sem_init(&parked, 0, 0) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    for (int s = 1; s <= SIGNALS; s++) {
        /* One by one, and all at once. */
        for (int t = 0; t < THREADS; t++) {
            CHECK(pthread_kill(threads[t], SIGUSR2) == 0);
            if (s % 2) {
                guest_sem_wait(&handled);
                CHECK(received[t] == s);
            }
        }
        for (int t = 0; t < THREADS && s % 2 == 0; t++) {
            guest_sem_wait(&handled);
        }
        for (int t = 0; t < THREADS; t++) {
            CHECK(received[t] == s);
        }
    }
    atomic_store(&stop, 1);
    for (int t = 0; t < THREADS; t++) {
        CHECK(sem_post(&parked) == 0);
        CHECK(write(pipe_fds[1], "x", 1) == 1);
    }
    guest_join(threads, THREADS);
    printf("signal_thread: %d signals to each of %d threads\n", SIGNALS, THREADS);
    return 0;
}
