/*
 * Code and data on one page: threads run a function while others write data next to it, as with
 * literal pools and inline caches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
#include "code.h"

enum { RUNNERS = 2, WRITERS = 2, ROUNDS = 400 };

static uint32_t *page;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    volatile uint32_t *mine = page + 512 + 16 * me;

    for (uint32_t i = 1; i <= ROUNDS; i++) {
        if (me % 2) {
            CHECK(code_run(page + 16 * me) == 0xabcd0000u + me);
        } else {
            *mine = *mine + 1;
            CHECK(*mine == i);
        }
    }
    return NULL;
}

int main(void)
{
    page = code_pages(1);
    for (int t = 0; t < RUNNERS + WRITERS; t++) {
        code_flush(page + 16 * t, code_constant(page + 16 * t, 0xabcd0000u + t));
    }
    guest_run(RUNNERS + WRITERS, worker);
    printf("code_beside_data: %u %u\n", page[512], page[512 + 32]);
    return 0;
}
