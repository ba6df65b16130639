/*
 * One writer, many readers: a reader never sees a value go backwards, and sees the final one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include "guest.h"

enum { READERS = 5, LAST = 1000, PAGES = 4 };

static OWN_PAGE struct {
    OWN_PAGE atomic_int value;
} page[PAGES];

static void *worker(void *arg)
{
    if ((intptr_t)arg == 0) {
        for (int i = 1; i <= LAST; i++) {
            for (int p = 0; p < PAGES; p++) {
                atomic_store(&page[p].value, i);
            }
        }
        return NULL;
    }
    int seen[PAGES] = {0};
    while (seen[PAGES - 1] < LAST) {
        /* Read in the opposite order of the writes: a later page is never ahead of an earlier. */
        for (int p = PAGES - 1; p >= 0; p--) {
            int v = atomic_load(&page[p].value);
            CHECK(v >= seen[p]);
            seen[p] = v;
            CHECK(p == PAGES - 1 || seen[p] >= seen[p + 1]);
        }
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    guest_run(1 + READERS, worker);
    printf("true_sharing: all saw %d\n", LAST);
    return 0;
}
