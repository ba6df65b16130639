/*
 * Private mappings of files: all threads read the file's contents, writes are shared among the
 * threads but never reach the file, and DONTNEED brings the file's contents back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4, PAGES = 8, LENGTH = (PAGES - 1) * GUEST_PAGE + 100 };

static pthread_barrier_t gate;
static unsigned char *map, *tail;
static int fd;

static unsigned char original(int i)
{
    return i * 7 + i / GUEST_PAGE;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int i = me; i < LENGTH; i += 251) {
        CHECK(map[i] == original(i));
    }
    /* Past the end of the file, the rest of its last page is zero. */
    CHECK(map[LENGTH + me] == 0);
    CHECK(tail[me] == original(2 * GUEST_PAGE + me));
    pthread_barrier_wait(&gate);
    map[me * 1000] = 200 + me;
    map[5 * GUEST_PAGE + me] = 100 + me;
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++) {
        unsigned char byte;
        CHECK(map[t * 1000] == 200 + t);
        CHECK(map[5 * GUEST_PAGE + t] == 100 + t);
        CHECK(pread(fd, &byte, 1, t * 1000) == 1 && byte == original(t * 1000));
    }
    pthread_barrier_wait(&gate);
    if (me == 0) {
        CHECK(madvise(map + 5 * GUEST_PAGE, GUEST_PAGE, MADV_DONTNEED) == 0);
    }
    pthread_barrier_wait(&gate);
    CHECK(map[5 * GUEST_PAGE + me] == original(5 * GUEST_PAGE + me));
    CHECK(map[me * 1000] == 200 + me);

    /* A mapping made here, of the part from the third page on. */
    unsigned char *mine = mmap(NULL, 3 * GUEST_PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * GUEST_PAGE);
    CHECK(mine != MAP_FAILED);
    CHECK(memcmp(mine, tail, 3 * GUEST_PAGE) == 0);
    CHECK(munmap(mine, 3 * GUEST_PAGE) == 0);
    return NULL;
}

int main(void)
{
    static unsigned char contents[LENGTH];

    for (int i = 0; i < LENGTH; i++) {
        contents[i] = original(i);
    }
    fd = guest_tmpfile();
    CHECK(write(fd, contents, LENGTH) == LENGTH);
    map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(map != MAP_FAILED);
    tail = mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE, fd, 2 * GUEST_PAGE);
    CHECK(tail != MAP_FAILED);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    puts("private_file: read, written apart from the file, and read again");
    return 0;
}
