/*
 * slowly NODES PERIOD_US DIR COMMAND... - run COMMAND, which starts nodes that leave their pids in
 * DIR (as tests/bench/node.sh does), with their guest threads in slow motion. The exit status is
 * the command's; 125 and a line on stderr when there is no slow motion here, or when a node ran
 * without.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../slow.h"

enum { CANNOT = 125 };

static volatile sig_atomic_t asked;

static void on_signal(int signal)
{
    asked = signal;
}

static pid_t start(char **argv)
{
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execvp(argv[0], argv);
        fprintf(stderr, "slowly: cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    return child;
}

/* The command's status; a signal to us goes on to it. */
static int await(struct slow *slow, pid_t child)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    int status = 0;

    while (waitpid(child, &status, WNOHANG) == 0) {
        if (asked) {
            kill(child, asked);
            asked = 0;
        }
        slow_tick(slow);
        nanosleep(&pause, NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    int nodes = argc > 4 ? atoi(argv[1]) : 0, status;
    char *why = NULL;
    struct slow *slow;
    pid_t child;

    if (nodes < 1) {
        fprintf(stderr, "Usage: slowly NODES PERIOD_US DIR COMMAND...\n");
        return CANNOT;
    }
    slow = slow_open(nodes, strtoul(argv[2], NULL, 10), false, argv[3], &why);
    if (!slow) {
        fprintf(stderr, "slowly: %s\n", why);
        return CANNOT;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    child = start(argv + 4);
    if (child < 0) {
        fprintf(stderr, "slowly: no process: %s\n", strerror(errno));
        slow_close(slow);
        return CANNOT;
    }
    status = await(slow, child);
    if (status == 0 && slow_nodes(slow) < nodes) {
        fprintf(stderr, "slowly: only %d of %d nodes were in slow motion\n", slow_nodes(slow),
                nodes);
        status = CANNOT;
    }
    slow_close(slow);
    return status;
}
