/*
 * Large untouched areas: zero wherever first read, written whole by one thread and read whole by
 * others, forwards, backwards and with a stride.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, PAGES = 1024 };

static uint64_t *area;
static pthread_barrier_t together;

static uint64_t *word(int page)
{
    return area + (size_t)page * (GUEST_PAGE / sizeof(*area)) + page % 512;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    /* Untouched memory reads as zero, also when several nodes read the same page first. */
    for (int p = me; p < PAGES; p += 8) {
        CHECK(*word(p) == 0);
    }
    pthread_barrier_wait(&together);
    for (int p = me * PAGES / THREADS; p < (me + 1) * PAGES / THREADS; p++) {
        *word(p) = p * 7 + 1;
    }
    pthread_barrier_wait(&together);
    for (int i = 0; i < PAGES; i++) {
        int p = me == 0 ? i : me == 1 ? PAGES - 1 - i : i * (me * 2 + 1) % PAGES;
        CHECK(*word(p) == (uint64_t)p * 7 + 1);
    }
    return NULL;
}

int main(void)
{
    area = guest_map((size_t)PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE);
    CHECK(pthread_barrier_init(&together, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    uint64_t sum = 0;
    for (size_t i = 0; i < (size_t)PAGES * GUEST_PAGE / sizeof(*area); i++) {
        sum += area[i];
    }
    CHECK(sum == 7ull * PAGES * (PAGES - 1) / 2 + PAGES);
    printf("runs: %d pages\n", PAGES);
    return 0;
}
