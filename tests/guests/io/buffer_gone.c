/*
 * A buffer that another thread protects or unmaps while a call waits, or at any moment: the call says
 * EFAULT, or has been quicker; the program goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4, LENGTH = 2 * GUEST_PAGE, CHANGES = 200 };

static char *buffer;
static int ends[2];
static sem_t about_to_read;
static atomic_bool over;

static void *map(void *where)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0);
    char *p = mmap(where, LENGTH, PROT_READ | PROT_WRITE, flags, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

static void *reader(void *arg)
{
    buffer[0] = 1;
    CHECK(sem_post(&about_to_read) == 0);
    CHECK(read(ends[0], buffer, 100) == -1 && errno == EFAULT);
    return arg;
}

static void read_into(int protection)
{
    pthread_t thread;

    buffer = map(NULL);
    CHECK(pipe(ends) == 0);
    guest_start(&thread, 1, reader);
    guest_sem_wait(&about_to_read);
    usleep(30000); /* so that it waits in read(); if it does not yet, the result is the same */
    CHECK(protection < 0 ? munmap(buffer, LENGTH) == 0 : mprotect(buffer, LENGTH, protection) == 0);
    CHECK(write(ends[1], "hello", 5) == 5);
    guest_join(&thread, 1);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void *caller(void *arg)
{
    bool reads = (intptr_t)arg % 2;
    int fd = open(reads ? "/dev/zero" : "/dev/null", reads ? O_RDONLY : O_WRONLY);

    CHECK(fd >= 0);
    while (!atomic_load(&over)) {
        ssize_t n = reads ? read(fd, buffer, LENGTH) : write(fd, buffer, LENGTH);

        CHECK(n > 0 || (n == -1 && errno == EFAULT));
    }
    CHECK(close(fd) == 0);
    return NULL;
}

static void change_all_the_time(void)
{
    pthread_t threads[THREADS];

    buffer = map(NULL);
    guest_start(threads, THREADS, caller);
    for (int i = 0; i < CHANGES; i++) {
        CHECK(mprotect(buffer, LENGTH, i & 1 ? PROT_READ | PROT_WRITE : PROT_NONE) == 0);
        if (i % 8 == 0) {
            CHECK(munmap(buffer, LENGTH) == 0);
            CHECK(map(buffer) == buffer);
        }
    }
    atomic_store(&over, true);
    guest_join(threads, THREADS);
}

int main(void)
{
    CHECK(sem_init(&about_to_read, 0, 0) == 0);
    read_into(PROT_READ);
    read_into(PROT_NONE);
    read_into(-1);
    change_all_the_time();
    printf("buffer_gone: EFAULT, and alive\n");
    return 0;
}
