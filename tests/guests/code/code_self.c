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
 * A function that stores its argument, an instruction, over its own last but one instruction, makes
 * it visible, and runs into it; that instruction sets the result.
 */
#if defined(__aarch64__)
static const uint32_t self[] = {
    0x10000001 | 7 << 5, /* adr x1, the place seven instructions on */
    0xb9000020,          /* str w0, [x1] */
    0xd50b7b21,          /* dc cvau, x1 */
    0xd5033b9f,          /* dsb ish */
    0xd50b7521,          /* ic ivau, x1 */
    0xd5033b9f,          /* dsb ish */
    0xd5033fdf,          /* isb */
    0x52800000,          /* movz w0, #0: what is overwritten */
    0xd65f03c0,          /* ret */
};
#define SET_RESULT(value) (0x52800000 | (value) << 5)
#elif defined(__arm__)
static const uint32_t self[] = {
    0xe28f1024, /* add r1, pc, #36: nine instructions on, and two by itself */
    0xe5810000, /* str r0, [r1] */
    0xe52d7004, /* push {r7} */
    0xe1a00001, /* mov r0, r1 */
    0xe2811004, /* add r1, r1, #4 */
    0xe3a02000, /* mov r2, #0 */
    0xe3007002, /* movw r7, #2 */
    0xe340700f, /* movt r7, #15: cacheflush(r0, r1, r2) */
    0xef000000, /* svc #0 */
    0xe49d7004, /* pop {r7} */
    0xf57ff06f, /* isb */
    0xe3a00000, /* mov r0, #0: what is overwritten */
    0xe12fff1e, /* bx lr */
};
#define SET_RESULT(value) (0xe3a00000 | (value))
#elif defined(__riscv)
static const uint32_t self[] = {
    0x00000297, /* auipc t0, 0 */
    0x00a2a823, /* sw a0, 16(t0) */
    0x0000100f, /* fence.i */
    0x00000013, /* nop */
    0x00000513, /* li a0, 0: what is overwritten */
    0x00008067, /* ret */
};
#define SET_RESULT(value) (0x513 | (value) << 20)
#elif defined(__s390x__)
static const uint32_t self[] = {
    0xc0100000, 0x00065020, 0x100007f0, /* larl %r1, six on; st %r2, 0(%r1); bcr 15, 0 */
    0xa7290000,                         /* lghi %r2, 0: what is overwritten */
    0x07fe0700,                         /* br %r14 */
};
#define SET_RESULT(value) (0xa7290000 | (value))
#elif defined(__x86_64__)
static const uint32_t self[] = {
    0x00013d89, 0x00b80000, 0xc3000000, /* mov %edi, 1(%rip); mov $0, %eax: its constant; ret */
};
#define SET_RESULT(value) (value)
#endif

static void build(uint32_t *at)
{
    code_flush(at, mempcpy(at, self, sizeof(self)));
}

static uint32_t run_self(uint32_t *at, uint32_t value)
{
    return ((uint32_t(*)(uint32_t))(uintptr_t)at)(SET_RESULT(value));
}

/*
 * Where a change is executed at once, QEMU itself misses it if another thread writes to the same page
 * at that very moment. So there the threads take turns on the page that they share.
 */
#if defined(__s390x__) || defined(__x86_64__)
#define IN_TURNS true
#else
#define IN_TURNS false
#endif
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static uint32_t run_in_turn(uint32_t *at, uint32_t value)
{
    uint32_t result;

    CHECK(!IN_TURNS || pthread_mutex_lock(&turn) == 0);
    result = run_self(at, value);
    CHECK(!IN_TURNS || pthread_mutex_unlock(&turn) == 0);
    return result;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    uint32_t *own = code_pages(1), *mine = shared_page + 32 * me;

    build(own);
    CHECK(!IN_TURNS || pthread_mutex_lock(&turn) == 0);
    build(mine);
    CHECK(!IN_TURNS || pthread_mutex_unlock(&turn) == 0);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        CHECK(run_self(own, i) == i);
        CHECK(run_in_turn(mine, i * 4 + me) == i * 4 + me);
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
