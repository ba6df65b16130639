/*
 * Loads and stores that cross a page boundary, where the two pages belong to different nodes:
 * of every size and offset, also vectors and pairs, while both pages keep moving.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, ROUNDS = 10, LANE = 64 };

/* Each thread owns a lane of LANE bytes around the boundary between two pages, in turns. */
static OWN_PAGE unsigned char area[3 * GUEST_PAGE];
static pthread_barrier_t together;

typedef uint64_t unaligned64 __attribute__((aligned(1), may_alias));
typedef uint32_t unaligned32 __attribute__((aligned(1), may_alias));
typedef uint16_t unaligned16 __attribute__((aligned(1), may_alias));
typedef unsigned char vec16 __attribute__((vector_size(16), aligned(1), may_alias));

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    unsigned char *end = area + GUEST_PAGE;

    for (int round = 0; round < ROUNDS; round++) {
        for (int turn = 0; turn < THREADS; turn++) {
            pthread_barrier_wait(&together);
            if (turn == me) {
                for (int o = 1; o < 16; o++) {
                    vec16 v = {0};
                    for (int i = 0; i < 16; i++) {
                        v[i] = round + o + i;
                    }
                    *(volatile vec16 *)(end - o) = v;
                    for (int i = 0; i < 16; i++) {
                        CHECK(end[i - o] == (unsigned char)(round + o + i));
                    }
                }
                for (int o = 1; o < 8; o++) {
                    *(volatile unaligned64 *)(end - o) = 0x0102030405060708ull * (o + 1);
                    CHECK(*(volatile unaligned64 *)(end - o) == 0x0102030405060708ull * (o + 1));
                }
                for (int o = 1; o < 4; o++) {
                    *(volatile unaligned32 *)(end - o) = 0x01020304u + o;
                    CHECK(*(volatile unaligned32 *)(end - o) == 0x01020304u + o);
                }
                *(volatile unaligned16 *)(end - 1) = round * 256 + me;
            } else {
                /* Meanwhile the others keep both pages busy, away from the boundary. */
                area[100 + me]++;
                area[GUEST_PAGE + 100 + me]++;
            }
            pthread_barrier_wait(&together);
            /* What the turn's thread left, as one load that crosses. */
            CHECK(*(volatile unaligned16 *)(end - 1) == round * 256 + turn);
        }
    }
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&together, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    for (int t = 0; t < THREADS; t++) {
        CHECK(area[100 + t] == ROUNDS * (THREADS - 1));
        CHECK(area[GUEST_PAGE + 100 + t] == ROUNDS * (THREADS - 1));
    }
    puts("straddle: all sizes and offsets");
    return 0;
}
