/*
 * A program for any address has room for its break above it, which the first thread and others use. (Plain
 * QEMU leaves that to what the host has mapped there.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum { GROWTH = 200 << 20, STEP = 1 << 20 };

static void *grow(void *arg)
{
    char *at = sbrk(GROWTH);

    CHECK(at != (void *)-1);
    for (int i = 0; i < GROWTH; i += STEP) {
        CHECK(at[i] == 0);
        at[i] = 1;
    }
    return arg;
}

int main(void)
{
    grow(NULL);
    guest_elsewhere(grow, NULL);
    puts("brk_room: up");
    return 0;
}
