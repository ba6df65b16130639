/*
 * MAP_SHARED of a file from many threads: stores show in the file for pread() and the other way
 * round, through two mappings of the same file as well, and atomics on it count right.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, ROUNDS = 100, LENGTH = 4 * GUEST_PAGE };

static pthread_barrier_t gate;
static unsigned char *one, *two;
static int fd;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    atomic_int *counter = (atomic_int *)(one + GUEST_PAGE);
    unsigned char byte;

    one[me] = 10 + me;
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++) {
        CHECK(pread(fd, &byte, 1, t) == 1 && byte == 10 + t);
        CHECK(two[t] == 10 + t);
    }
    byte = 50 + me;
    CHECK(pwrite(fd, &byte, 1, 2 * GUEST_PAGE + me) == 1);
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++) {
        CHECK(one[2 * GUEST_PAGE + t] == 50 + t);
    }
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(counter, 1);
    }
    pthread_barrier_wait(&gate);
    CHECK(*(int *)(two + GUEST_PAGE) == THREADS * ROUNDS);

    /* Work on ordinary memory goes on as before after shared memory was touched. */
    char *mine = malloc(100000);
    CHECK(mine);
    memset(mine, me, 100000);
    CHECK(mine[99999] == me);
    free(mine);
    return NULL;
}

int main(void)
{
    fd = guest_tmpfile();
    CHECK(ftruncate(fd, LENGTH) == 0);
    one = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    two = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(one != MAP_FAILED && two != MAP_FAILED);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    CHECK(msync(one, LENGTH, MS_SYNC) == 0);
    CHECK(munmap(one, LENGTH) == 0);
    CHECK(munmap(two, LENGTH) == 0);
    printf("shared_file: %d threads, %d counts\n", THREADS, THREADS * ROUNDS);
    return 0;
}
