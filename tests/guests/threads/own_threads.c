/*
 * The process has the threads that the program has started, and one that the emulator always has: by the
 * list of them, read in large pieces and small, by number, and by what is said of their number.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include <dirent.h>

#include "guest.h"

enum { THREADS = 6, MOST = 64 };

static pid_t tids[THREADS + 1];
static pthread_barrier_t barrier;

static int list(const char *folder, size_t room, pid_t *listed)
{
    char buffer[8192] __attribute__((aligned(8)));
    int fd = open(folder, O_RDONLY | O_DIRECTORY), count = 0;
    long n;

    CHECK(fd >= 0);
    while ((n = syscall(SYS_getdents64, fd, buffer, room)) > 0) {
        for (long at = 0; at < n; at += ((struct dirent64 *)(buffer + at))->d_reclen) {
            if (((struct dirent64 *)(buffer + at))->d_name[0] != '.') {
                CHECK(count < MOST);
                listed[count++] = atoi(((struct dirent64 *)(buffer + at))->d_name);
            }
        }
    }
    CHECK(n == 0 && close(fd) == 0);
    return count;
}

static bool is_listed(pid_t tid, const pid_t *listed, int count)
{
    for (int i = 0; i < count; i++) {
        if (listed[i] == tid) {
            return true;
        }
    }
    return false;
}

/* By the line of "status", and by the field of a thread's "stat". */
static void is_said(int count, const char *folder, pid_t tid)
{
    char path[64], line[1024];
    int said = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%d/status", folder, tid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Threads: %d", &said) == 1) {
            CHECK(said == count);
        }
    }
    CHECK(f && fclose(f) == 0 && said);
    snprintf(path, sizeof(path), "%s/%d/stat", folder, tid);
    f = fopen(path, "r");
    CHECK(f && fgets(line, sizeof(line), f) && strrchr(line, ')'));
    CHECK(sscanf(strrchr(line, ')'),
                 ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d",
                 &said) == 1);
    CHECK(said == count && fclose(f) == 0 && atoi(line) == tid);
}

static void look_into(const char *folder, size_t room)
{
    pid_t listed[MOST];
    int count = list(folder, room, listed);

    CHECK(count == THREADS + 2);
    for (int i = 0; i <= THREADS; i++) {
        CHECK(is_listed(tids[i], listed, count));
        is_said(count, folder, tids[i]);
    }
}

/* A number next to the guest's own that is not listed is nobody's. */
static void others_are_not_there(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    pid_t listed[MOST];
    int count = list(folder, 8192, listed);

    CHECK(fd >= 0);
    for (pid_t tid = tids[0]; tid < tids[0] + 100; tid++) {
        char path[64], name[16];

        snprintf(path, sizeof(path), "%s/%d", folder, tid);
        snprintf(name, sizeof(name), "%d/comm", tid);
        CHECK((access(path, F_OK) == 0) == is_listed(tid, listed, count));
        CHECK((faccessat(fd, name, F_OK, 0) == 0) == is_listed(tid, listed, count));
    }
    CHECK(close(fd) == 0);
}

static void look(void)
{
    char own[32];

    snprintf(own, sizeof(own), "/proc/%d/task", getpid());
    look_into("/proc/self/task", 8192);
    look_into("/proc/self/task", 32);
    look_into(own, 8192);
    others_are_not_there("/proc/self/task");
    others_are_not_there(own);
}

static void *run(void *arg)
{
    intptr_t i = (intptr_t)arg;

    tids[i + 1] = gettid();
    pthread_barrier_wait(&barrier);
    if (i < 2) {
        look();
    }
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    tids[0] = gettid();
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, run);
    pthread_barrier_wait(&barrier);
    look();
    pthread_barrier_wait(&barrier);
    guest_join(threads, THREADS);
    puts("own_threads: the program's");
}
