/*
 * Unaligned accesses of 2 to 32 bytes that cross from one lane of a page to the next, and from one
 * shared page to another, on bytes that one thread owns. The bytes around belong to others, who
 * write them all the time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include "split.h"

enum { PAGES = 3, BOUNDARIES = PAGES * SPLIT_LANES - 1, REACH = 20, ROUNDS = 8 };

/* The REACH bytes on both sides of boundary b are of thread b % SPLIT_THREADS. Of the bytes that
 * are left in the middle of each lane, byte t is of thread t. */
static OWN_PAGE unsigned char area[PAGES * GUEST_PAGE];

typedef uint16_t unaligned16 __attribute__((aligned(1), may_alias));
typedef uint32_t unaligned32 __attribute__((aligned(1), may_alias));
typedef uint64_t unaligned64 __attribute__((aligned(1), may_alias));
typedef unsigned char vec16 __attribute__((vector_size(16), aligned(1), may_alias));

static unsigned char *middle(int lane)
{
    return area + lane * SPLIT_LANE + REACH;
}

static void store(unsigned char *at, int size, const unsigned char *value)
{
    switch (size) {
    case 2:
        *(volatile unaligned16 *)at = *(const unaligned16 *)value;
        break;
    case 4:
        *(volatile unaligned32 *)at = *(const unaligned32 *)value;
        break;
    case 8:
        *(volatile unaligned64 *)at = *(const unaligned64 *)value;
        break;
    case 16:
        *(volatile vec16 *)at = *(const vec16 *)value;
        break;
    case 17: /* 16 bytes as a pair of words */
        __asm__ volatile("ldp x8, x9, [%1]\n\tstp x8, x9, [%0]"
                         :
                         : "r"(at), "r"(value)
                         : "memory", "x8", "x9");
        break;
    }
}

static void load(const unsigned char *at, int size, unsigned char *value)
{
    switch (size) {
    case 2:
        *(unaligned16 *)value = *(const volatile unaligned16 *)at;
        break;
    case 4:
        *(unaligned32 *)value = *(const volatile unaligned32 *)at;
        break;
    case 8:
        *(unaligned64 *)value = *(const volatile unaligned64 *)at;
        break;
    case 16:
        *(vec16 *)value = *(const volatile vec16 *)at;
        break;
    case 17:
        store(value, size, at);
        break;
    }
}

/* One access of a size across the boundary, OVER bytes behind it; the other bytes of mine stay. */
static void cross(unsigned char *boundary, int size, int over, uint64_t *seed)
{
    unsigned char want[2 * REACH], back[16];
    int bytes = size & ~1;
    unsigned char *at = boundary - bytes + over, *value = want + REACH - bytes + over;

    memcpy(want, boundary - REACH, sizeof(want));
    for (int i = 0; i < bytes; i++) {
        value[i] = guest_random(seed);
    }
    store(at, size, value);
    for (int i = 0; i < 2 * REACH; i++) {
        CHECK(boundary[i - REACH] == want[i]);
    }
    load(at, size, back);
    CHECK(memcmp(back, value, bytes) == 0);
}

/* From the lower side to just behind the boundary, and so through all offsets. */
static void all_offsets(unsigned char *boundary, uint64_t *seed)
{
    static const int sizes[] = {2, 4, 8, 16, 17};

    for (int s = 0; s < 5; s++) {
        int bytes = sizes[s] & ~1;
        for (int over = 0; over <= bytes; over += bytes > 8 ? 3 : 1) {
            cross(boundary, sizes[s], over, seed);
        }
    }
}

/* Two vectors as a pair, half of each side. */
static void across_pair(unsigned char *boundary, int n)
{
    unsigned char in[32], out[32];

    memset(in, n, sizeof(in));
    in[n % 32] = ~n;
    __asm__ volatile("ldp q0, q1, [%1]\n\t"
                     "stp q0, q1, [%0]\n\t"
                     "ldp q2, q3, [%0]\n\t"
                     "stp q2, q3, [%2]"
                     :
                     : "r"(boundary - 16 + n % 4), "r"(in), "r"(out)
                     : "memory", "v0", "v1", "v2", "v3");
    CHECK(memcmp(in, out, sizeof(in)) == 0);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint64_t seed = me + 1;

    for (int n = 1; n <= ROUNDS; n++) {
        for (int b = me; b < BOUNDARIES; b += SPLIT_THREADS) {
            unsigned char *boundary = area + (b + 1) * SPLIT_LANE;
            all_offsets(boundary, &seed);
            across_pair(boundary, n);
            for (int lane = b; lane < b + SPLIT_THREADS && lane < BOUNDARIES; lane++) {
                middle(lane)[me]++;
            }
        }
    }
    return NULL;
}

/* How often thread T has been at LANE: once a round for each of its boundaries that is near. */
static int visits(int t, int lane)
{
    int n = 0;

    for (int b = t; b < BOUNDARIES; b += SPLIT_THREADS) {
        n += b <= lane && lane < b + SPLIT_THREADS;
    }
    return n * ROUNDS;
}

int main(void)
{
    guest_run(SPLIT_THREADS, worker);
    for (int lane = 0; lane < BOUNDARIES; lane++) {
        for (int t = 0; t < SPLIT_THREADS; t++) {
            CHECK(middle(lane)[t] == visits(t, lane));
        }
        for (int i = SPLIT_THREADS; i < SPLIT_LANE - 2 * REACH; i++) {
            CHECK(middle(lane)[i] == 0);
        }
    }
    printf("split_unaligned: %d boundaries\n", BOUNDARIES);
    return 0;
}
