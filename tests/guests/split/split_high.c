/*
 * A program that uses the end of the address space before it has threads, where the parts of split
 * pages would lie, works; its pages are not split.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "split.h"

enum { THREADS = 8, ROUNDS = 200, PAGES = 16 };

static char *const high = (char *)(1ull << 44) - PAGES * GUEST_PAGE;
static OWN_PAGE volatile uint64_t low[GUEST_PAGE / sizeof(uint64_t)];

static volatile uint64_t *high_word(int page, int thread)
{
    return (volatile uint64_t *)(high + (size_t)page * GUEST_PAGE) + thread;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int i = 0; i < ROUNDS; i++) {
        low[me]++;
        for (int page = 0; page < PAGES; page++) {
            (*high_word(page, me))++;
        }
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    CHECK(mmap(high, PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == high);
    guest_run(THREADS, worker);
    for (int t = 0; t < THREADS; t++) {
        CHECK(low[t] == ROUNDS);
        for (int page = 0; page < PAGES; page++) {
            CHECK(*high_word(page, t) == ROUNDS);
        }
    }
    printf("split_high: %d words\n", (PAGES + 1) * THREADS);
    return 0;
}
