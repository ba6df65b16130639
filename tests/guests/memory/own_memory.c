/*
 * /proc/self/mem: what other threads have written, from any thread, whatever the protection of the
 * page; what is written to it, others read. Memory that is not mapped is an error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <sys/uio.h>

#include "memory_file.h"

enum { THREADS = 4 };

/* QEMU can miss a mapping for a moment while its neighbours change, as in malloc(). */
static long copies[THREADS][WORDS];
static pthread_barrier_t gate;

static void fill(long seed)
{
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = seed * 1000003 + (long)i;
    }
}

static void compare(const long *got, long seed)
{
    for (size_t i = 0; i < WORDS; i++) {
        CHECK(got[i] == seed * 1000003 + (long)i);
    }
}

static void reads(int fd, long seed, long *got)
{
    const size_t half = WORDS * sizeof(long) / 2;
    long one = 0;
    struct iovec parts[2] = {{got, half}, {(char *)got + half, half}};

    CHECK(pread(fd, got, 2 * half, place(words)) == (ssize_t)(2 * half));
    compare(got, seed);
    memset(got, 0, 2 * half);
    CHECK(preadv(fd, parts, 2, place(words)) == (ssize_t)(2 * half));
    compare(got, seed);
    CHECK(lseek(fd, place(&words[3]), SEEK_SET) == place(&words[3]));
    CHECK(read(fd, &one, sizeof(one)) == sizeof(one) && one == words[3]);
    CHECK(read(fd, &one, sizeof(one)) == sizeof(one) && one == words[4]);
    CHECK(lseek(fd, 0, SEEK_CUR) == place(&words[5]));
}

static void reads_and_writes(int fd, long seed)
{
    char text[4] = "";
    long value = seed;

    CHECK(pwrite(fd, &value, sizeof(value), place(&words[7])) == sizeof(value));
    CHECK(*(volatile long *)&words[7] == seed);
    CHECK(pread(fd, text, 3, place(closed)) == 3 && strcmp(text, "abc") == 0);
    CHECK(pwrite(fd, "xyz", 3, place(closed) + 3) == 3);
    CHECK(pread(fd, text, 3, place(closed) + 3) == 3 && strcmp(text, "xyz") == 0);
    CHECK(pread(fd, text, 3, place(gone)) < 0 && errno == EIO);
    CHECK(pwrite(fd, text, 3, place(gone)) < 0 && errno == EIO);
    CHECK(pread(fd, text, 4, place(gone) - 2) == 2); /* what is there of it */
}

/* Each thread fills the memory in turn, and all look. */
static void *work(void *arg)
{
    int me = (int)(intptr_t)arg, fd = open("/proc/self/mem", O_RDWR);
    int readable = open("/proc/self/mem", O_RDONLY);

    CHECK(fd >= 0 && readable >= 0);
    for (int turn = 0; turn < THREADS; turn++) {
        if (turn == me) {
            fill(turn);
        }
        pthread_barrier_wait(&gate);
        reads(fd, turn, copies[me]);
        pthread_barrier_wait(&gate);
        if (turn == me) {
            reads_and_writes(fd, turn);
        }
        pthread_barrier_wait(&gate);
    }
    CHECK(pwrite(readable, "x", 1, place(words)) < 0 && errno == EBADF);
    CHECK(close(fd) == 0 && close(readable) == 0);
    return arg;
}

int main(void)
{
    make_memory();
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, work);
    CHECK(mprotect(closed, GUEST_PAGE, PROT_READ) == 0 && memcmp(closed, "abcxyz", 6) == 0);
    puts("own_memory: read and written as a file");
}
