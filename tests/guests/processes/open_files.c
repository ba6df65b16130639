/*
 * The limit of open files is all the program's: as many can be opened as it says, from any thread, and
 * every number below it can be had; a child and a limit that was raised do not change that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=60 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "guest.h"

enum { LOWER = 700 };

static void set_limit(int files)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = (rlim_t)files;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* With room above it for what else the process may have open. */
static bool has_room(int limit)
{
    struct rlimit inherited;

    CHECK(getrlimit(RLIMIT_NOFILE, &inherited) == 0);
    return inherited.rlim_max >= (rlim_t)limit + 256;
}

static int limit_is(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return (int)limit.rlim_cur;
}

/* All numbers from 3 on are free, one after the other, up to the limit. */
static void *open_all(void *arg)
{
    int fd, next = 3;

    while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
        CHECK(fd == next++);
    }
    CHECK(errno == EMFILE && next == limit_is());
    CHECK(fcntl(1, F_DUPFD, 3) < 0 && errno == EMFILE);
    for (fd = 3; fd < next; fd++) {
        CHECK(close(fd) == 0);
    }
    return arg;
}

static void *replace_all(void *arg)
{
    int limit = limit_is();

    for (int fd = 3; fd < limit; fd++) {
        CHECK(dup2(1, fd) == fd);
    }
    CHECK(dup2(1, limit) < 0 && errno == EBADF);
    CHECK(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
    for (int fd = 3; fd < limit; fd++) {
        CHECK(close(fd) == 0);
    }
    return arg;
}

static void *in_child(void *arg)
{
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        open_all(NULL);
        replace_all(NULL);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return arg;
}

static void look(void)
{
    open_all(NULL);
    replace_all(NULL);
    guest_elsewhere(open_all, NULL);
    guest_elsewhere(replace_all, NULL);
    guest_elsewhere(in_child, NULL);
}

int main(void)
{
    int inherited = limit_is();

    for (int fd = 3; fd < inherited && fd < 65536; fd++) {
        close(fd); /* what the harness has left open */
    }
    if (inherited <= 4096 && has_room(inherited)) {
        look();
    }
    if (inherited >= LOWER && has_room(LOWER)) {
        set_limit(LOWER);
        look();
    }
    puts("open_files: as many as the limit says");
}
