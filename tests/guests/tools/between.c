/*
 * Beside the emulator: what a guest with several nodes asks of addresses that are the emulator's own, as
 * they lie between its own (qemu/glue/wide.h). Under plain QEMU it would destroy the emulator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#ifndef MREMAP_FIXED
#define MREMAP_FIXED 2
#endif

#define TIB (UINT64_C(1) << 40)
#define P ((size_t)GUEST_PAGE)

static char *fixed(uint64_t at, size_t length, int more)
{
    return mmap((void *)(uintptr_t)at, length, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | more, -1, 0);
}

static int refused(const void *result)
{
    return result == MAP_FAILED ? errno : 0;
}

static void *forbid(uint64_t at, size_t length)
{
    return mmap((void *)(uintptr_t)at, length, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* As sanitizers do it to what they have no use for: it cannot be used, whose ever it is. */
static void try_to_forbid(void)
{
    const uint64_t from[] = {62 * TIB, 70 * TIB, 0x555555554000, 86 * TIB};
    const size_t length[] = {20 * TIB, TIB, TIB, 4 * TIB};

    for (unsigned i = 0; i < sizeof(from) / sizeof(*from); i++) {
        CHECK((uintptr_t)forbid(from[i], length[i]) == from[i]);
    }
    CHECK(refused(fixed(63 * TIB, P, MAP_FIXED_NOREPLACE)) == EEXIST);
    CHECK(refused(fixed(80 * TIB, P, MAP_FIXED_NOREPLACE)) == EEXIST);
    CHECK(refused(fixed(89 * TIB, P, MAP_FIXED_NOREPLACE)) == EEXIST);
    CHECK(mprotect((void *)(uintptr_t)(70 * TIB), P, PROT_READ) == -1 && errno == ENOMEM);
    for (unsigned i = 0; i < sizeof(from) / sizeof(*from); i++) {
        CHECK(munmap((void *)(uintptr_t)from[i], length[i]) == 0);
    }
    CHECK((uintptr_t)fixed(80 * TIB, P, MAP_FIXED_NOREPLACE) == 80 * TIB);
    CHECK(munmap((void *)(uintptr_t)(80 * TIB), P) == 0);
}

static void *try_all(void *arg)
{
    const uint64_t inside[] = {64 * TIB,     70 * TIB,       80 * TIB - P, 81 * TIB,
                               85 * TIB - P, 0x555555554000, 87 * TIB - P};
    char *high = fixed(96 * TIB, 2 * P, MAP_FIXED), *low = guest_map(P, PROT_READ | PROT_WRITE);

    CHECK((uintptr_t)high == 96 * TIB);
    for (unsigned i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
        void *at = (void *)(uintptr_t)inside[i];

        CHECK(refused(fixed(inside[i], P, MAP_FIXED)) == ENOMEM);
        CHECK(refused(fixed(inside[i], P, MAP_FIXED_NOREPLACE)) == EEXIST);
        CHECK(fixed(inside[i], P, 0) != at);
        CHECK(mprotect(at, P, PROT_NONE) == -1 && errno == ENOMEM);
        CHECK(madvise(at, P, MADV_DONTNEED) == -1 && errno == ENOMEM);
        CHECK(refused(mremap(low, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, at)) == ENOMEM);
        CHECK(mremap(at, P, P, MREMAP_MAYMOVE) == MAP_FAILED);
        CHECK(munmap(at, P) == 0);
    }
    /* ranges that begin or end in there */
    CHECK(refused(fixed(63 * TIB, 2 * TIB, MAP_FIXED)) == ENOMEM);
    CHECK(refused(fixed(86 * TIB, 2 * TIB, MAP_FIXED)) == ENOMEM);
    *high = 1;
    CHECK(munmap((void *)(uintptr_t)(60 * TIB), 22 * TIB) == 0);
    CHECK(munmap((void *)(uintptr_t)(86 * TIB), 10 * TIB + P) == 0); /* all, and a page of ours */
    CHECK(fixed(96 * TIB, P, MAP_FIXED_NOREPLACE) == high && *high == 0);
    CHECK(munmap(high, 2 * P) == 0);
    try_to_forbid();
    return arg;
}

/* Where one of the nodes cannot have them. */
static void *try_without(void *arg)
{
    char *m = fixed(96 * TIB, P, 0);

    CHECK(m != MAP_FAILED && (uintptr_t)m != 96 * TIB);
    *m = 1;
    CHECK(munmap(m, P) == 0);
    CHECK(refused(fixed(96 * TIB, P, MAP_FIXED)) == ENOMEM);
    CHECK(refused(fixed(96 * TIB, P, MAP_FIXED_NOREPLACE)) == ENOMEM);
    return arg;
}

int main(int argc, char **argv)
{
    int pid, status;

    if (argc > 1 && strcmp(argv[1], "without") == 0) {
        try_without(NULL);
        guest_elsewhere(try_without, NULL);
        puts("nothing happened");
        return 0;
    }
    try_all(NULL);
    guest_elsewhere(try_all, NULL);
    pid = fork();
    if (pid == 0) {
        try_all(NULL);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    puts("nothing happened");
    return 0;
}
