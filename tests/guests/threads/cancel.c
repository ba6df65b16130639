/*
 * Cancellation of threads that are blocked in system calls, waiting for a condition, or computing
 * with asynchronous cancelling; cleanup handlers run, and a disabled state holds it off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include "guest.h"

enum { THREADS = 8 };

static pthread_barrier_t gate;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static atomic_int cleaned, held_off;
static sem_t cancelled[THREADS];

static void clean(void *arg)
{
    if (arg) {
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    atomic_fetch_add(&cleaned, 1);
}

static void *worker(void *arg)
{
    int fds[2], old;
    char byte;
    volatile unsigned long spin = 0;
    volatile intptr_t kind = (intptr_t)arg % 4;

    CHECK(pipe(fds) == 0);
    if (kind == 1) {
        CHECK(pthread_mutex_lock(&lock) == 0);
    }
    pthread_cleanup_push(clean, kind == 1 ? &lock : NULL);
    if (kind == 1) {
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    pthread_barrier_wait(&gate);
    switch (kind) {
    case 0:
        CHECK(read(fds[0], &byte, 1) == 1);
        break;
    case 1:
        CHECK(pthread_mutex_lock(&lock) == 0);
        for (;;) {
            pthread_cond_wait(&never, &lock);
        }
    case 2:
        CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old) == 0);
        for (;;) {
            spin++;
        }
    case 3:
        CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old) == 0);
        guest_sem_wait(&cancelled[(intptr_t)arg]);
        atomic_fetch_add(&held_off, 1);
        CHECK(pthread_setcancelstate(old, NULL) == 0);
        pthread_testcancel();
        break;
    }
    pthread_cleanup_pop(0);
    guest_fail(__FILE__, __LINE__, "not cancelled");
}

int main(void)
{
    pthread_t threads[THREADS];
    void *result;

    for (int i = 0; i < THREADS; i++) {
        CHECK(sem_init(&cancelled[i], 0, 0) == 0);
    }
    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_cancel(threads[i]) == 0);
        if (i % 4 == 3) {
            CHECK(sem_post(&cancelled[i]) == 0);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], &result) == 0 && result == PTHREAD_CANCELED);
    }
    printf("cancel: %d cleaned up, %d held off\n", cleaned, held_off);
    return 0;
}
