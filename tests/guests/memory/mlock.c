/*
 * Locking memory: results and errors of mlock(), munlock() and mlockall(), by the main thread before
 * and after there are others, and by remote threads. What is locked cannot be discarded, and goes on
 * being everybody's; locking everything takes neither for ever nor all of the machine's memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"

#include <sys/resource.h>

enum { PAGES = 8 };

static unsigned char *shared;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int error_of(int result)
{
    return result == 0 ? 0 : errno;
}

static void ranges(void)
{
    size_t length = PAGES * GUEST_PAGE;
    unsigned char *m = guest_map(length, PROT_READ | PROT_WRITE);

    m[0] = 1;
    CHECK(mlock(m, length) == 0);
    CHECK(mlock(m + 10, 20) == 0);
    CHECK(m[0] == 1 && m[length - 1] == 0);
    CHECK(madvise(m, length, MADV_DONTNEED) == -1 && errno == EINVAL && m[0] == 1);
    CHECK(munlock(m, length) == 0 && munlock(m, length) == 0);
    CHECK(madvise(m, length, MADV_DONTNEED) == 0 && m[0] == 0);
    CHECK(munmap(m + GUEST_PAGE, GUEST_PAGE) == 0);
    CHECK(error_of(mlock(m, length)) == ENOMEM);
    CHECK(error_of(munlock(m, length)) == ENOMEM);
    CHECK(error_of(mlock(m + GUEST_PAGE, 1)) == ENOMEM);
    CHECK(munlock(m, GUEST_PAGE) == 0);
    CHECK(mprotect(m, GUEST_PAGE, PROT_NONE) == 0);
    CHECK(error_of(mlock(m, 1)) == ENOMEM);
    CHECK(mlock(m, 0) == 0);
    CHECK(munmap(m, length) == 0);
}

/* Who may lock as much as he likes sees no limit. */
static void limits(void)
{
    size_t length = PAGES * GUEST_PAGE;
    struct rlimit old, low;
    unsigned char *m = guest_map(length, PROT_READ | PROT_WRITE);
    int result;

    CHECK(getrlimit(RLIMIT_MEMLOCK, &old) == 0);
    low = old;
    low.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_MEMLOCK, &low) == 0);
    result = error_of(mlock(m, length));
    CHECK(result == 0 || result == EPERM);
    if (result) {
        CHECK(error_of(mlockall(MCL_FUTURE)) == EPERM);
        low.rlim_cur = 5 * GUEST_PAGE; /* one of them is locked: `shared` */
        CHECK(setrlimit(RLIMIT_MEMLOCK, &low) == 0);
        CHECK(mlock(m, 3 * GUEST_PAGE) == 0);
        CHECK(error_of(mlock(m, length)) == ENOMEM);
        CHECK(mlock(m, 4 * GUEST_PAGE) == 0);
        CHECK(error_of(mlock(m + 4 * GUEST_PAGE, 1)) == ENOMEM);
        CHECK(error_of(mlockall(MCL_CURRENT)) == ENOMEM);
    }
    CHECK(munmap(m, length) == 0);
    CHECK(setrlimit(RLIMIT_MEMLOCK, &old) == 0);
}

static void everything(void)
{
    unsigned char *m;
    int result = error_of(mlockall(MCL_CURRENT));

    CHECK(result == 0 || result == ENOMEM);
    CHECK(error_of(mlockall(0)) == EINVAL);
    if (mlockall(MCL_FUTURE) == 0) {
        m = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
        CHECK(madvise(m, GUEST_PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
        CHECK(munmap(m, GUEST_PAGE) == 0);
    }
    CHECK(munlockall() == 0);
    m = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    CHECK(madvise(m, GUEST_PAGE, MADV_DONTNEED) == 0);
    CHECK(munmap(m, GUEST_PAGE) == 0);
}

static void *work(void *arg)
{
    CHECK(pthread_mutex_lock(&one_at_a_time) == 0);
    shared[(intptr_t)arg]++;
    CHECK(mlock(shared, GUEST_PAGE) == 0);
    ranges();
    limits();
    if (arg == NULL) { /* which takes QEMU long */
        everything();
    }
    CHECK(munlock(shared, GUEST_PAGE) == 0);
    shared[(intptr_t)arg]++;
    CHECK(pthread_mutex_unlock(&one_at_a_time) == 0);
    return NULL;
}

int main(void)
{
    shared = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    work((void *)0);
    guest_run(4, work);
    work((void *)1);
    CHECK(shared[0] == 4 && shared[1] == 4 && shared[2] == 2 && shared[3] == 2);
    pid_t child = fork();
    if (child == 0) {
        everything();
        _exit(shared[3]);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 2);
    puts("mlock: as the limits say");
    return 0;
}
