/*
 * A descriptor that the program has closed stays closed, whatever the emulator does meanwhile: it
 * is looked at all the time while the first thread of the process ends. (Plain QEMU fails this at
 * times: glibc loads its unwinder then.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static sem_t go;

static void *ends(void *arg)
{
    guest_sem_wait(&go);
    return arg;
}

int main(void)
{
    int fd = open("/dev/null", O_RDONLY);
    pthread_t thread;
    int64_t end;

    CHECK(fd >= 0 && close(fd) == 0);
    CHECK(sem_init(&go, 0, 0) == 0);
    CHECK(pthread_create(&thread, NULL, ends, NULL) == 0);
    CHECK(sem_post(&go) == 0);
    end = guest_now_ns(CLOCK_MONOTONIC) + 300000000; /* its host thread lives a little longer */
    while (guest_now_ns(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < 100; i++) {
            CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
        }
    }
    CHECK(pthread_join(thread, NULL) == 0);
    printf("free_descriptor: %d stayed free\n", fd);
    return 0;
}
