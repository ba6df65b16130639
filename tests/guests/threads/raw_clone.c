/*
 * Threads without pthreads: clone() with the flags of a thread, its tid stored for parent and
 * child, and cleared with a wake-up when it has ended.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <linux/futex.h>

#include "guest.h"

enum { THREADS = 4, STACK = 256 * 1024 };

static OWN_PAGE struct {
    int parent_tid, child_tid, ran_as;
    long argument;
} info[THREADS];
static atomic_int go;

/* Uses system calls alone: this thread has no thread-local storage of its own. */
static int entry(void *arg)
{
    long me = (long)arg;

    info[me].ran_as = syscall(SYS_gettid);
    info[me].argument = me * me;
    while (!atomic_load(&go)) {
        syscall(SYS_futex, &go, FUTEX_WAIT_PRIVATE, 0, NULL);
    }
    return 0;
}

int main(void)
{
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;
    int started[THREADS];

    for (long i = 0; i < THREADS; i++) {
        char *stack = guest_map(STACK, PROT_READ | PROT_WRITE);
        started[i] = clone(entry, stack + STACK, flags, (void *)i, &info[i].parent_tid, NULL,
                           &info[i].child_tid);
        CHECK(started[i] > 0 && info[i].parent_tid == started[i]);
    }
    atomic_store(&go, 1);
    CHECK(syscall(SYS_futex, &go, FUTEX_WAKE_PRIVATE, INT_MAX) >= 0);
    for (int i = 0; i < THREADS; i++) {
        int tid;
        /* The kernel's wake-up at the end of a thread is a shared one. */
        while ((tid = __atomic_load_n(&info[i].child_tid, __ATOMIC_ACQUIRE)) != 0) {
            syscall(SYS_futex, &info[i].child_tid, FUTEX_WAIT, tid, NULL);
        }
        CHECK(info[i].ran_as == started[i] && info[i].argument == (long)i * i);
    }
    printf("raw_clone: %d threads\n", THREADS);
    return 0;
}
