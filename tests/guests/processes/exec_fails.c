/*
 * An execve that fails leaves all threads as they were.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4 };

static pthread_barrier_t gate;
static OWN_PAGE atomic_int after;

static void *worker(void *arg)
{
    char *argv[] = {"program", NULL}, *envp[] = {NULL};

    pthread_barrier_wait(&gate);
    for (int i = 0; i < 3; i++) {
        CHECK(execve("/nonexistent/program", argv, envp) == -1 && errno == ENOENT);
        CHECK(execve("/", argv, envp) == -1 && errno == EACCES);
        CHECK(execve((char *)arg, argv, envp) == -1 && errno == EFAULT);
        atomic_fetch_add(&after, 1);
    }
    pthread_barrier_wait(&gate);
    CHECK(after == 3 * THREADS);
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("exec_fails: %d times\n", after);
    return 0;
}
