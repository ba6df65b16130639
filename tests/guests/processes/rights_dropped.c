/*
 * Servers give up their rights, and others use up all descriptors, before they start their threads, and
 * then processes: threads and processes come all the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"
#include <sys/resource.h>

enum { THREADS = 4, NOBODY = 65534 };

static atomic_int ran;

static void *count(void *arg)
{
    atomic_fetch_add(&ran, 1);
    return arg;
}

static void serve(void)
{
    pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        _exit(atomic_load(&ran));
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == THREADS);
}

int main(void)
{
    struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};

    if (getuid() == 0) {
        CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    }
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    while (dup(0) >= 0) {
    }
    CHECK(errno == EMFILE && close(63) == 0); /* one is left, for the C library's own needs */
    guest_run(THREADS, count);
    CHECK(atomic_load(&ran) == THREADS);
    serve();
    printf("rights_dropped: %d threads\n", THREADS);
    return 0;
}
