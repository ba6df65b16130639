/*
 * No wake is lost: pairs of threads hand a turn to and fro by raw futexes, some pairs on one
 * page and some alone, each sleeping whenever it is not its turn.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include <linux/futex.h>

#include "guest.h"

enum { PAIRS = 4, TURNS = 200 };

static OWN_PAGE atomic_int crowded[PAIRS];
static OWN_PAGE struct {
    OWN_PAGE atomic_int turn;
} alone[PAIRS];

static void *worker(void *arg)
{
    int pair = (intptr_t)arg % PAIRS, side = (intptr_t)arg / PAIRS;
    atomic_int *turn = pair % 2 ? &crowded[pair] : &alone[pair].turn;

    for (int i = 0; i < TURNS; i++) {
        int now;
        while ((now = atomic_load(turn)) % 2 != side) {
            if (syscall(SYS_futex, turn, FUTEX_WAIT_PRIVATE, now, NULL) != 0) {
                CHECK(errno == EAGAIN || errno == EINTR);
            }
        }
        CHECK(now == 2 * i + side);
        atomic_store(turn, now + 1);
        CHECK(syscall(SYS_futex, turn, FUTEX_WAKE_PRIVATE, 1) >= 0);
    }
    return NULL;
}

int main(void)
{
    guest_run(2 * PAIRS, worker);
    for (int p = 0; p < PAIRS; p++) {
        CHECK((p % 2 ? crowded[p] : alone[p].turn) == 2 * TURNS);
    }
    printf("futex_ping_pong: %d pairs, %d turns\n", PAIRS, 2 * TURNS);
    return 0;
}
