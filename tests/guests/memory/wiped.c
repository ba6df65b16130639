/*
 * What was said of memory stays with it when it moves and grows, and not with its place: that forked children
 * find it empty (MADV_WIPEONFORK), and that it is locked. By the main thread before and after there are
 * others, by a remote thread, and in a child.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=60 */
#include "guest.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif

#define P ((size_t)GUEST_PAGE)
#define RW (PROT_READ | PROT_WRITE)

static void *fill(void *arg)
{
    unsigned char *m = arg;

    for (int i = 0; i < 4; i++) {
        m[i * P] = i + 1;
    }
    return NULL;
}

/* Does a child find the pages as they are ('k'), or empty ('w')? */
static void child_finds(const unsigned char *m, const char *pages)
{
    pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        for (int i = 0; pages[i]; i++) {
            CHECK(m[i * P] == (pages[i] == 'k' ? i + 1 : 0));
        }
        _exit(3);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static unsigned char *map_at(void *at, size_t length, int flags)
{
    unsigned char *m = mmap(at, length, RW, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    CHECK(m != MAP_FAILED && (!at || m == at));
    return m;
}

/* Two pages that are wiped between two that are not, with room behind. */
static unsigned char *map_wiped(bool remote)
{
    unsigned char *m = map_at(NULL, 8 * P, 0);

    CHECK(munmap(m + 4 * P, 4 * P) == 0);
    CHECK(madvise(m + P, 2 * P, MADV_WIPEONFORK) == 0);
    remote ? guest_elsewhere(fill, m) : fill(m);
    child_finds(m, "kwwk");
    return m;
}

static void moves(bool remote)
{
    unsigned char *m = map_wiped(remote), *to, *new;

    to = mremap(m, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, map_at(NULL, 4 * P, 0));
    CHECK(to != MAP_FAILED);
    child_finds(to, "kwwk");
    new = map_at(m, 4 * P, MAP_FIXED_NOREPLACE);
    fill(new);
    child_finds(new, "kkkk");
    /* and back onto it, over what is wiped itself */
    CHECK(madvise(new, 4 * P, MADV_WIPEONFORK) == 0);
    m = mremap(to, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, new);
    CHECK(m == new);
    child_finds(m, "kwwk");
    CHECK(madvise(m, 2 * P, MADV_KEEPONFORK) == 0);
    child_finds(m, "kkwk");
    CHECK(mmap(m + 2 * P, P, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m + 2 * P);
    fill(m);
    child_finds(m, "kkkk");
    CHECK(munmap(m, 4 * P) == 0);
}

static void grows(bool remote)
{
    unsigned char *m = map_wiped(remote), *to;

    CHECK(munmap(m + 3 * P, P) == 0);
    CHECK(mremap(m + 2 * P, P, 2 * P, 0) == m + 2 * P);
    fill(m);
    child_finds(m, "kwww");
    CHECK(munmap(m + 3 * P, P) == 0);
    map_at(m + 3 * P, P, MAP_FIXED_NOREPLACE);
    fill(m);
    child_finds(m, "kwwk");
    to = mremap(m + P, 2 * P, 4 * P, MREMAP_MAYMOVE);
    CHECK(to != MAP_FAILED);
    fill(to);
    child_finds(to, "wwww");
    CHECK(munmap(to, 4 * P) == 0 && munmap(m, 4 * P) == 0);
}

static void leaves(bool remote)
{
    unsigned char *m = map_wiped(remote), *to;

    to = mremap(m + P, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    CHECK(to != MAP_FAILED && to[0] == 2);
    fill(m);
    child_finds(m, "kwwk");
    to[0] = 1;
    to[P] = 2;
    child_finds(to, "ww");
    CHECK(munmap(to, 2 * P) == 0);
    munmap(m, 4 * P); /* for QEMU it is gone already, in part */
}

static bool is_locked(void *m)
{
    return madvise(m, P, MADV_DONTNEED) == -1 && errno == EINVAL;
}

static void locks(int flags)
{
    unsigned char *m = mmap(NULL, 4 * P, RW, flags | MAP_ANONYMOUS, -1, 0), *to;

    CHECK(m != MAP_FAILED && mlock(m + P, P) == 0);
    to = mremap(m, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, map_at(NULL, 4 * P, 0));
    CHECK(to != MAP_FAILED && !is_locked(to) && is_locked(to + P) && !is_locked(to + 2 * P));
    CHECK(map_at(m, 4 * P, MAP_FIXED_NOREPLACE) == m && !is_locked(m + P));
    CHECK(munmap(to + 2 * P, 2 * P) == 0 && mremap(to + P, P, 2 * P, 0) == to + P);
    CHECK(is_locked(to + 2 * P));
    CHECK(munmap(to, 3 * P) == 0 && munmap(m, 4 * P) == 0);
}

static void refused(void)
{
    unsigned char *m = mmap(NULL, P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(m != MAP_FAILED);
    CHECK(madvise(m, P, MADV_WIPEONFORK) == -1 && errno == EINVAL);
    CHECK(madvise(m, P, MADV_KEEPONFORK) == 0);
    CHECK(munmap(m, P) == 0);
}

/* What plain QEMU keeps within a reserved range, as all of a 32-bit guest, it can only move. */
static void *work(void *remote)
{
    moves(remote);
    refused();
    if (sizeof(void *) == 8) {
        grows(remote);
        leaves(remote);
        locks(MAP_PRIVATE);
        locks(MAP_SHARED);
    }
    return NULL;
}

static void in_child(void)
{
    unsigned char *m = map_wiped(true);
    pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        fill(m);
        child_finds(m, "kwwk");
        m = mremap(m, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, map_at(NULL, 4 * P, 0));
        CHECK(m != MAP_FAILED);
        child_finds(m, "kwwk");
        work(NULL);
        _exit(3);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(void)
{
    work(NULL);
    work("remote");
    work("remote");
    guest_elsewhere(work, NULL);
    in_child();
    puts("wiped: with the memory, not with the place");
    return 0;
}
