/*
 * What is not mapped is not there for calls that programs find it out by (msync() of unwinders), and
 * shared memory can be mapped a second time by mremap().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=20 */
#include "guest.h"

static void probe(void)
{
    char *p = mmap(NULL, 2 * GUEST_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED && munmap(p + GUEST_PAGE, GUEST_PAGE) == 0);
    CHECK(msync(p, GUEST_PAGE, MS_ASYNC) == 0);
#if __SIZEOF_POINTER__ == 8 /* the emulator reserves all of a smaller address space */
    CHECK(msync(p + GUEST_PAGE, GUEST_PAGE, MS_ASYNC) == -1 && errno == ENOMEM);
    CHECK(msync(p, 2 * GUEST_PAGE, MS_ASYNC) == -1 && errno == ENOMEM);
#endif
    CHECK(msync(p + 1, GUEST_PAGE, MS_ASYNC) == -1 && errno == EINVAL);
    CHECK(munmap(p, GUEST_PAGE) == 0);
}

static void map_twice(void)
{
    char *p = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *again;

    CHECK(p != MAP_FAILED);
    again = mremap(p, 0, GUEST_PAGE, MREMAP_MAYMOVE);
    CHECK(again != MAP_FAILED && again != p);
    p[0] = 'x';
    CHECK(again[0] == 'x');
    CHECK(munmap(p, GUEST_PAGE) == 0 && again[0] == 'x' && munmap(again, GUEST_PAGE) == 0);
}

static void *both(void *arg)
{
    probe();
    map_twice();
    return arg;
}

int main(void)
{
    both(NULL);
    guest_elsewhere(both, NULL);
    printf("probe: done\n");
    return 0;
}
