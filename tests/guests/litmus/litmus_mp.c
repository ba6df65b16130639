/*
 * Message passing: who sees the flag sees the data.
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
        litmus_store_release(y, 1);
        break;
    case 1:
        out[0] = litmus_load_acquire(y);
        out[1] = litmus_load(x);
        break;
    }
}

static bool forbidden(int out[][2])
{
    return out[1][0] == 1 && out[1][1] == 0;
}

static const struct litmus litmus = {
    .name = "litmus_mp",
    .threads = 2,
    .act = act,
    .forbidden = forbidden,
};
