/*
 * Writing instructions at run time: a function that returns a constant, and one that calls on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

typedef uint32_t (*code_fn)(void);

/* A function of three words that returns `value`. Returns the place after it. */
static inline uint32_t *code_constant(uint32_t *at, uint32_t value)
{
#if defined(__aarch64__)
    *at++ = 0x52800000 | (value & 0xffff) << 5; /* mov w0, #low16 */
    *at++ = 0x72a00000 | (value >> 16) << 5;    /* movk w0, #high16, lsl #16 */
    *at++ = 0xd65f03c0;                         /* ret */
    return at;
#elif defined(__arm__)
    *at++ = 0xe3000000 | (value & 0xf000) << 4 | (value & 0xfff); /* movw r0, #low16 */
    value >>= 16;
    *at++ = 0xe3400000 | (value & 0xf000) << 4 | (value & 0xfff); /* movt r0, #high16 */
    *at++ = 0xe12fff1e;                                           /* bx lr */
    return at;
#elif defined(__riscv)
    *at++ = ((value + 0x800) & 0xfffff000) | 0x537; /* lui a0, high20 */
    *at++ = value << 20 | 0x5051b;                  /* addiw a0, a0, low12 */
    *at++ = 0x8067;                                 /* ret */
    return at;
#elif defined(__s390x__)
    const uint8_t code[] = {
        0x07, 0x00, 0x07,        0x00,                           /* nopr, twice */
        0xc0, 0x2f, value >> 24, value >> 16, value >> 8, value, /* llilf %r2, value */
        0x07, 0xfe,                                              /* br %r14 */
    };
    return mempcpy(at, code, sizeof(code));
#elif defined(__x86_64__)
    const uint8_t code[] = {
        0x90, 0x90,  0x90,       0x90,        0x90,        0x90, /* nop, six times */
        0xb8, value, value >> 8, value >> 16, value >> 24,       /* mov $value, %eax */
        0xc3,                                                    /* ret */
    };
    return mempcpy(at, code, sizeof(code));
#else
#error "code.h does not know this instruction set"
#endif
}

static inline void code_flush(void *from, void *to)
{
    __builtin___clear_cache(from, to);
}

static inline uint32_t code_run(const void *at)
{
    return ((code_fn)(uintptr_t)at)();
}

static inline uint32_t *code_pages(int pages)
{
    return guest_map((size_t)pages * GUEST_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
}
