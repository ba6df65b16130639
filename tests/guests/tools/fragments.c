/*
 * Memory of many areas that remote threads use while it is mapped, protected and unmapped: see
 * tests/e2e/areas.t.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include <setjmp.h>

#define P ((size_t)GUEST_PAGE)

enum { PAGES = 6000, THREADS = 2 };

static unsigned char *area;
static pthread_barrier_t gate;
static sigjmp_buf back;

static void caught(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    siglongjmp(back, 1);
}

static int faults(volatile unsigned char *at)
{
    if (sigsetjmp(back, 1)) {
        return 1;
    }
    *at = 9;
    return 0;
}

static unsigned char of_page(int page)
{
    return page % 251;
}

/* The first thread cuts it to pieces; all look at them. */
static void *work(void *arg)
{
    int me = (intptr_t)arg;

    for (int i = me; i < PAGES; i += THREADS) {
        area[i * P] = of_page(i);
    }
    pthread_barrier_wait(&gate);
    for (int i = 1; me == 0 && i < PAGES; i += 2) {
        CHECK(mprotect(area + i * P, P, PROT_READ) == 0);
    }
    pthread_barrier_wait(&gate);
    for (int i = 0; i < PAGES; i++) {
        CHECK(area[i * P] == of_page(i));
    }
    for (int i = me * 2; i < PAGES; i += THREADS * 2) {
        area[i * P + 1] = 7;
    }
    pthread_barrier_wait(&gate);
    if (me == 0) {
        CHECK(faults(area + P) && faults(area + (PAGES - 1) * P) && area[P] == of_page(1));
        CHECK(munmap(area + (PAGES - 2) * P, P) == 0 && faults(area + (PAGES - 2) * P));
        CHECK(mprotect(area, (PAGES - 2) * P, PROT_READ | PROT_WRITE) == 0);
    }
    pthread_barrier_wait(&gate);
    for (int i = me; i < PAGES - 2; i += THREADS) {
        CHECK(area[i * P] == of_page(i) && area[i * P + 1] == (i % 2 ? 0 : 7));
        area[i * P] = 1;
    }
    return NULL;
}

int main(void)
{
    area = guest_map(PAGES * P, PROT_READ | PROT_WRITE);
    guest_handler(SIGSEGV, caught, 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, work);
    for (int i = 0; i < PAGES - 2; i++) {
        CHECK(area[i * P] == 1);
    }
    puts("in pieces");
    return 0;
}
