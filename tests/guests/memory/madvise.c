/*
 * madvise: what is DONTNEEDed by one thread is zero for all, whoever held the pages, again and
 * again while others write next to it; hints that do nothing keep the contents.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, ROUNDS = 15, PAGES = 12 };

static unsigned char *area;
static pthread_barrier_t gate;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int round = 0; round < ROUNDS; round++) {
        /* Everybody writes to every page of the first half, and to one's own of the second. */
        for (int p = 0; p < PAGES / 2; p++) {
            area[p * GUEST_PAGE + me] = round + 1;
        }
        area[(PAGES / 2 + me) * GUEST_PAGE] = round + 1;
        pthread_barrier_wait(&gate);
        if (round % THREADS == me) {
            CHECK(madvise(area, PAGES / 2 * GUEST_PAGE, MADV_DONTNEED) == 0);
        } else {
            /* Undisturbed by the neighbour's madvise. */
            for (int i = 0; i < 200; i++) {
                area[(PAGES / 2 + me) * GUEST_PAGE + 1 + i % 50] = i;
            }
        }
        pthread_barrier_wait(&gate);
        for (int p = 0; p < PAGES / 2; p++) {
            for (int t = 0; t < THREADS; t++) {
                CHECK(area[p * GUEST_PAGE + t] == 0);
            }
        }
        for (int t = 0; t < THREADS; t++) {
            CHECK(area[(PAGES / 2 + t) * GUEST_PAGE] == round + 1);
        }
        CHECK(madvise(area, PAGES * GUEST_PAGE, MADV_WILLNEED) == 0);
        CHECK(madvise(area, PAGES * GUEST_PAGE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

int main(void)
{
    area = guest_map(PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("madvise: %d rounds\n", ROUNDS);
    return 0;
}
