/*
 * Code that changes the very page it runs on, in several threads at once on pages of their own and
 * on one page that all share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "code.h"

enum { THREADS = 4, ROUNDS = 40 };

static uint32_t *shared_page;

/*
 * A function that stores w0, an instruction, over its own last but one instruction, makes it
 * visible, and runs into it; that instruction sets w0.
 */
static void build(uint32_t *at)
{
    uint32_t *p = at;

    *p++ = 0x10000001 | 7 << 5; /* adr x1, the place seven instructions on */
    *p++ = 0xb9000020;          /* str w0, [x1] */
    *p++ = 0xd50b7b21;          /* dc cvau, x1 */
    *p++ = 0xd5033b9f;          /* dsb ish */
    *p++ = 0xd50b7521;          /* ic ivau, x1 */
    *p++ = 0xd5033b9f;          /* dsb ish */
    *p++ = 0xd5033fdf;          /* isb */
    *p++ = 0x52800000;          /* movz w0, #0: what is overwritten */
    *p++ = CODE_RET;
    code_flush(at, p);
}

static uint32_t run_self(uint32_t *at, uint32_t value)
{
    return ((uint32_t(*)(uint32_t))(uintptr_t)at)(0x52800000 | value << 5);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint32_t *own = code_pages(1), *mine = shared_page + 32 * me;

    build(own);
    build(mine);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        CHECK(run_self(own, i) == i);
        CHECK(run_self(mine, i * 4 + me) == i * 4 + me);
    }
    CHECK(munmap(own, GUEST_PAGE) == 0);
    return NULL;
}

int main(void)
{
    shared_page = code_pages(1);
    guest_run(THREADS, worker);
    printf("code_self: %d changes in each of %d threads\n", 2 * ROUNDS, THREADS);
    return 0;
}
