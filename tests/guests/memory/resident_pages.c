/*
 * mincore() from any thread: of the pages of anonymous memory, those are there that some thread has written
 * to, and are until they are discarded; of mapped files, those that the kernel has in its cache.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, PAGES = 256, STEP = 9 };

static char *area;
static char *files[2];

/* Beside it nothing is accessible: so the kernel does not make it one with its neighbours, and huge. */
static char *map_alone(void)
{
    char *p = guest_map((PAGES + 2) * GUEST_PAGE, PROT_NONE);

    CHECK(mprotect(p + GUEST_PAGE, PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE) == 0);
    return p + GUEST_PAGE;
}

static bool is_written(int page)
{
    return page % STEP < THREADS;
}

static void *write_some(void *arg)
{
    for (int i = (intptr_t)arg; i < PAGES; i += STEP) {
        area[i * GUEST_PAGE + i] = 1;
    }
    return arg;
}

static void is_there(const char *p, int all)
{
    unsigned char there[PAGES] = {0};

    CHECK(mincore((void *)p, PAGES * GUEST_PAGE, there) == 0);
    for (int i = 0; i < PAGES; i++) {
        CHECK((there[i] & 1) == (all >= 0 ? all : is_written(i)));
    }
    memset(there, 0, sizeof(there));
    CHECK(mincore((void *)(p + GUEST_PAGE), 3 * GUEST_PAGE - 1, there) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK((there[i] & 1) == (all >= 0 ? all : is_written(i + 1)));
    }
    CHECK(there[3] == 0);
}

static void is_wrong(void)
{
    unsigned char there[PAGES + 2] = {0};

    CHECK(mincore(area + 1, GUEST_PAGE, there) == -1 && errno == EINVAL);
    CHECK(mincore(area, PAGES * GUEST_PAGE, NULL) == -1 && errno == EFAULT);
    CHECK(mincore(area, 0, there) == 0);
}

static void *look(void *arg)
{
    is_there(area, -1);
    is_there(files[0], 1);
    is_there(files[1], 1);
    is_wrong();
    return arg;
}

static void *discard(void *arg)
{
    CHECK(madvise(area, PAGES * GUEST_PAGE, MADV_DONTNEED) == 0);
    is_there(area, 0);
    return arg;
}

static char *map_file(int flags)
{
    int fd = memfd_create("resident", 0); /* what is in it stays in the cache */
    char *p, *bytes = calloc(PAGES, GUEST_PAGE);

    for (int i = 0; i < PAGES; i += 2) {
        bytes[i * GUEST_PAGE] = 1;
    }
    CHECK(fd >= 0 && write(fd, bytes, PAGES * GUEST_PAGE) == PAGES * GUEST_PAGE);
    free(bytes);
    p = mmap(NULL, PAGES * GUEST_PAGE, PROT_READ, flags, fd, 0);
    CHECK(p != MAP_FAILED && close(fd) == 0);
    return p;
}

int main(void)
{
    area = map_alone();
    files[0] = map_file(MAP_PRIVATE);
    files[1] = map_file(MAP_SHARED);
    for (int i = 0; i < 3; i++) {
        is_there(area, 0);
        guest_run(THREADS, write_some);
        guest_run(THREADS, look);
        look(NULL);
        i % 2 ? guest_elsewhere(discard, NULL) : discard(NULL);
    }
    puts("resident_pages: what was written to");
}
