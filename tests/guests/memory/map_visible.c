/*
 * A change of the memory map holds for all threads everywhere once the call returns: what one
 * thread maps, another reads; what one forbids or unmaps, another cannot touch; what one empties,
 * another finds zero; what one moves, another finds moved.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <setjmp.h>

#include "guest.h"

enum { WATCHERS = 4, PAGES = 8 };

static pthread_barrier_t gate;
static unsigned char *volatile area;
static __thread sigjmp_buf back;
static __thread volatile int fault_code;
static __thread unsigned char *volatile fault_at;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    fault_code = info->si_code;
    fault_at = info->si_addr;
    siglongjmp(back, 1);
}

/* The code of the fault that reading or writing AT raises; 0 when it raises none. */
static int probe(unsigned char *at, bool write)
{
    fault_code = 0;
    if (sigsetjmp(back, 1) == 0) {
        if (write) {
            *(volatile unsigned char *)at = 99;
        } else {
            (void)*(volatile unsigned char *)at;
        }
    } else {
        CHECK(fault_at == at);
    }
    return fault_code;
}

/* One step: the main thread changes the map, then every watcher looks. */
static void step(void)
{
    pthread_barrier_wait(&gate);
}

static void *watch(void *arg)
{
    int me = (intptr_t)arg;

    step(); /* mapped and filled by main */
    for (int p = 0; p < PAGES; p++) {
        CHECK(area[p * GUEST_PAGE + me] == p + 1);
    }
    step();
    step(); /* read-only */
    CHECK(probe(area + 5, true) == SEGV_ACCERR);
    CHECK(probe(area + 5, false) == 0);
    step();
    step(); /* no access */
    CHECK(probe(area + 5, false) == SEGV_ACCERR);
    step();
    step(); /* all access again, contents kept */
    CHECK(area[2 * GUEST_PAGE + me] == 3);
    area[3 * GUEST_PAGE + 256 + me] = 40 + me;
    step();
    step(); /* emptied */
    for (int p = 0; p < PAGES; p++) {
        CHECK(area[p * GUEST_PAGE + me] == 0);
        CHECK(area[p * GUEST_PAGE + 256 + me] == 0);
    }
    step();
    step(); /* the last page is gone, its neighbour stays */
    CHECK(probe(area + (PAGES - 1) * GUEST_PAGE, false) == SEGV_MAPERR);
    CHECK(probe(area + (PAGES - 1) * GUEST_PAGE, true) == SEGV_MAPERR);
    area[(PAGES - 2) * GUEST_PAGE + me] = 50 + me;
    step();
    step(); /* moved elsewhere */
    CHECK(area[(PAGES - 2) * GUEST_PAGE + (me + 1) % WATCHERS] == 50 + (me + 1) % WATCHERS);
    step();
    step(); /* unmapped */
    CHECK(probe(area, false) == SEGV_MAPERR);
    CHECK(probe(area, true) == SEGV_MAPERR);
    step();
    step(); /* mapped again at the same place, fresh */
    CHECK(area[me] == 0);
    area[me] = me + 1;
    step();
    return NULL;
}

int main(void)
{
    pthread_t watchers[WATCHERS];
    size_t length = PAGES * GUEST_PAGE;

    guest_handler(SIGSEGV, on_fault, 0);
    CHECK(pthread_barrier_init(&gate, NULL, WATCHERS + 1) == 0);
    guest_start(watchers, WATCHERS, watch);

    area = guest_map(length, PROT_READ | PROT_WRITE);
    for (int p = 0; p < PAGES; p++) {
        memset(area + p * GUEST_PAGE, p + 1, WATCHERS);
    }
    step();
    step();
    CHECK(mprotect(area, length, PROT_READ) == 0);
    step();
    step();
    CHECK(mprotect(area, length, PROT_NONE) == 0);
    step();
    step();
    CHECK(mprotect(area, length, PROT_READ | PROT_WRITE) == 0);
    step();
    step();
    CHECK(area[3 * GUEST_PAGE + 256 + 1] == 41);
    CHECK(madvise(area, length, MADV_DONTNEED) == 0);
    step();
    step();
    CHECK(munmap(area + (PAGES - 1) * GUEST_PAGE, GUEST_PAGE) == 0);
    step();
    step();
    unsigned char *target = guest_map(length, PROT_NONE);
    unsigned char *old = area;
    area = mremap(old, (PAGES - 1) * GUEST_PAGE, (PAGES - 1) * GUEST_PAGE,
                  MREMAP_MAYMOVE | MREMAP_FIXED, target);
    CHECK(area == target);
    CHECK(probe(old, false) == SEGV_MAPERR);
    step();
    step();
    CHECK(munmap(area, length) == 0);
    step();
    step();
    CHECK(mmap(area, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0) == area);
    step();
    step();
    for (int w = 0; w < WATCHERS; w++) {
        CHECK(area[w] == w + 1);
    }
    guest_join(watchers, WATCHERS);
    puts("map_visible: nine changes seen by all");
    return 0;
}
