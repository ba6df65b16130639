/*
 * Load buffering: two loads do not both see stores that come after them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
#include "litmus.h"

static void act(int thread, volatile int *x, volatile int *y, int out[2])
{
    switch (thread) {
    case 0:
        out[0] = litmus_load_acquire(x);
        litmus_store_release(y, 1);
        break;
    case 1:
        out[0] = litmus_load_acquire(y);
        litmus_store_release(x, 1);
        break;
    }
}

static bool forbidden(int out[][2])
{
    return out[0][0] == 1 && out[1][0] == 1;
}

static const struct litmus litmus = {
    .name = "litmus_lb",
    .threads = 2,
    .act = act,
    .forbidden = forbidden,
};
