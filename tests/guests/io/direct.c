/*
 * Files that are read and written past the page cache (O_DIRECT), by threads everywhere: the kernel
 * puts the bytes into memory by itself, whoever else uses the page meanwhile. An address that is not
 * aligned is refused as ever.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"
#include <sys/uio.h>

enum { THREADS = 3, BLOCK = 512, BLOCKS = 64, ROUNDS = 100 };

static char image[BLOCKS * BLOCK] OWN_PAGE;
/* blocks of each thread, and a word that the next thread counts up in the same page */
static struct {
    char block[GUEST_PAGE - BLOCK];
    atomic_uint counter;
    char rest[BLOCK - sizeof(atomic_uint)];
} area[THREADS] OWN_PAGE;
static int fd;
static bool aligned_only; /* not every file system has what this is about */

/* Two blocks, the later one first in memory. */
static void read_pieces(int self, int which)
{
    struct iovec piece[] = {{area[self].block + 2 * BLOCK, BLOCK}, {area[self].block, BLOCK}};

    which = which % (BLOCKS - 1);
    memset(area[self].block, 0, 3 * BLOCK);
    CHECK(preadv(fd, piece, 2, which * BLOCK) == 2 * BLOCK);
    CHECK(memcmp(area[self].block + 2 * BLOCK, image + which * BLOCK, BLOCK) == 0);
    CHECK(memcmp(area[self].block, image + (which + 1) * BLOCK, BLOCK) == 0);
    CHECK(pwritev(fd, piece, 2, which * BLOCK) == 2 * BLOCK);
}

static void *reader(void *arg)
{
    int self = (int)(intptr_t)arg, other = (self + 1) % THREADS;

    for (int r = 0; r < ROUNDS; r++) {
        int which = (r * THREADS + self) % BLOCKS;

        CHECK(pread(fd, area[self].block, BLOCK, which * BLOCK) == BLOCK);
        CHECK(memcmp(area[self].block, image + which * BLOCK, BLOCK) == 0);
        atomic_fetch_add(&area[other].counter, 1);
        CHECK(pwrite(fd, area[self].block, BLOCK, which * BLOCK) == BLOCK);
        read_pieces(self, which);
        atomic_fetch_add(&area[other].counter, 1);
    }
    if (aligned_only) {
        CHECK(pread(fd, area[self].block + 1, BLOCK, 0) == -1 && errno == EINVAL);
    }
    return NULL;
}

static int open_file(void)
{
    char name[] = "direct.XXXXXX";
    int made = mkstemp(name), direct;

    CHECK(made >= 0 && write(made, image, sizeof(image)) == (ssize_t)sizeof(image));
    direct = open(name, O_RDWR | O_DIRECT);
    if (direct >= 0 && pread(direct, area[0].block, BLOCK, 0) != BLOCK) { /* larger blocks */
        CHECK(close(direct) == 0);
        direct = -1;
    }
    aligned_only = direct >= 0 && pread(direct, area[0].block + 1, BLOCK, 0) == -1;
    CHECK(unlink(name) == 0);
    return direct >= 0 ? direct : made;
}

int main(void)
{
    for (int b = 0; b < BLOCKS; b++) {
        memset(image + b * BLOCK, b + 1, BLOCK);
    }
    fd = open_file();
    guest_run(THREADS, reader);
    for (int t = 0; t < THREADS; t++) {
        CHECK(atomic_load(&area[t].counter) == 2 * ROUNDS);
    }
    for (int b = 0; b < BLOCKS; b++) {
        CHECK(pread(fd, area[0].block, BLOCK, b * BLOCK) == BLOCK);
        CHECK(memcmp(area[0].block, image + b * BLOCK, BLOCK) == 0);
    }
    printf("direct: %d rounds of %d threads\n", ROUNDS, THREADS);
    return 0;
}
