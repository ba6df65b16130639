/*
 * clone() of a process that tells the caller about the child in memory (CLONE_PARENT_SETTID,
 * CLONE_PIDFD), while threads on other nodes read and write the page of that word.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"

#ifndef CLONE_PARENT_SETTID
#define CLONE_PARENT_SETTID 0x00100000
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

enum { THREADS = 4, FORKS = 60 };

static struct {
    atomic_int told;
    atomic_int written[THREADS];
} page OWN_PAGE;
static OWN_PAGE atomic_int done;

static void *worry(void *arg)
{
    atomic_int *mine = &page.written[(intptr_t)arg];
    int n = 0;

    while (!atomic_load(&done)) {
        CHECK(atomic_fetch_add(mine, 1) == n++);
        (void)atomic_load(&page.told);
    }
    return NULL;
}

/* flags, stack, parent's word, and two whose order differs between instruction sets: both 0. */
static int told_fork(unsigned long flags)
{
    int pid = (int)syscall(SYS_clone, flags | SIGCHLD, 0, &page.told, 0, 0);

    if (pid == 0) {
        syscall(SYS_exit_group, 7);
    }
    return pid;
}

int main(void)
{
    pthread_t threads[THREADS];
    int status;

    guest_start(threads, THREADS, worry);
    for (int i = 0; i < FORKS; i++) {
        int pid = told_fork(i % 2 ? CLONE_PIDFD : CLONE_PARENT_SETTID);

        CHECK(pid > 0);
        if (i % 2) {
            CHECK(atomic_load(&page.told) > 2 && close(page.told) == 0);
        } else {
            CHECK(atomic_load(&page.told) == pid);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    atomic_store(&done, 1);
    guest_join(threads, THREADS);
    puts("fork_told: done");
    return 0;
}
