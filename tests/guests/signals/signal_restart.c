/*
 * With SA_RESTART, a blocked read, wait for a child, futex wait and receive go on after the
 * handler as if nothing had happened, however often it comes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <sys/socket.h>

#include "guest.h"

enum { KINDS = 4, SIGNALS = 25 };

static sem_t handled;
static int pipe_fds[2], sockets[2], child_pipe[2];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    CHECK(sem_post(&handled) == 0);
}

static void *blocker(void *arg)
{
    char text[8];
    int status;

    switch ((intptr_t)arg) {
    case 0:
        CHECK(read(pipe_fds[0], text, 8) == 4 && memcmp(text, "data", 4) == 0);
        break;
    case 1:
        CHECK(waitpid(-1, &status, 0) > 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
        break;
    case 2:
        CHECK(pthread_mutex_lock(&held) == 0);
        break;
    case 3:
        CHECK(recv(sockets[0], text, 8, MSG_WAITALL) == 8 && memcmp(text, "12345678", 8) == 0);
        break;
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[KINDS];
    char byte;

    guest_handler(SIGUSR1, on_signal, SA_RESTART);
    CHECK(sem_init(&handled, 0, 0) == 0);
    CHECK(pipe(pipe_fds) == 0 && pipe(child_pipe) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    CHECK(pthread_mutex_lock(&held) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(child_pipe[1]);
        _exit(read(child_pipe[0], &byte, 1) == 0 ? 5 : 6);
    }
    guest_start(threads, KINDS, blocker);
    for (int i = 0; i < SIGNALS; i++) {
        for (int t = 0; t < KINDS; t++) {
            CHECK(pthread_kill(threads[t], SIGUSR1) == 0);
        }
        for (int t = 0; t < KINDS; t++) {
            guest_sem_wait(&handled);
        }
    }
    CHECK(write(pipe_fds[1], "data", 4) == 4);
    CHECK(close(child_pipe[1]) == 0);
    CHECK(pthread_mutex_unlock(&held) == 0);
    CHECK(send(sockets[1], "12345678", 8, 0) == 8);
    guest_join(threads, KINDS);
    printf("signal_restart: %d signals to each\n", SIGNALS);
    return 0;
}
