/*
 * Locked instructions whose operand is not aligned, within a page and across two, lose no update, nor
 * do they make others lose one: aligned locked instructions on a part of the operand, on all nodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=60 */
#include "guest.h"

enum { THREADS = 6, ROUNDS = 60 };

/* 8 bytes each: at 20, and across the border of the two pages; the border's halves are aligned words. */
static OWN_PAGE uint8_t bytes[2 * GUEST_PAGE];
static uint8_t *const within = bytes + 20, *const across = bytes + GUEST_PAGE - 4;
static OWN_PAGE uint8_t lock_bytes[2 * GUEST_PAGE];
static uint8_t *const lock = lock_bytes + GUEST_PAGE - 1; /* 2 bytes: a lock across two pages */
static uint64_t guarded;

static void add(void *at, uint64_t value)
{
    __asm__ volatile("lock addq %1, %0" : "+m"(*(uint64_t *)at) : "r"(value) : "memory", "cc");
}

static void add_word(void *at, uint32_t value)
{
    __asm__ volatile("lock addl %1, %0" : "+m"(*(uint32_t *)at) : "r"(value) : "memory", "cc");
}

static void lock_it(void)
{
    uint16_t taken;

    do {
        taken = 1;
        __asm__ volatile("xchgw %0, %1" : "+r"(taken), "+m"(*(uint16_t *)lock) : : "memory");
        if (taken) {
            sched_yield();
        }
    } while (taken);
}

static void unlock_it(void)
{
    uint16_t taken = 0;

    __asm__ volatile("xchgw %0, %1" : "+r"(taken), "+m"(*(uint16_t *)lock) : : "memory");
    CHECK(taken == 1);
}

static void *worker(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        add(within, 0x100000001);
        add_word(within, 1);
        add(across, 0x100000001);
        add_word(across, 1);
        add_word(across + 4, 1);
        lock_it();
        guarded++;
        unlock_it();
    }
    return arg;
}

int main(void)
{
    const uint32_t n = THREADS * ROUNDS;
    uint32_t words[4];

    guest_run(THREADS, worker);
    memcpy(words, within, 8);
    memcpy(words + 2, across, 8);
    CHECK(words[0] == 2 * n && words[1] == n);
    CHECK(words[2] == 2 * n && words[3] == 2 * n);
    CHECK(guarded == n);
    printf("atomics_unaligned: %u rounds\n", n);
    return 0;
}
