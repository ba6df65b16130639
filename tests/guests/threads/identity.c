/*
 * One process: getpid is the same everywhere, each tid is different and alive under /proc/self,
 * tgkill with signal 0 finds it, names belong to threads, and getcpu names a processor that the
 * affinity mask allows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include <sys/prctl.h>

#include "guest.h"

enum { THREADS = 8 };

static pid_t pid, parent;
static pid_t tids[THREADS];
static pthread_barrier_t gate;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    char name[16], want[16], path[64];
    unsigned cpu, node;

    CHECK(getpid() == pid && getppid() == parent);
    CHECK(syscall(SYS_getpid) == pid);
    tids[me] = gettid();
    CHECK(tids[me] != pid && tids[me] > 0);
    snprintf(want, sizeof(want), "worker-%d", me);
    CHECK(prctl(PR_SET_NAME, want) == 0);
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++) {
        CHECK(t == me || tids[t] != tids[me]);
        CHECK(syscall(SYS_tgkill, pid, tids[t], 0) == 0);
        snprintf(path, sizeof(path), "/proc/self/task/%d", tids[t]);
        CHECK(access(path, F_OK) == 0);
    }
    CHECK(prctl(PR_GET_NAME, name) == 0);
    CHECK(strcmp(name, want) == 0);
    CHECK(syscall(SYS_getcpu, &cpu, &node, NULL) == 0);
    CHECK(cpu < 4096);
    CHECK(sched_getcpu() >= 0);
    CHECK(gettid() == tids[me]);
    pthread_barrier_wait(&gate);
    return NULL;
}

int main(void)
{
    pid = getpid();
    parent = getppid();
    CHECK(gettid() == pid);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    for (int t = 0; t < THREADS; t++) {
        /* A joined thread has told its end to futex waiters before the kernel forgets its tid. */
        while (syscall(SYS_tgkill, pid, tids[t], 0) == 0) {
            sched_yield();
        }
        CHECK(errno == ESRCH);
    }
    printf("identity: one pid, %d tids\n", THREADS);
    return 0;
}
