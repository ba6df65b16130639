/*
 * /proc/PID/mem of another process: what threads on any node have written since, a child reads there, and what
 * it writes, they find; on pages that several of them use at once, too, and in protected ones. What is not mapped
 * is an error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include <sys/prctl.h>
#include <sys/uio.h>

#include "memory_file.h"

enum { THREADS = 4, TURNS = 3, HEAD = 8 };

static volatile long counts[512]; /* each thread's own, on one page */
static long copy[WORDS];          /* the child's */
static pthread_barrier_t gate;
static int to_child[2], from_child[2];

static long word(int seed, size_t i)
{
    return seed * 1000003L + (long)i;
}

static void child_turn(int fd, int seed)
{
    struct iovec parts[2] = {{copy, 3 * GUEST_PAGE}, {(char *)copy + 3 * GUEST_PAGE, GUEST_PAGE}};
    char text[4] = "";
    long count = 0;

    CHECK(pread(fd, copy, sizeof(copy), place(words)) == (ssize_t)sizeof(copy));
    for (size_t i = 0; i < WORDS; i++) {
        CHECK(copy[i] == word(seed, i));
    }
    memset(copy, 0, sizeof(copy));
    CHECK(preadv(fd, parts, 2, place(words)) == 4 * GUEST_PAGE && copy[600] == word(seed, 600));
    CHECK(lseek(fd, place(&words[3]), SEEK_SET) == place(&words[3]));
    CHECK(read(fd, &count, sizeof(count)) == sizeof(count) && count == word(seed, 3));
    CHECK(lseek(fd, 0, SEEK_CUR) == place(&words[4]));
    for (int t = 0; t < THREADS; t++) {
        CHECK(pread(fd, &count, sizeof(count), place(&counts[t * 16])) == sizeof(count));
        CHECK(count == 1000L * (seed + 1));
    }
    for (size_t i = 0; i < HEAD; i++) {
        copy[i] = -word(seed, i);
    }
    CHECK(pwrite(fd, copy, HEAD * sizeof(long), place(words)) == HEAD * (ssize_t)sizeof(long));
    count = -seed;
    CHECK(pwrite(fd, &count, sizeof(count), place(&counts[100])) == sizeof(count));
    CHECK(pread(fd, text, 3, place(closed)) == 3 && text[0] == 'a' && text[2] == 'c');
    CHECK(pwrite(fd, "xyz", 3, place(closed) + 3) == 3);
    CHECK(pread(fd, text, 3, place(gone)) < 0 && errno == EIO);
    CHECK(pwrite(fd, text, 3, place(gone)) < 0 && errno == EIO);
    CHECK(pread(fd, text, 4, place(gone) - 2) == 2);
}

static void child(pid_t parent)
{
    char path[64], turn;
    int fd, readable;

    snprintf(path, sizeof(path), "/proc/%d/mem", (int)parent);
    CHECK(read(to_child[0], &turn, 1) == 1); /* it lets us look */
    fd = open(path, O_RDWR);
    readable = open(path, O_RDONLY);
    CHECK(fd >= 0 && readable >= 0);
    while (read(to_child[0], &turn, 1) == 1) {
        child_turn(fd, turn);
        CHECK(write(from_child[1], &turn, 1) == 1);
    }
    CHECK(pwrite(readable, "x", 1, place(words)) < 0 && errno == EBADF);
    _exit(7);
}

/* Each thread in turn fills the memory, has the child look, and finds what that wrote. */
static void *work(void *arg)
{
    int me = (int)(intptr_t)arg;
    char turn;

    for (turn = 0; turn < TURNS * THREADS; turn++) {
        for (int i = 0; i < 1000; i++) {
            counts[me * 16]++;
        }
        pthread_barrier_wait(&gate);
        if (turn % THREADS == me) {
            for (size_t i = 0; i < WORDS; i++) {
                words[i] = word(turn, i);
            }
            CHECK(write(to_child[1], &turn, 1) == 1 && read(from_child[0], &turn, 1) == 1);
        }
        pthread_barrier_wait(&gate);
        for (size_t i = 0; i < HEAD; i++) {
            CHECK(((volatile long *)words)[i] == -word(turn, i));
        }
        CHECK(words[HEAD] == word(turn, HEAD) && counts[100] == -turn);
        pthread_barrier_wait(&gate);
    }
    return arg;
}

int main(void)
{
    int status;
    pid_t pid, parent = getpid();

    make_memory();
    CHECK(pipe(to_child) == 0 && pipe(from_child) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(to_child[1]);
        child(parent);
    }
    close(from_child[1]);
    prctl(PR_SET_PTRACER, pid, 0, 0, 0); /* where the kernel has that */
    CHECK(write(to_child[1], "", 1) == 1);
    guest_run(THREADS, work);
    close(to_child[1]);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(mprotect(closed, GUEST_PAGE, PROT_READ) == 0 && memcmp(closed, "abcxyz", 6) == 0);
    puts("others_memory: read and written by a child");
    return 0;
}
