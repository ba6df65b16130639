/*
 * Runtimes ask for memory at addresses of their own choice, anywhere in 47 bits, as hints and as fixed
 * places: they get them, threads on all nodes and forked children use them, memory moves there, and
 * /proc/self/maps shows them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"

#define TIB (UINT64_C(1) << 40)
enum { THREADS = 4, LENGTH = 16 * GUEST_PAGE };

static const uint64_t places[] = {
    2 * TIB,  6 * TIB,  12 * TIB, 16 * TIB + 0x80000000, 20 * TIB, 24 * TIB,
    48 * TIB, 63 * TIB, 80 * TIB, 85 * TIB + (TIB >> 2), 96 * TIB, 123 * TIB,
    126 * TIB};
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

/* As it was before the fork; what it writes is its own. */
static void fork_and_look(void)
{
    int status, pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        look();
        memset(made, 0, LENGTH);
        CHECK(mmap(made, LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
              made);
        _exit(munmap(made, LENGTH) == 0 ? 7 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    look();
}

/* The mapping is listed; and nothing is that the guest has not made. */
static void find_listed(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long from, to;
    char line[512];
    int found = 0;

    CHECK(maps);
    while (fgets(line, sizeof(line), maps)) {
        CHECK(sscanf(line, "%lx-%lx", &from, &to) == 2);
        CHECK(to <= 64 * TIB || from >= 86 * TIB || (from >= 80 * TIB && to <= 81 * TIB) ||
              (from >= 85 * TIB && to < 0x555555554000));
        found += from <= (uintptr_t)made && to >= (uintptr_t)made + LENGTH;
    }
    CHECK(fclose(maps) == 0 && found == 1);
}

static void move_away_and_back(void)
{
    char *low = guest_map(LENGTH, PROT_READ);

    CHECK(mremap(made, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, low) == low);
    CHECK(low[GUEST_PAGE] == 'a');
    CHECK(mremap(low, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, made) == made);
    look();
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
        find_listed();
        move_away_and_back();
        fork_and_look();
        CHECK(mprotect(made, LENGTH, PROT_READ) == 0 && madvise(made, LENGTH, MADV_DONTNEED) == 0);
        CHECK(made[0] == 0 && made[LENGTH - 1] == 0);
        CHECK(munmap(made, LENGTH) == 0);
    }
    return arg;
}

/* A child is the first to ask. */
static void ask_in_child(void)
{
    int status, pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        made = at(96 * TIB, 0);
        CHECK((uintptr_t)made == 96 * TIB);
        memset(made, 1, LENGTH);
        _exit(7);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(void)
{
    ask_in_child();
    ask(NULL);
    guest_elsewhere(ask, NULL);
    puts("there");
}
