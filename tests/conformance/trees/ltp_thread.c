/* LTP's library, whose test runs in the thread that started it and not in a child: a child of a
 * process has one thread, on the node where it was forked. Linked in place of the library's own
 * tst_test.o. Time limits are the harness's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#define LTPLIB
#define TST_NO_DEFAULT_MAIN
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <tst_test.h>

static int in(const char *function, const char *name)
{
    return strcmp(function, name) == 0;
}

/* the test's own children are children */
static pid_t fork_or_stay(const char *function)
{
    return in(function, "fork_testrun") ? 0 : fork();
}

/* the end of a test is no end of the process: who started it says how it went */
static void exit_or_return(const char *function, int status)
{
    if (!in(function, "testrun"))
        exit(status);
}

/* there is neither a child to be waited for or killed, nor a parent that wants to hear of it */
static pid_t wait_or_not(const char *function, const char *file, int line, pid_t pid, int *status,
                         int options)
{
    if (in(function, "fork_testrun")) {
        *status = 0;
        return pid;
    }
    return safe_waitpid(file, line, NULL, pid, status, options);
}

static int kill_or_not(const char *function, pid_t pid, int signal)
{
    if (in(function, "heartbeat") || pid == 0) {
        errno = ESRCH;
        return -1;
    }
    return kill(pid, signal);
}

#undef SAFE_WAITPID
#undef SAFE_SETPGID
#define fork() fork_or_stay(__func__)
#define exit(status) exit_or_return(__func__, status)
#define kill(pid, signal) kill_or_not(__func__, pid, signal)
#define SAFE_WAITPID(pid, status, options)                                                         \
    wait_or_not(__func__, __FILE__, __LINE__, pid, status, options)
#define SAFE_SETPGID(pid, group) ((void)0)
#define alarm(seconds) ((void)(seconds))
#include <tst_test.c>
