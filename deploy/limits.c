/*
 * Limits that are too tight for a run: told before anything is started, because within it they
 * show as connections that never come, or as an emulator that aborts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/limits.h"

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * What a node keeps open apart from its connections: loop 3, pager 4, control channel, listener, the
 * kernel's account of the process 3 (its map, its pages, its memory), what is opened for a while, and a
 * stranger or two at its door. Where the hard limit leaves no room above the soft one, they lie in
 * the upper half of the table (the lower is the guest's).
 */
#define NODE_FILES 20

/* Of a node before it runs anything: main, loop, worker, and one of the emulator's own. */
#define NODE_THREADS 4

static char *file_trouble(int nodes)
{
    const rlim_t least = 2 * (NODE_FILES + (rlim_t)nodes);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < least) {
        return g_strdup_printf("the limit of open files, %d, is too low for %d nodes; raise it to "
                               "%d or more (ulimit -n), or use fewer nodes",
                               (int)limit.rlim_cur, nodes, (int)least);
    }
    return NULL;
}

static void *stay(void *unused)
{
    for (;;) {
        pause();
    }
    return unused;
}

/* In a child: can there be so many threads beside this one? */
static bool have_threads(int count)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    while (count > 0 && pthread_create(&thread, &attr, stay, NULL) == 0) {
        count--;
    }
    return count == 0;
}

/*
 * The limit counts what the user runs anywhere, and containers and privileges have their say:
 * only trying tells.
 */
static char *thread_trouble(int nodes)
{
    const int need = NODE_THREADS * nodes;
    struct rlimit limit;
    int status = 1;

    if (getrlimit(RLIMIT_NPROC, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(have_threads(need - 1) ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        return g_strdup_printf("the limit of processes, %lld, leaves no room for the %d threads of "
                               "%d nodes; raise it (ulimit -u), end other programs of this user, "
                               "or use fewer nodes",
                               (long long)limit.rlim_cur, need, nodes);
    }
    return NULL;
}

char *dq_limits_trouble(int here, int all)
{
    char *trouble = file_trouble(all);
    return trouble ? trouble : thread_trouble(here);
}
