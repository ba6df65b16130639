/*
 * An instruction that lies on two pages: threads rewrite the part on the one page or the part on the
 * other, in turns, and all run it. Where instructions do not cross, it is a function of two.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=40 */
#include "code.h"

enum { THREADS = 6, ROUNDS = 48, VALUES = 16 };

static uint8_t *pages, *entry;
static pthread_barrier_t gate;

/* Writes the parts that are not -1: the value is made of `low` and `high`, each less than VALUES. */
static void build(int low, int high)
{
    uint8_t *border = pages + GUEST_PAGE;
#if defined(__aarch64__)
    if (low >= 0) {
        *(uint32_t *)(border - 4) = 0x52800000 | low << 5; /* mov w0, low */
    }
    if (high >= 0) {
        ((uint32_t *)border)[0] = 0x72a00000 | high << 5; /* movk w0, high, lsl 16 */
        ((uint32_t *)border)[1] = 0xd65f03c0;
    }
    entry = border - 4;
#elif defined(__arm__)    /* Thumb: movw r0, low << 12 | high */
    if (low >= 0) {
        *(uint16_t *)(border - 2) = 0xf240 | low;
    }
    if (high >= 0) {
        ((uint16_t *)border)[0] = high;
        ((uint16_t *)border)[1] = 0x4770; /* bx lr */
    }
    entry = border - 1; /* odd: Thumb */
#elif defined(__riscv)    /* lui a0, high << 4 | low */
    if (low >= 0) {
        *(uint16_t *)(border - 2) = 0x537 | low << 12;
    }
    if (high >= 0) {
        ((uint16_t *)border)[0] = high;
        ((uint16_t *)border)[1] = 0x8082; /* ret */
    }
    entry = border - 2;
#elif defined(__s390x__)  /* llilf %r2, low << 16 | high */
    if (low >= 0) {
        memcpy(border - 4, (uint8_t[]){0xc0, 0x2f, 0, low}, 4);
    }
    if (high >= 0) {
        memcpy(border, (uint8_t[]){0, high, 0x07, 0xfe}, 4); /* br %r14 */
    }
    entry = border - 4;
#elif defined(__x86_64__) /* mov $(high << 16 | low), %eax */
    if (low >= 0) {
        memcpy(border - 3, (uint8_t[]){0xb8, low, 0}, 3);
    }
    if (high >= 0) {
        memcpy(border, (uint8_t[]){high, 0, 0xc3}, 3); /* ret */
    }
    entry = border - 3;
#endif
    code_flush(border - 16, border + 16);
}

static uint32_t value(uint32_t low, uint32_t high)
{
#if defined(__arm__)
    return low << 12 | high;
#elif defined(__riscv)
    return low << 12 | high << 16;
#elif defined(__s390x__)
    return low << 16 | high;
#else
    return low | high << 16;
#endif
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint32_t low = 0, high = 0;

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        bool first = round % 3 != 0, writes = (int)(round % THREADS) == me;

        if (first) {
            low = round % VALUES;
        } else {
            high = round % VALUES;
        }
        if (writes) {
            build(first ? (int)low : -1, first ? -1 : (int)high);
        }
        pthread_barrier_wait(&gate);
        for (int i = 0; i < 3; i++) {
            CHECK(code_run(entry) == value(low, high));
        }
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

int main(void)
{
    pages = (uint8_t *)code_pages(2);
    build(0, 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("code_crossing: %d changes\n", ROUNDS);
    return 0;
}
