/*
 * The same from the other side: remote threads map, grow, move, shrink, forbid and unmap, and the
 * main thread and the other remote threads see it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, PAGES = 5 };

static pthread_barrier_t gate;
static unsigned char *volatile area[THREADS];

static void *worker(void *arg)
{
    int me = (intptr_t)arg, next = (me + 1) % THREADS;
    size_t length = PAGES * GUEST_PAGE;

    area[me] = guest_map(length, PROT_READ | PROT_WRITE);
    memset(area[me], me + 1, length);
    pthread_barrier_wait(&gate);
    for (size_t i = 0; i < length; i += 1021) {
        CHECK(area[next][i] == next + 1);
    }
    pthread_barrier_wait(&gate);
    /* Grow my neighbour's area; its start may move. */
    unsigned char *moved = mremap(area[next], length, 3 * length, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED);
    memset(moved + length, 100 + me, length);
    area[next] = moved;
    pthread_barrier_wait(&gate);
    for (size_t i = 0; i < length; i += 1021) {
        CHECK(area[me][i] == me + 1);
        CHECK(area[me][length + i] == 100 + (me + THREADS - 1) % THREADS);
        CHECK(area[me][2 * length + i] == 0);
    }
    pthread_barrier_wait(&gate);
    CHECK(mremap(area[next], 3 * length, GUEST_PAGE, 0) == area[next]);
    pthread_barrier_wait(&gate);
    /* Nobody can read what was cut off: the kernel says so without a signal. */
    int null = open("/dev/null", O_WRONLY), fds[2];
    CHECK(null >= 0 && pipe(fds) == 0);
    CHECK(write(fds[1], area[me] + GUEST_PAGE, 1) == -1 && errno == EFAULT);
    CHECK(write(fds[1], area[me], 1) == 1);
    CHECK(close(fds[0]) == 0 && close(fds[1]) == 0 && close(null) == 0);
    pthread_barrier_wait(&gate);
    CHECK(munmap(area[me], GUEST_PAGE) == 0);
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    for (int t = 0; t < THREADS; t++) {
        unsigned char vec;
        CHECK(mincore(area[t], GUEST_PAGE, &vec) == -1 && errno == ENOMEM);
    }
    puts("map_remote: grown, cut and unmapped by remote threads");
    return 0;
}
