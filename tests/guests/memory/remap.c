/*
 * mremap() in all its forms: in place, moved, onto a place, leaving the old one, and refused; by the
 * main thread before and after there are others, and by a remote thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=60 */
#include "guest.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define P ((size_t)GUEST_PAGE)

static unsigned char *touched;

static void *touch(void *arg)
{
    for (int i = 0; i < 8; i++) {
        touched[i * P] = (unsigned char)((intptr_t)arg + i);
    }
    return NULL;
}

static int refused(void *result)
{
    return result == MAP_FAILED ? errno : 0;
}

/* LENGTH bytes of a mapping that has room for ALL behind its beginning. */
static unsigned char *with_room(size_t length, size_t all, int flags)
{
    unsigned char *m =
        mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(m != MAP_FAILED && munmap(m, all) == 0);
    CHECK(mmap(m, length, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
               0) == m);
    return m;
}

static void in_place(int flags)
{
    size_t all = 4096 * P;
    unsigned char *m = with_room(4 * P, all, flags);

    memset(m, 1, 4 * P);
    CHECK(mremap(m, 4 * P, all, 0) == m);
    CHECK(m[4 * P - 1] == 1);
    if (flags == MAP_PRIVATE) { /* the shared memory itself does not grow */
        CHECK(m[all - 1] == 0);
    }
    CHECK(mremap(m, all, P, 0) == m && m[0] == 1);
    CHECK(mremap(m, P, 2 * P, 0) == m);
    if (flags == MAP_PRIVATE) {
        CHECK(m[P] == 0);
    }
    CHECK(munmap(m, 2 * P) == 0);
}

static void errors(void)
{
    unsigned char *m = guest_map(16 * P, PROT_READ | PROT_WRITE);

    CHECK(refused(mremap(m, 4 * P, 8 * P, 0)) == ENOMEM);
    CHECK(refused(mremap(m + 1, P, P, MREMAP_MAYMOVE)) == EINVAL);
    CHECK(refused(mremap(m, P, 0, 0)) == EINVAL);
    CHECK(refused(mremap(m, P, P, 64)) == EINVAL);
    CHECK(refused(mremap(m, P, P, MREMAP_FIXED, m + 8 * P)) == EINVAL);
    CHECK(refused(mremap(m, P, P, MREMAP_FIXED | MREMAP_MAYMOVE, m + 1)) == EINVAL);
    CHECK(refused(mremap(m, 4 * P, 4 * P, MREMAP_FIXED | MREMAP_MAYMOVE, m + P)) == EINVAL);
    CHECK(refused(mremap(m, P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) == EINVAL);
    CHECK(refused(mremap(m, 0, P, MREMAP_MAYMOVE)) == EINVAL);
    CHECK(mprotect(m, 4 * P, PROT_READ) == 0);
    CHECK(refused(mremap(m, 8 * P, 24 * P, MREMAP_MAYMOVE)) == EFAULT);
    CHECK(munmap(m + 12 * P, 4 * P) == 0);
    CHECK(refused(mremap(m + 12 * P, P, 2 * P, MREMAP_MAYMOVE)) == EFAULT);
    CHECK(refused(mremap(m + 8 * P, 8 * P, 12 * P, MREMAP_MAYMOVE)) == EFAULT);
    CHECK(m[0] == 0 && m[11 * P] == 0);
    CHECK(munmap(m, 12 * P) == 0);
}

static void moves(void)
{
    unsigned char *from = guest_map(8 * P, PROT_READ | PROT_WRITE);
    unsigned char *to = guest_map(16 * P, PROT_READ | PROT_WRITE), *m;

    memset(to, 9, 16 * P);
    touched = from;
    guest_elsewhere(touch, (void *)40);
    m = mremap(from, 8 * P, 8 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to + 4 * P);
    CHECK(m == to + 4 * P && m[0] == 40 && m[7 * P] == 47 && m[7 * P + 1] == 0);
    CHECK(to[0] == 9 && to[15 * P] == 9);
    m = mremap(m, 8 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    CHECK(m == to && to[0] == 40 && to[P] == 41 && to[2 * P] == 9);
    CHECK(refused(mremap(to + 4 * P, P, 2 * P, MREMAP_MAYMOVE)) == EFAULT);
    m = mremap(to, 2 * P, 64 * P, MREMAP_MAYMOVE);
    CHECK(m != MAP_FAILED && m[0] == 40 && m[P] == 41 && m[2 * P] == 0 && m[63 * P] == 0);
    CHECK(munmap(m, 64 * P) == 0);
    CHECK(munmap(to, 16 * P) == 0 && munmap(from, 8 * P) == 0);
}

/* The content goes, the mapping stays. */
static void leaves(void)
{
    unsigned char *m = guest_map(4 * P, PROT_READ | PROT_WRITE), *n;

    memset(m, 7, 4 * P);
    n = mremap(m, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    CHECK(n != MAP_FAILED && n != m && n[0] == 7 && n[4 * P - 1] == 7);
    CHECK(m[0] == 0 && m[4 * P - 1] == 0);
    m[0] = 8;
    CHECK(n[0] == 7 && munmap(n, 4 * P) == 0 && m[0] == 8);
    munmap(m, 4 * P); /* for QEMU it is gone already */
}

static void *work(void *arg)
{
    in_place(MAP_PRIVATE);
    errors();
    leaves();
    return arg;
}

int main(void)
{
    work(NULL);
    in_place(MAP_SHARED);
    moves();
    guest_elsewhere(work, NULL);
    work(NULL);
    in_place(MAP_SHARED);
    moves();
    puts("remap: moved, grown, left, refused");
    return 0;
}
