/*
 * Threads that write different words of one page each keep what they wrote, whatever the page
 * goes through in between.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "guest.h"

enum { THREADS = 8, ROUNDS = 200000 };

static OWN_PAGE volatile uint64_t words[GUEST_PAGE / sizeof(uint64_t)];

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (uint64_t i = 1; i <= ROUNDS; i++) {
        words[me] = words[me] + 1;
        if (words[me] != i) {
            guest_fail(__FILE__, __LINE__, "a word of mine changed");
        }
        words[511 - me] = ~i;
    }
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    for (int i = 0; i < THREADS; i++) {
        CHECK(words[i] == ROUNDS);
        CHECK(words[511 - i] == ~(uint64_t)ROUNDS);
    }
    for (int i = THREADS; i < 512 - THREADS; i++) {
        CHECK(words[i] == 0);
    }
    printf("false_sharing: %d words of %d\n", THREADS, ROUNDS);
    return 0;
}
