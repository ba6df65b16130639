/*
 * Writing instructions at run time: a function that returns a constant, and one that calls on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

typedef uint32_t (*code_fn)(void);

enum { CODE_RET = 0xd65f03c0 };

/* mov w0, #low16; movk w0, #high16, lsl #16; ret. Returns the place after it. */
static inline uint32_t *code_constant(uint32_t *at, uint32_t value)
{
    *at++ = 0x52800000 | (value & 0xffff) << 5;
    *at++ = 0x72a00000 | (value >> 16) << 5;
    *at++ = CODE_RET;
    return at;
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
