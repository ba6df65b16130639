/*
 * A compiler thread and its users: code that one thread writes into fresh pages, writable and
 * executable at once, runs in all others, also where a function crosses two pages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include "code.h"

enum { THREADS = 6, FUNCTIONS = 40, PAGES = 2 };

static uint32_t *pages, *function[FUNCTIONS];
static pthread_barrier_t gate;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int writer = 0; writer < THREADS; writer++) {
        pthread_barrier_wait(&gate);
        if (writer == me) {
            /* The last of them straddles the boundary between the two pages. */
            uint32_t *at = pages;
            for (uint32_t f = 0; f < FUNCTIONS; f++) {
                if (f == FUNCTIONS - 1) {
                    at = pages + GUEST_PAGE / 4 - 2;
                }
                function[f] = at;
                at = code_constant(at, f * 0x10001 + writer);
            }
            code_flush(pages, at);
        }
        pthread_barrier_wait(&gate);
        for (int round = 0; round < 3; round++) {
            for (uint32_t f = 0; f < FUNCTIONS; f++) {
                CHECK(code_run(function[f]) == f * 0x10001 + writer);
            }
        }
    }
    return NULL;
}

int main(void)
{
    pages = code_pages(PAGES);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("code_written: %d functions by each of %d threads\n", FUNCTIONS, THREADS);
    return 0;
}
