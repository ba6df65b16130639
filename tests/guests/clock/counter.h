/*
 * The counter register that programs read the time from, if this instruction set has one for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_COUNTER_H
#define GUEST_COUNTER_H

#include <stdint.h>

#if defined(__aarch64__)
static inline int64_t guest_counter(void)
{
    uint64_t value;

    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(value) : : "memory");
    return (int64_t)value;
}
#elif defined(__x86_64__)
static inline int64_t guest_counter(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (int64_t)((uint64_t)high << 32 | low);
}
#elif defined(__riscv) && __riscv_xlen == 64
static inline int64_t guest_counter(void)
{
    uint64_t value;

    __asm__ volatile("rdtime %0" : "=r"(value) : : "memory");
    return (int64_t)value;
}
#else
static inline int64_t guest_counter(void)
{
    return 0; /* none that every program may read */
}
#endif

#endif
