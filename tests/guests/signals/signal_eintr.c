/*
 * Blocking calls are interrupted by a handled signal: read, sem_wait, nanosleep (with the rest),
 * poll (even with SA_RESTART), accept, and a write that has already moved something.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest.h"

enum { KINDS = 6, BIG = 1 << 20 };

static sem_t handled, never, leave;
static int read_pipe[2], write_pipe[2], listener;
static atomic_int interrupted[KINDS];
static char big[BIG];

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    CHECK(sem_post(&handled) == 0);
}

static void *blocker(void *arg)
{
    int kind = (intptr_t)arg;
    struct pollfd fd = {read_pipe[0], POLLIN, 0};
    struct timespec hour = {.tv_sec = 3600}, rest = {0};
    char byte;
    ssize_t n;

    switch (kind) {
    case 0:
        CHECK(read(read_pipe[0], &byte, 1) == -1 && errno == EINTR);
        break;
    case 1:
        CHECK(sem_wait(&never) == -1 && errno == EINTR);
        break;
    case 2:
        CHECK(nanosleep(&hour, &rest) == -1 && errno == EINTR);
        CHECK(rest.tv_sec >= 3500 && rest.tv_sec <= 3600);
        break;
    case 3:
        CHECK(poll(&fd, 1, -1) == -1 && errno == EINTR);
        break;
    case 4:
        CHECK(accept(listener, NULL, NULL) == -1 && errno == EINTR);
        break;
    case 5:
        /* Part of it fits into the pipe; the signal comes when that part is there. */
        n = write(write_pipe[1], big, BIG);
        CHECK(n > 0 && n < BIG);
        break;
    }
    atomic_store(&interrupted[kind], 1);
    /* Whatever was sent meanwhile is handled before this thread ends. */
    guest_sem_wait(&leave);
    return NULL;
}

static bool write_is_stuck(void)
{
    int held = 0;

    CHECK(ioctl(write_pipe[0], FIONREAD, &held) == 0);
    return held >= fcntl(write_pipe[0], F_GETPIPE_SZ);
}

int main(void)
{
    pthread_t threads[KINDS];
    int sent = 0, got = 0;

    guest_handler(SIGUSR1, on_signal, 0);
    guest_handler(SIGUSR2, on_signal, SA_RESTART);
    CHECK(sem_init(&handled, 0, 0) == 0 && sem_init(&never, 0, 0) == 0);
    CHECK(sem_init(&leave, 0, 0) == 0);
    CHECK(pipe(read_pipe) == 0 && pipe(write_pipe) == 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&(struct sockaddr){AF_UNIX, ""},
                                sizeof(sa_family_t)) == 0);
    CHECK(listen(listener, 1) == 0);
    guest_start(threads, KINDS, blocker);

    while (!write_is_stuck()) {
        sched_yield();
    }
    CHECK(pthread_kill(threads[5], SIGUSR1) == 0);
    guest_sem_wait(&handled);

    /*
     * A signal may come just before the call that it is to interrupt. So each thread gets signals
     * until it says that it was interrupted; every one must be handled before the next is sent.
     */
    for (int kind = 0; kind < 5; kind++) {
        while (!atomic_load(&interrupted[kind])) {
            CHECK(pthread_kill(threads[kind], kind == 3 ? SIGUSR2 : SIGUSR1) == 0);
            sent++;
            guest_sem_wait(&handled);
            sched_yield();
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        CHECK(sem_post(&leave) == 0);
    }
    guest_join(threads, KINDS);
    CHECK(interrupted[5]);
    CHECK(sem_getvalue(&handled, &got) == 0 && got == 0 && sent >= 5);
    puts("signal_eintr: read, semaphore, sleep, poll, accept, write");
    return 0;
}
