/*
 * A terabyte of addresses of which little is used, beside one shared page: protecting, discarding,
 * moving, forking and unmapping cost by what was touched, not by the size.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4 };
static const size_t GIB = (size_t)1 << 30;

static unsigned char *base, *sparse;

static void *use(void *arg)
{
    unsigned char *at = base + (intptr_t)arg * 100 * GIB;

    CHECK(mprotect(at, 1 << 20, PROT_READ | PROT_WRITE) == 0);
    memset(at, (int)(intptr_t)arg + 1, 1 << 20);
    sparse[(intptr_t)arg * 10 * GIB] = (unsigned char)((intptr_t)arg + 1);
    return NULL;
}

static unsigned char *reserve(size_t size, int prot)
{
    unsigned char *m = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(m != MAP_FAILED);
    return m;
}

int main(void)
{
    size_t size = 1024 * GIB;
    unsigned char *shared =
        mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    CHECK(shared != MAP_FAILED);
    *shared = 1;
    base = reserve(size, PROT_NONE);
    sparse = reserve(64 * GIB, PROT_READ | PROT_WRITE);
    guest_run(THREADS, use);
    sparse = mremap(sparse, 64 * GIB, 65 * GIB, MREMAP_MAYMOVE);
    CHECK(sparse != MAP_FAILED);
    for (size_t t = 0; t < THREADS; t++) {
        CHECK(base[t * 100 * GIB] == t + 1 && sparse[t * 10 * GIB] == t + 1);
    }
    CHECK(sparse[GIB] == 0 && sparse[65 * GIB - 1] == 0);
    CHECK(mprotect(base + 500 * GIB, size - 500 * GIB, PROT_READ) == 0);
    CHECK(madvise(base, size, MADV_DONTNEED) == 0);
    CHECK(mprotect(base, GUEST_PAGE, PROT_READ) == 0 && base[0] == 0 && base[100 * GIB] == 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(sparse[10 * GIB]);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 2);
    CHECK(munmap(base, size) == 0 && munmap(sparse, 65 * GIB) == 0 && *shared == 1);
    puts("huge_reserved: done");
    return 0;
}
