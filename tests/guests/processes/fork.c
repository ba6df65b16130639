/*
 * fork: the child has a copy of memory as of the call, changes on either side stay there, and the
 * child's exit status and resource usage reach the parent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <sys/resource.h>

#include "guest.h"

enum { THREADS = 4, PAGES = 20 };

static OWN_PAGE unsigned char area[PAGES * GUEST_PAGE];
static pthread_barrier_t gate;
static int children;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int p = me; p < PAGES; p += THREADS) {
        memset(area + p * GUEST_PAGE, p + 1, GUEST_PAGE);
    }
    pthread_barrier_wait(&gate);
    /* main forks here */
    pthread_barrier_wait(&gate);
    for (int p = 0; p < PAGES; p++) {
        CHECK(area[p * GUEST_PAGE + 77] == p + 1);
    }
    area[me] = 100 + me;
    return NULL;
}

static void child(int number)
{
    CHECK(getpid() == gettid());
    for (int p = 0; p < PAGES; p++) {
        for (int i = 0; i < GUEST_PAGE; i += 13) {
            CHECK(area[p * GUEST_PAGE + i] == p + 1);
        }
    }
    memset(area, 0xff, sizeof(area));
    _exit(10 + number);
}

int main(void)
{
    pthread_t threads[THREADS];
    struct rusage usage;
    int status;

    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            child(i);
        }
        children++;
        CHECK(wait4(pid, &status, 0, &usage) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 10 + i);
    }
    pthread_barrier_wait(&gate);
    guest_join(threads, THREADS);
    for (int t = 0; t < THREADS; t++) {
        CHECK(area[t] == 100 + t);
    }
    CHECK(wait(&status) == -1 && errno == ECHILD);
    printf("fork: %d children\n", children);
    return 0;
}
