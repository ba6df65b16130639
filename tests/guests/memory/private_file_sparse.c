/*
 * A private mapping of a huge sparse file: data is where the file has data, the rest is zero, and
 * mapping, writing and discarding it cost what its data costs. One mapping is made by the main
 * thread before there are others, one by a thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4 };
#define LENGTH ((size_t)10 << 30)
#define GAP (LENGTH / 8)

static unsigned char *early, *late;
static pthread_barrier_t gate;
static int fd;

static unsigned char original(int i)
{
    return 10 + i;
}

/* An island of data per gap, a page long, not on the first page of its gap but the first one. */
static size_t island(int i)
{
    return i * GAP + i * 3 * GUEST_PAGE;
}

static void is_untouched(const unsigned char *map)
{
    for (int i = 0; i < 8; i++) {
        const unsigned char *at = map + island(i);

        CHECK(at[0] == original(i) && at[GUEST_PAGE - 1] == original(i));
        CHECK(at[GUEST_PAGE] == 0 && at[GAP - 4 * 8 * GUEST_PAGE] == 0);
    }
    CHECK(map[LENGTH - 1] == 99);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    CHECK(early[island(4) + GUEST_PAGE] == 77);
    pthread_barrier_wait(&gate);
    if (me == 0) {
        CHECK(madvise(early + GAP, LENGTH - GAP, MADV_DONTNEED) == 0);
    }
    if (me == 1) {
        late = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
        CHECK(late != MAP_FAILED);
    }
    pthread_barrier_wait(&gate);
    is_untouched(early);
    is_untouched(late);
    pthread_barrier_wait(&gate);

    /* Written in data and in a hole, and discarded by another thread. */
    late[island(me)] = 1;
    late[island(me) + 100 * GUEST_PAGE] = 2;
    CHECK(late[island(me)] == 1 && late[island(me) + 100 * GUEST_PAGE] == 2);
    pthread_barrier_wait(&gate);
    CHECK(late[island((me + 1) % THREADS)] == 1);
    CHECK(late[island((me + 1) % THREADS) + 100 * GUEST_PAGE] == 2);
    pthread_barrier_wait(&gate);
    if (me == 2) {
        CHECK(madvise(late, LENGTH, MADV_DONTNEED) == 0);
    }
    pthread_barrier_wait(&gate);
    CHECK(late[island(me) + 100 * GUEST_PAGE] == 0);
    is_untouched(late);
    return NULL;
}

int main(void)
{
    unsigned char page[GUEST_PAGE];

    fd = guest_tmpfile();
    CHECK(ftruncate(fd, LENGTH) == 0);
    for (int i = 0; i < 8; i++) {
        memset(page, original(i), sizeof(page));
        CHECK(pwrite(fd, page, sizeof(page), island(i)) == sizeof(page));
    }
    CHECK(pwrite(fd, "\x63", 1, LENGTH - 1) == 1);
    early = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    CHECK(early != MAP_FAILED);
    early[island(4) + GUEST_PAGE] = 77;
    early[island(3)] = 78;
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    puts("private_file_sparse: data, holes, and both again");
    return 0;
}
