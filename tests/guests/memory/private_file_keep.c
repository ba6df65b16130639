/*
 * mremap() with MREMAP_DONTUNMAP of private file mappings: what was written is at the new place, and the old
 * one has the file's content again, as it is then; neither depends on the other; by the main thread, by a
 * remote one, and in the child of a fork, where such mappings also move and grow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include "guest.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

enum { PAGES = 8 };
#define P ((size_t)GUEST_PAGE)
#define LENGTH (PAGES * P)

static int file;

static void set_file(int page, unsigned char byte)
{
    CHECK(pwrite(file, &byte, 1, page * P) == 1);
}

static unsigned char *map_file(size_t length, int page)
{
    unsigned char *m =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, (off_t)(page * P));

    CHECK(m != MAP_FAILED);
    return m;
}

static void *write_some(void *map)
{
    unsigned char *m = map;

    m[P] = 101;
    m[3 * P + 5] = 103;
    CHECK(m[5 * P] == 6);
    return NULL;
}

static void *keep(void *map, size_t length, void *to)
{
    return mremap(map, length, length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | (to ? MREMAP_FIXED : 0),
                  to);
}

static void is_file(const unsigned char *m, int page)
{
    for (int i = 0; i < PAGES - page; i++) {
        CHECK(m[i * P] == page + i + 1 && m[i * P + 5] == 0);
    }
}

static void is_written(const unsigned char *m)
{
    CHECK(m[0] == 1 && m[P] == 101 && m[3 * P] == 4 && m[3 * P + 5] == 103 && m[7 * P] == 8);
}

static void *is_file_there(void *map)
{
    is_file(map, 0);
    return NULL;
}

/* The old place, the new one, and the old one's next one. */
static void leave(bool remote)
{
    unsigned char *m = map_file(LENGTH, 0), *n, *next;

    remote ? guest_elsewhere(write_some, m) : write_some(m);
    n = keep(m, LENGTH, NULL);
    CHECK(n != MAP_FAILED && n != m);
    set_file(2, 77); /* nobody has touched it */
    CHECK(m[2 * P] == 77);
    set_file(2, 3);
    is_written(n);
    CHECK(m[P] == 2 && m[3 * P + 5] == 0);
    m[6 * P] = 99;
    CHECK(n[6 * P] == 7);
    n[6 * P] = 98;
    next = keep(m, LENGTH, n);
    CHECK(next == n && n[6 * P] == 99 && n[P] == 2 && m[6 * P] == 7);
    CHECK(munmap(n, LENGTH) == 0);
    is_file_there(m);
    remote ? guest_elsewhere(is_file_there, m) : is_file_there(m);
    munmap(m, LENGTH); /* for QEMU it is gone already */
}

/* The middle of a mapping of a later part of the file; it is then moved, grown, and given back. */
static void leave_part(void)
{
    unsigned char *m = map_file(6 * P, 2), *n, *moved;

    m[2 * P + 5] = 55;
    n = keep(m + P, 3 * P, NULL);
    CHECK(n != MAP_FAILED && n[0] == 4 && n[P + 5] == 55 && n[2 * P] == 6);
    is_file(m, 2);
    moved = mremap(n, 3 * P, 4 * P, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && moved[P + 5] == 55 && moved[3 * P] == 7);
    CHECK(madvise(moved, 4 * P, MADV_DONTNEED) == 0 && moved[P + 5] == 0 && moved[P] == 5);
    CHECK(munmap(moved, 4 * P) == 0);
    munmap(m, 6 * P);
}

static void move_and_grow(unsigned char *m)
{
    unsigned char *to;

    m[4 * P + 9] = 44;
    to = mremap(m, 7 * P, LENGTH, MREMAP_MAYMOVE);
    CHECK(to != MAP_FAILED);
    is_written(to);
    CHECK(to[4 * P + 9] == 44);
    CHECK(madvise(to, LENGTH, MADV_DONTNEED) == 0);
    is_file(to, 0);
    to = mremap(to, LENGTH, 2 * P, 0);
    CHECK(to != MAP_FAILED && to[P] == 2);
}

/* The end lies beyond the end of the file, which grows as well. */
static void grow_beyond(unsigned char *m)
{
    unsigned char *to = mremap(m, LENGTH + 2 * P, LENGTH + 4 * P, MREMAP_MAYMOVE);

    CHECK(to != MAP_FAILED);
    is_written(to);
    set_file(PAGES + 3, 12);
    CHECK(to[LENGTH + P] == 0 && to[LENGTH + 3 * P] == 12);
    CHECK(munmap(to, LENGTH + 4 * P) == 0 && ftruncate(file, LENGTH) == 0);
}

static void in_child(void)
{
    unsigned char *m = map_file(LENGTH, 0), *other = map_file(7 * P, 0), *n;
    unsigned char *beyond = map_file(LENGTH + 2 * P, 0);
    pid_t child;
    int status;

    guest_elsewhere(write_some, m);
    guest_elsewhere(write_some, other);
    guest_elsewhere(write_some, beyond);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        n = keep(m, LENGTH, NULL);
        CHECK(n != MAP_FAILED);
        is_written(n);
        is_file(m, 0);
        move_and_grow(other);
        leave(false);
        grow_beyond(beyond);
        _exit(7);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    is_written(m);
    CHECK(munmap(m, LENGTH) == 0 && munmap(other, 7 * P) == 0);
    CHECK(munmap(beyond, LENGTH + 2 * P) == 0);
}

static void *work(void *remote)
{
    leave(remote != NULL);
    leave_part();
    return NULL;
}

int main(void)
{
    file = guest_tmpfile();
    for (int i = 0; i < PAGES; i++) {
        set_file(i, i + 1);
    }
    CHECK(ftruncate(file, LENGTH) == 0);
    work(NULL);
    work("remote");
    guest_elsewhere(work, NULL);
    in_child();
    puts("private_file_keep: written there, the file's here");
    return 0;
}
