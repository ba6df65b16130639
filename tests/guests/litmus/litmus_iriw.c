/*
 * Independent reads of independent writes: all threads agree on the order of two stores.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=40 */
#include "litmus.h"

static void act(int thread, volatile int *x, volatile int *y, int out[2])
{
    switch (thread) {
    case 0:
        litmus_store_release(x, 1);
        break;
    case 1:
        litmus_store_release(y, 1);
        break;
    case 2:
        out[0] = litmus_load_acquire(x);
        out[1] = litmus_load_acquire(y);
        break;
    case 3:
        out[0] = litmus_load_acquire(y);
        out[1] = litmus_load_acquire(x);
        break;
    }
}

static bool forbidden(int out[][2])
{
    return out[2][0] == 1 && out[2][1] == 0 && out[3][0] == 1 && out[3][1] == 0;
}

static const struct litmus litmus = {
    .name = "litmus_iriw",
    .threads = 4,
    .act = act,
    .forbidden = forbidden,
};
