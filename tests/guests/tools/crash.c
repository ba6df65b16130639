/*
 * A thread elsewhere ends the process by a fault (crash fault) or by abort() (crash abort), in a function
 * that tests/e2e/core.t looks for in the core file; what threads elsewhere have written is in it, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static OWN_PAGE char written[GUEST_PAGE];
static volatile int *nowhere;

static void *fill(void *arg)
{
    strcpy(written, "written-by-a-thread-");
    strcat(written, "elsewhere");
    return arg;
}

void __attribute__((noinline)) fault_here(void)
{
    *nowhere = 1;
}

static void *end(void *word)
{
    if (strcmp(word, "fault") == 0) {
        fault_here();
    }
    abort();
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    guest_elsewhere(fill, NULL);
    guest_elsewhere(end, argv[1]);
    return 0;
}
