/*
 * Store buffering: with full barriers, one of two threads sees the other's store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
#include "litmus.h"

static void act(int thread, volatile int *x, volatile int *y, int out[2])
{
    switch (thread) {
    case 0:
        litmus_store(x, 1);
        litmus_full_barrier();
        out[0] = litmus_load(y);
        break;
    case 1:
        litmus_store(y, 1);
        litmus_full_barrier();
        out[0] = litmus_load(x);
        break;
    }
}

static bool forbidden(int out[][2])
{
    return out[0][0] == 0 && out[1][0] == 0;
}

static const struct litmus litmus = {
    .name = "litmus_sb",
    .threads = 2,
    .act = act,
    .forbidden = forbidden,
};
