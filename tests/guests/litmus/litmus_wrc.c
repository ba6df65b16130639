/*
 * Write to read causality: a store that one thread has seen and passed on is seen by the next.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=40 */
#include "litmus.h"

static void act(int thread, volatile int *x, volatile int *y, int out[2])
{
    switch (thread) {
    case 0:
        litmus_store(x, 1);
        break;
    case 1:
        out[0] = litmus_load_acquire(x);
        litmus_store_release(y, out[0]);
        break;
    default:
        out[0] = litmus_load_acquire(y);
        out[1] = litmus_load(x);
        break;
    }
}

static bool forbidden(int out[][2])
{
    return (out[2][0] == 1 && out[2][1] == 0) || (out[3][0] == 1 && out[3][1] == 0);
}

static const struct litmus litmus = {
    .name = "litmus_wrc",
    .threads = 4,
    .act = act,
    .forbidden = forbidden,
};
