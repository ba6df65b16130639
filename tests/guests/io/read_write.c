/*
 * read() and write() by remote threads, of every length, from and into every kind of memory: the
 * bytes are right whoever wrote the buffer last, what lies around a buffer stays as it is, and
 * errors are the usual ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <sys/eventfd.h>

#include "guest.h"

enum { THREADS = 3, MOST = 300 * 1024, ROOM = MOST + 3 * GUEST_PAGE };

static const int lengths[] = {1,     2,      4095,   4096,       4097,          8192,
                              65535, 100001, 262144, 262144 + 1, 262144 + 4096, MOST};

static unsigned char *source; /* written by the main thread */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t holes_used;

static unsigned char byte_of(int thread, int i)
{
    return (unsigned char)(i * 31 + i / 251 + thread * 77);
}

static void one_length(int me, int fd, unsigned char *buffer, int length, int offset)
{
    unsigned char *at = buffer + offset;

    for (int i = 0; i < length; i++) {
        at[i] = byte_of(me, i);
    }
    CHECK(pwrite(fd, at, length, 5) == length);
    memset(buffer, 0xee, ROOM);
    CHECK(pread(fd, at, length + 1, 5) == length); /* no more than there is */
    for (int i = 0; i < length; i++) {
        CHECK(at[i] == byte_of(me, i));
    }
    CHECK(at[-1] == 0xee && at[length] == 0xee && at[length + 1] == 0xee);
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(write(fd, at, length) == length);
    CHECK(lseek(fd, 0, SEEK_CUR) == length);
    CHECK(lseek(fd, length / 2, SEEK_SET) == length / 2);
    CHECK(read(fd, buffer, ROOM) == length - length / 2);
    CHECK(buffer[0] == byte_of(me, length / 2));
    CHECK(read(fd, buffer, ROOM) == 0);
    CHECK(ftruncate(fd, 0) == 0);
}

/* What another node has written, and what only the master has. */
static void other_memory(int fd, unsigned char *buffer)
{
    unsigned char *shared =
        mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(shared != MAP_FAILED);
    CHECK(pwrite(fd, source, MOST, 0) == MOST);
    CHECK(pread(fd, buffer, MOST, 0) == MOST);
    CHECK(memcmp(buffer, source, MOST) == 0);
    CHECK(pread(fd, shared, GUEST_PAGE, GUEST_PAGE) == GUEST_PAGE);
    CHECK(pwrite(fd, shared, GUEST_PAGE, 0) == GUEST_PAGE);
    CHECK(pread(fd, buffer, GUEST_PAGE, 0) == GUEST_PAGE);
    CHECK(memcmp(buffer, source + GUEST_PAGE, GUEST_PAGE) == 0);
}

static void errors(int fd, unsigned char *buffer)
{
    unsigned char *hole = guest_map(3 * GUEST_PAGE, PROT_READ | PROT_WRITE);
    int pipes[2], event = eventfd(0, 0);
    uint64_t count = 3;

    CHECK(munmap(hole + GUEST_PAGE, GUEST_PAGE) == 0);
    CHECK(mprotect(hole + 2 * GUEST_PAGE, GUEST_PAGE, PROT_READ) == 0);
    CHECK(pwrite(fd, buffer, 100, 0) == 100);
    CHECK(pread(fd, hole + GUEST_PAGE, 10, 0) == -1 && errno == EFAULT);
    CHECK(pwrite(fd, hole + GUEST_PAGE, 10, 0) == -1 && errno == EFAULT);
    CHECK(pread(fd, hole + 2 * GUEST_PAGE, 10, 0) == -1 && errno == EFAULT);
    CHECK(pwrite(fd, hole + 2 * GUEST_PAGE, 10, 0) == 10);
    CHECK(write(-1, buffer, 10) == -1 && errno == EBADF);
    CHECK(read(-1, buffer, 10) == -1 && errno == EBADF);
    CHECK(pread(fd, buffer, 10, -1) == -1 && errno == EINVAL);
    CHECK(write(fd, NULL, 0) == 0 && read(fd, NULL, 0) == 0);
    CHECK(pipe(pipes) == 0);
    CHECK(pread(pipes[0], buffer, 10, 0) == -1 && errno == ESPIPE);
    CHECK(write(pipes[1], "abc", 3) == 3);
    CHECK(read(pipes[0], buffer, ROOM) == 3 && memcmp(buffer, "abc", 3) == 0);
    CHECK(close(pipes[0]) == 0);
    CHECK(write(pipes[1], "abc", 3) == -1 && errno == EPIPE);
    CHECK(close(pipes[1]) == 0);
    CHECK(event >= 0 && write(event, &count, 8) == 8 && write(event, &count, 8) == 8);
    CHECK(read(event, &count, 4) == -1 && errno == EINVAL);
    CHECK(read(event, &count, 8) == 8 && count == 6);
    CHECK(close(event) == 0);
}

static void *worker(void *arg)
{
    int me = (int)(intptr_t)arg, fd;
    unsigned char *buffer = guest_map(ROOM, PROT_READ | PROT_WRITE);

    CHECK(pthread_mutex_lock(&lock) == 0); /* mkstemp() names its files by the clock */
    fd = guest_tmpfile();
    CHECK(pthread_mutex_unlock(&lock) == 0);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        one_length(me, fd, buffer, lengths[i], 1 + me * 1000);
        one_length(me, fd, buffer, lengths[i], GUEST_PAGE);
    }
    errors(fd, buffer);
    pthread_barrier_wait(&holes_used); /* what is mapped next may fill them */
    other_memory(fd, buffer);
    CHECK(close(fd) == 0);
    return NULL;
}

int main(void)
{
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    source = guest_map(MOST, PROT_READ | PROT_WRITE);
    for (int i = 0; i < MOST; i++) {
        source[i] = byte_of(9, i);
    }
    CHECK(pthread_barrier_init(&holes_used, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    puts("read_write: all lengths, all memory, all errors");
    return 0;
}
