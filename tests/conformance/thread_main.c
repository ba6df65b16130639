/* Runs a program's main(), compiled as dqemu_moved_main(), in a thread: the first that a process
 * makes, which two nodes place on node 1. What main() returns is the exit status.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>
#include <stdlib.h>

int dqemu_moved_main(int argc, char **argv, char **envp);

struct arguments {
    int argc;
    char **argv, **envp;
};

static void *run(void *data)
{
    struct arguments *a = data;
    exit(dqemu_moved_main(a->argc, a->argv, a->envp));
}

int main(int argc, char **argv, char **envp)
{
    struct arguments a = {argc, argv, envp};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &a) != 0 || pthread_join(thread, NULL) != 0)
        return 99;
    return 98; /* the test ended its thread alone: pthread_exit() */
}
