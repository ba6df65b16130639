/*
 * Whatever a thread has left behind when it ended, the next one starts clean: with its creator's
 * registers and mask and nothing else; no exclusive access under way, no pending signal, no
 * alternate stack, its thread-local storage as initialised.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include <linux/futex.h>

#include "guest.h"

enum { ROUNDS = 40, STACK = 64 * 1024, TOP = 1024 };

/* What a new thread finds in its registers, at the top of its stack. */
struct seen {
    uint64_t x[19]; /* x10 to x28 */
    uint64_t q[64]; /* q0 to q31 */
    uint64_t fpcr, fpsr, tpidr, nzcv, stored;
};
_Static_assert(sizeof(struct seen) <= TOP, "struct seen");

/*
 * clone() with known values in the registers. The child notes what it finds and whether a store
 * without a load before it succeeds (stored: 0), then fills everything with something else, begins
 * an exclusive access, and ends.
 */
long clone_and_look(unsigned long flags, void *stack, int *parent_tid, void *tls, int *child_tid,
                    uint64_t *word);
/* clang-format off */
asm(".text\n"
    ".global clone_and_look\n"
    "clone_and_look:\n"
    "  stp x19, x20, [sp, #-160]!\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"
    "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n"
    "  stp d8, d9, [sp, #80]\n  stp d10, d11, [sp, #96]\n"
    "  stp d12, d13, [sp, #112]\n  stp d14, d15, [sp, #128]\n"
    "  mov x9, x5\n"
    "  .irp n, 10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28\n"
    "    mov x\\n, #(1000 + \\n)\n"
    "  .endr\n"
    "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "    movi v\\n\\().16b, #\\n\n"
    "  .endr\n"
    "  mov x8, #220\n"
    "  cmp xzr, xzr\n"
    "  svc #0\n"
    "  cbz x0, 1f\n"
    "  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n"
    "  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n"
    "  ldp d8, d9, [sp, #80]\n  ldp d10, d11, [sp, #96]\n"
    "  ldp d12, d13, [sp, #112]\n  ldp d14, d15, [sp, #128]\n"
    "  ldp x19, x20, [sp], #160\n"
    "  ret\n"
    "1: mrs x1, nzcv\n"
    "  stxr w2, x8, [x9]\n"
    "  stp x10, x11, [sp]\n  stp x12, x13, [sp, #16]\n  stp x14, x15, [sp, #32]\n"
    "  stp x16, x17, [sp, #48]\n  stp x18, x19, [sp, #64]\n  stp x20, x21, [sp, #80]\n"
    "  stp x22, x23, [sp, #96]\n  stp x24, x25, [sp, #112]\n  stp x26, x27, [sp, #128]\n"
    "  str x28, [sp, #144]\n"
    "  add x3, sp, #152\n"
    "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "    str q\\n, [x3], #16\n"
    "  .endr\n"
    "  mrs x4, fpcr\n  mrs x5, fpsr\n  mrs x6, tpidr_el0\n"
    "  stp x4, x5, [x3]\n  stp x6, x1, [x3, #16]\n  uxtw x2, w2\n  str x2, [x3, #32]\n"
    "  mov x4, #0xc00000\n  msr fpcr, x4\n  mov x5, #0x1f\n  msr fpsr, x5\n"
    "  msr tpidr_el0, x4\n"
    "  .irp n, 10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30\n"
    "    mov x\\n, #-1\n"
    "  .endr\n"
    "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "    movi v\\n\\().16b, #255\n"
    "  .endr\n"
    "  cmn xzr, xzr\n"
    "  ldxr x1, [x9]\n"
    "  mov x0, #0\n  mov x8, #93\n  svc #0\n");
/* clang-format on */

static OWN_PAGE int tid;
static OWN_PAGE uint64_t word;

static void look_at_registers(char *stack, uint64_t tls)
{
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                      CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    struct seen *seen = (struct seen *)(stack + STACK - TOP);
    int still;

    memset(seen, 0, sizeof(*seen));
    CHECK(clone_and_look(flags, seen, &tid, (void *)tls, &tid, &word) > 0);
    while ((still = __atomic_load_n(&tid, __ATOMIC_ACQUIRE)) != 0) {
        syscall(SYS_futex, &tid, FUTEX_WAIT, still, NULL);
    }
    for (int i = 0; i < 19; i++) {
        CHECK(seen->x[i] == 1010u + i);
    }
    for (int i = 0; i < 64; i++) {
        CHECK(seen->q[i] == i / 2 * 0x0101010101010101u);
    }
    CHECK(seen->fpcr == 0 && seen->fpsr == 0 && seen->tpidr == tls);
    CHECK(seen->nzcv == 0x60000000 && seen->stored == 1 && word == 0);
}

static __thread int zero, five = 5;
static atomic_int handled;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    atomic_fetch_add(&handled, 1);
}

static void *litter(void *arg)
{
    stack_t now, set = {.ss_sp = arg, .ss_size = STACK};
    sigset_t mask, usr;

    CHECK(zero == 0 && five == 5 && errno == 0);
    CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    CHECK(!sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGUSR2));
    CHECK(sigpending(&mask) == 0 && !sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));

    zero = five = errno = 99;
    CHECK(sigaltstack(&set, NULL) == 0);
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &usr, NULL) == 0);
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0);
    return NULL;
}

int main(void)
{
    char *stack = guest_map(STACK, PROT_READ | PROT_WRITE);
    char *alternate = guest_map(STACK, PROT_READ | PROT_WRITE);
    sigset_t usr2;

    guest_handler(SIGUSR1, on_signal, 0);
    guest_handler(SIGUSR2, on_signal, 0);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    CHECK(pthread_sigmask(SIG_BLOCK, &usr2, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        look_at_registers(stack, 0x12340000u + i);
        guest_elsewhere(litter, alternate);
    }
    CHECK(atomic_load(&handled) == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &usr2, NULL) == 0);
    CHECK(atomic_load(&handled) == 0);
    printf("thread_clean: %d threads\n", 2 * ROUNDS);
    return 0;
}
