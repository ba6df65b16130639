/*
 * Work on each node, some hundred thousand instructions by each thread, for tests/e2e/plugins.t.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static void *work(void *arg)
{
    for (volatile int i = 0; i < 100000; i++) {
    }
    return arg;
}

int main(void)
{
    guest_run(3, work);
    return 0;
}
