/*
 * A few calls of each kind, by the main thread and by threads elsewhere, for tests/e2e/tracing.t: answered
 * on the node, with bytes that travel with the call, delegated; and one that nobody knows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum { TIMES = 3, THREADS = 3, UNKNOWN = 900 };

static void *work(void *arg)
{
    char bytes[16];

    for (int i = 0; i < TIMES; i++) {
        int fd = open("/dev/null", O_RDWR);

        CHECK(fd >= 0 && write(fd, "hello", 5) == 5 && read(fd, bytes, sizeof(bytes)) == 0);
        CHECK(close(fd) == 0 && close(-5) == -1);
        CHECK(syscall(SYS_getpid) > 0 && syscall(SYS_gettid) > 0 && syscall(SYS_getppid) > 0);
        CHECK(sched_yield() == 0);
        CHECK(syscall(UNKNOWN) == -1 && errno == ENOSYS);
    }
    return arg;
}

int main(void)
{
    work(NULL);
    guest_run(THREADS, work);
    return 0;
}
