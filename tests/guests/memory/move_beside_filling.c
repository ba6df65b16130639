/*
 * Memory moves, again and again, to where threads on other nodes were a moment ago and fill fresh
 * memory in order, which is asked for ahead of them: what moves must not wait for what it keeps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=40 */
#include "guest.h"

enum { THREADS = 6, MOVES = 150, PAGES = 16 };
#define P ((size_t)GUEST_PAGE)

static OWN_PAGE atomic_int moved;

static void fill_and_read(unsigned char *m, int pages, int stamp)
{
    for (int i = 0; i < pages; i++) {
        m[i * P] = (unsigned char)(stamp + i);
    }
    for (int i = 0; i < pages; i++) {
        CHECK(m[i * P] == (unsigned char)(stamp + i));
    }
}

static void *filler(void *arg)
{
    int stamp = (int)(intptr_t)arg;

    while (atomic_load(&moved) < MOVES) {
        unsigned char *m = guest_map(PAGES * P, PROT_READ | PROT_WRITE);

        fill_and_read(m, PAGES, stamp++);
        CHECK(munmap(m, PAGES * P) == 0);
    }
    return NULL;
}

static void *mover(void *arg)
{
    int stamp = (int)(intptr_t)arg;

    while (atomic_load(&moved) < MOVES) {
        unsigned char *m = guest_map(4 * P, PROT_READ | PROT_WRITE);

        fill_and_read(m, 4, stamp);
        m = mremap(m, 4 * P, PAGES * P, MREMAP_MAYMOVE);
        CHECK(m != MAP_FAILED);
        for (int i = 0; i < PAGES; i++) {
            CHECK(m[i * P] == (i < 4 ? (unsigned char)(stamp + i) : 0));
        }
        CHECK(munmap(m, PAGES * P) == 0);
        atomic_fetch_add(&moved, 1);
        stamp++;
    }
    return NULL;
}

static void *run(void *arg)
{
    return (intptr_t)arg % 2 ? mover(arg) : filler(arg);
}

int main(void)
{
    guest_run(THREADS, run);
    puts("move_beside_filling: done");
    return 0;
}
