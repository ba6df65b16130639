/*
 * Mappings over mappings, anonymous memory and files in each other's place, by a thread on each side: what is
 * there afterwards is the new one, with its protection, for everybody; and threads that read there all
 * the time see nothing but the old or the new.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
#include <setjmp.h>

#include "guest.h"

enum { PAGES = 8, READERS = 2, ROUNDS = 25 };
#define P ((size_t)GUEST_PAGE)
#define LENGTH (PAGES * P)

static unsigned char *area;
static int file;
static OWN_PAGE atomic_int over;
static __thread sigjmp_buf out;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    siglongjmp(out, sig);
}

static bool may_write(volatile unsigned char *at)
{
    if (sigsetjmp(out, 1)) {
        return false;
    }
    *at = *at;
    return true;
}

static void map(int prot, int flags, int fd)
{
    void *at = mmap(area, LENGTH, prot, flags | MAP_FIXED, fd, 0);

    CHECK(at == area);
}

static void fill(int value)
{
    for (int i = 0; i < PAGES; i++) {
        memset(area + i * P, value, P);
    }
}

static void look(int first, int step)
{
    for (int i = 0; i < PAGES; i++) {
        CHECK(area[i * P] == first + i * step && area[i * P + P - 1] == first + i * step);
    }
}

/* Anonymous memory, full of 9, becomes a file, becomes anonymous, may not be written, is a file again... */
static void *change(void *arg)
{
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;

    for (int i = 0; i < ROUNDS; i++) {
        map(PROT_READ | PROT_WRITE, anonymous, -1);
        look(0, 0);
        fill(9);
        map(PROT_READ, MAP_PRIVATE, file);
        look(1, 1);
        CHECK(!may_write(area + P));
        map(PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
        look(1, 1);
        fill(9);
        map(PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
        look(1, 1);
        map(PROT_READ, anonymous, -1);
        look(0, 0);
        CHECK(!may_write(area));
        map(PROT_NONE, anonymous | MAP_NORESERVE, -1);
        CHECK(!may_write(area + P));
        map(PROT_READ | PROT_WRITE, anonymous, -1);
        look(0, 0);
        map(PROT_READ, MAP_SHARED, file); /* the kernel's own memory comes in its place, and goes */
        look(1, 1);
        map(PROT_READ | PROT_WRITE, anonymous, -1);
        look(0, 0);
        CHECK(munmap(area + 2 * P, 3 * P) == 0); /* a part of it is not there */
        map(PROT_READ | PROT_WRITE, anonymous, -1);
        look(0, 0);
    }
    return arg;
}

/* Of every page: zeroes, the file's, or what was written; its ends may be of different moments. */
static void *read_all(void *arg)
{
    while (!atomic_load(&over)) {
        for (volatile int i = 0; i < PAGES; i++) {
            if (sigsetjmp(out, 1) == 0) {
                int value = *(volatile unsigned char *)(area + i * P);

                CHECK(value == 0 || value == 9 || value == 1 + i);
            }
        }
    }
    return arg;
}

int main(void)
{
    unsigned char page[GUEST_PAGE];
    pthread_t readers[READERS];

    guest_handler(SIGSEGV, on_fault, 0);
    file = guest_tmpfile();
    for (int i = 0; i < PAGES; i++) {
        memset(page, 1 + i, sizeof(page));
        CHECK(write(file, page, sizeof(page)) == (ssize_t)sizeof(page));
    }
    area = guest_map(LENGTH, PROT_READ | PROT_WRITE);
    change(NULL);
    guest_elsewhere(change, NULL);
    guest_start(readers, READERS, read_all);
    change(NULL);
    guest_elsewhere(change, NULL);
    atomic_store(&over, 1);
    guest_join(readers, READERS);
    puts("map_over: old or new");
    return 0;
}
