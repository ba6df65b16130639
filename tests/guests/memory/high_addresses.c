/*
 * Runtimes ask for memory at addresses of their own choice, tebibytes apart, as hints and as fixed
 * places: they get them, and threads on all nodes use them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

#define TIB (UINT64_C(1) << 40)
enum { THREADS = 4, LENGTH = 16 * GUEST_PAGE };

static const uint64_t places[] = {2 * TIB,  6 * TIB,  12 * TIB, 16 * TIB + 0x80000000,
                                  20 * TIB, 24 * TIB, 48 * TIB, 63 * TIB};
static char *made;

static char *at(uint64_t place, int flags)
{
    return mmap((void *)(uintptr_t)place, LENGTH, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* False sharing in the first page; a page for each behind it. */
static void *use(void *arg)
{
    intptr_t self = (intptr_t)arg;

    for (int i = 0; i < 1000; i++) {
        ((volatile char *)made)[self * 64]++;
    }
    memset(made + (1 + self) * GUEST_PAGE, 'a' + (int)self, GUEST_PAGE);
    return NULL;
}

static void look(void)
{
    for (int i = 0; i < THREADS; i++) {
        CHECK(made[i * 64] == (char)1000 && made[(1 + i) * GUEST_PAGE] == 'a' + i);
    }
}

static void *ask(void *arg)
{
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        made = at(places[i], 0);
        CHECK((uintptr_t)made == places[i] && munmap(made, LENGTH) == 0);
        made = at(places[i], MAP_FIXED_NOREPLACE);
        CHECK((uintptr_t)made == places[i]);
        CHECK(at(places[i], MAP_FIXED_NOREPLACE) == MAP_FAILED && errno == EEXIST);
        guest_run(THREADS, use);
        look();
        CHECK(munmap(made, LENGTH) == 0);
    }
    return arg;
}

int main(void)
{
    ask(NULL);
    guest_elsewhere(ask, NULL);
    puts("there");
}
