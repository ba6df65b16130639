/*
 * Programs close every descriptor that they do not know: one by one, by range and by dup2 onto it,
 * from a remote thread and from the main one. Threads, memory and files go on working after each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include "guest.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

enum { TOP = 4096, THREADS = 4 };

static int shared[THREADS] OWN_PAGE;

static void close_one_by_one(void)
{
    for (int fd = 3; fd < TOP; fd++) {
        CHECK(close(fd) == 0 || errno == EBADF);
    }
}

static void close_ranges(void)
{
    CHECK(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) == 0);
    CHECK(syscall(SYS_close_range, 3, TOP, 0) == 0);
    for (int fd = 3; fd < TOP; fd += 7) {
        CHECK(syscall(SYS_close_range, fd, fd + 6, 0) == 0);
    }
    CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
    CHECK(syscall(SYS_close_range, 9, 8, 0) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_close_range, 3, TOP, 0x4000) == -1 && errno == EINVAL);
}

/* Onto every number, and closed again. */
static void replace_all(void)
{
    int fd = guest_tmpfile();

    for (int to = fd + 1; to < TOP; to++) {
        int got;

        do { /* EBUSY: somebody in the emulator is just opening a file that gets this number */
            got = dup3(fd, to, 0);
        } while (got == -1 && errno == EBUSY);
        CHECK(got == to || (got == -1 && errno == EBADF));
        CHECK(got == -1 || close(to) == 0);
    }
    CHECK(close(fd) == 0);
}

static void *count(void *arg)
{
    for (int i = 0; i < 100; i++) {
        atomic_fetch_add((_Atomic int *)&shared[i % THREADS], 1);
    }
    return arg;
}

/* What needs the other nodes. */
static void use_everything(void)
{
    char text[6] = "";
    int fd = guest_tmpfile();

    CHECK(write(fd, "hello", 5) == 5 && pread(fd, text, 5, 0) == 5);
    CHECK(strcmp(text, "hello") == 0 && close(fd) == 0);
    memset(shared, 0, sizeof(shared));
    guest_run(THREADS, count);
    for (int i = 0; i < THREADS; i++) {
        CHECK(shared[i] == 100);
    }
}

static void *close_all(void *arg)
{
    int kept = guest_tmpfile(), low = dup(kept);

    CHECK(low >= 0);
    close_one_by_one();
    CHECK(fcntl(kept, F_GETFD) == -1 && fcntl(low, F_GETFD) == -1);
    use_everything();
    close_ranges();
    use_everything();
    replace_all();
    use_everything();
    return arg;
}

int main(void)
{
    close_all(NULL);
    guest_elsewhere(close_all, NULL);
    close_all(NULL);
    printf("close_all: three times\n");
    return 0;
}
