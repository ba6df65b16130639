/*
 * A guest with relatives: a child, a grandchild that has lost its parent, and a daemon in a
 * session of its own, all of which wait for ever; then threads on other nodes. It says
 * "family: PID..." when all are there, waits for the end of its input, and ends with 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static int all_there[2];

static void __attribute__((noreturn)) live(void)
{
    int null = open("/dev/null", O_RDWR);
    pid_t self = getpid();

    CHECK(write(all_there[1], &self, sizeof(self)) == sizeof(self));
    for (int fd = 0; fd < 64; fd++) {
        if (fd != null) {
            close(fd);
        }
    }
    for (;;) {
        pause();
    }
}

static void have_child(void)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        live();
    }
}

static void have_grandchild(bool session)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(!session || setsid() == getpid());
        have_child();
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
}

static void *elsewhere(void *arg)
{
    char byte;
    pid_t pid[3];

    have_child();
    have_grandchild(false);
    have_grandchild(true);
    for (int i = 0; i < 3; i++) {
        CHECK(read(all_there[0], &pid[i], sizeof(pid[i])) == sizeof(pid[i]));
    }
    printf("family: %d %d %d\n", pid[0], pid[1], pid[2]);
    fflush(stdout);
    CHECK(read(0, &byte, 1) == 0);
    return arg;
}

int main(void)
{
    CHECK(pipe(all_there) == 0);
    guest_elsewhere(elsewhere, NULL);
    return 0;
}
