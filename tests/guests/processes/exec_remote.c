/*
 * execve from a remote thread replaces the whole process: the other threads end wherever they
 * are, pid, working directory and open files stay, and the new program's status is the process's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 status=5 */
#include "guest.h"

enum { THREADS = 4 };

static pthread_barrier_t gate;
static int channel[2];

static void *worker(void *arg)
{
    volatile unsigned long spin = 0;
    char script[200];

    pthread_barrier_wait(&gate);
    if ((intptr_t)arg == 1) {
        for (;;) {
            spin++;
        }
    }
    if ((intptr_t)arg != 0) {
        for (;;) {
            pause();
        }
    }
    CHECK(chdir("/") == 0);
    CHECK(write(channel[1], "kept\n", 5) == 5);
    snprintf(script, sizeof(script),
             "[ $$ = %d ] || exit 1; pwd; read -r word <&%d; echo \"$word $WORD $1\"; exit 5",
             (int)getpid(), channel[0]);
    char *argv[] = {"sh", "-c", script, "sh", "argument", NULL};
    char *envp[] = {"WORD=environment", "PATH=/usr/bin:/bin", NULL};
    execve("/bin/sh", argv, envp);
    guest_fail(__FILE__, __LINE__, "execve returned");
}

int main(void)
{
    pthread_t threads[THREADS];

    CHECK(pipe(channel) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_start(threads, THREADS, worker);
    guest_join(threads, THREADS);
    return 1;
}
