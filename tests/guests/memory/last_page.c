/*
 * The last pages of 32-bit addresses, whose end is zero again: discarded, protected, moved and unmapped
 * like all others, by the main thread and by remote ones. Elsewhere there is nothing to see.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=20 */
#include "guest.h"

#define P ((size_t)GUEST_PAGE)

static void check(unsigned char *m, int fd)
{
    CHECK(mmap(m, 2 * P, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0) == m);
    unsigned char was = m[P];

    memset(m, 1, 2 * P);
    CHECK(madvise(m, 2 * P, MADV_DONTNEED) == 0 && m[0] == was && m[P] == was);
    m[P] = 3;
    CHECK(mprotect(m, 2 * P, PROT_READ) == 0 && m[P] == 3);
    m = mremap(m, 2 * P, 3 * P, MREMAP_MAYMOVE);
    CHECK(m != MAP_FAILED && m[P] == 3 && munmap(m, 3 * P) == 0);
}

static void *work(void *arg)
{
    unsigned char *last = (unsigned char *)(uintptr_t)0xffffe000u;
    char name[] = "/tmp/last_page-XXXXXX", page[GUEST_PAGE];
    int fd = mkstemp(name);

    CHECK(fd >= 0 && unlink(name) == 0);
    memset(page, 7, sizeof(page));
    for (int i = 0; i < 3; i++) {
        CHECK(write(fd, page, sizeof(page)) == sizeof(page));
    }
    if (sizeof(void *) == 4) {
        check(last, -1);
        check(last, fd);
    }
    CHECK(close(fd) == 0);
    return arg;
}

int main(void)
{
    work(NULL);
    guest_elsewhere(work, NULL);
    work(NULL);
    puts("last_page: like all others");
    return 0;
}
