/*
 * The main thread leaves by pthread_exit(); the others go on, and the process ends with status 0
 * when the last of them is done.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4 };

static pthread_t main_thread;
static sem_t turn[THREADS + 1];

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    if (me == 0) {
        CHECK(pthread_join(main_thread, NULL) == 0);
        CHECK(write(1, "main is gone\n", 13) == 13);
        CHECK(sem_post(&turn[0]) == 0);
    }
    guest_sem_wait(&turn[me]);
    char text[32];
    int n = snprintf(text, sizeof(text), "thread %d leaves\n", me);
    CHECK(write(1, text, n) == n);
    CHECK(sem_post(&turn[me + 1]) == 0);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    main_thread = pthread_self();
    for (int i = 0; i <= THREADS; i++) {
        CHECK(sem_init(&turn[i], 0, 0) == 0);
    }
    guest_start(threads, THREADS, worker);
    pthread_exit(NULL);
}
