/*
 * Faults of an instruction are signals of the thread that ran it: SIGILL, SIGTRAP and SIGSEGV with
 * their codes and addresses, in several threads at once; the handlers leave by siglongjmp, which
 * restores the mask.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include <setjmp.h>

#include "guest.h"

enum { THREADS = 8, ROUNDS = 15 };

static __thread sigjmp_buf back;
static __thread volatile int sig_seen, code_seen;
static __thread void *volatile addr_seen;
static atomic_int count;

void trap_here(void);
void udf_here(void);
#if defined(__aarch64__)
#define TRAP "brk #7"
#define ILLEGAL "udf #5"
#elif defined(__arm__) /* the words that Linux takes for these */
#define TRAP ".inst 0xe7f001f0"
#define ILLEGAL ".inst 0xe7f000f5"
#define BEFORE ".arm\n"
#ifdef __thumb__
#define AFTER ".thumb\n"
#endif
#elif defined(__riscv)
#define TRAP ".4byte 0x00100073"
#define ILLEGAL ".4byte 0xc0001073" /* a write to a register that is only read */
#elif defined(__s390x__)
#define ILLEGAL ".short 0" /* QEMU has no breakpoint instruction there */
#define TRAP ILLEGAL
#define TRAP_SIGNAL SIGILL
#elif defined(__x86_64__)
#define TRAP "int3"
#define ILLEGAL "ud2"
#define TRAP_CODE SI_KERNEL /* and no address */
#define TRAP_ADDRESS NULL
#endif
#ifdef __s390x__
#define FAULT_ADDRESS(at) ((void *)((uintptr_t)(at) & -GUEST_PAGE)) /* no more is told */
#else
#define FAULT_ADDRESS(at) (at)
#endif
#ifndef BEFORE
#define BEFORE
#endif
#ifndef AFTER
#define AFTER
#endif
#ifndef TRAP_SIGNAL
#define TRAP_SIGNAL SIGTRAP
#endif
#ifndef TRAP_CODE
#define TRAP_CODE (TRAP_SIGNAL == SIGILL ? ILL_ILLOPC : TRAP_BRKPT)
#define TRAP_ADDRESS trap_here
#endif

/* They never return. */
__asm__(".text\n.balign 4\n" BEFORE ".global trap_here\n.type trap_here, %function\n"
        "trap_here: " TRAP "\n.balign 4\n.global udf_here\n.type udf_here, %function\n"
        "udf_here: " ILLEGAL "\n.balign 4\n" AFTER);

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    sig_seen = sig;
    code_seen = info->si_code;
    addr_seen = info->si_addr;
    siglongjmp(back, 1);
}

static void expect(int sig, int code, void *addr)
{
    /* Processors differ in what they find illegal: the opcode or the operand. */
    CHECK(sig_seen == sig && addr_seen == addr);
    CHECK(code_seen == code || (sig == SIGILL && code_seen == ILL_ILLOPN));
    atomic_fetch_add(&count, 1);
}

static void *worker(void *arg)
{
    void *nowhere = (void *)(uintptr_t)(0x100 + 8 * (intptr_t)arg);
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);

    for (volatile int i = 0; i < ROUNDS; i++) {
        if (sigsetjmp(back, 1) == 0) {
            udf_here();
            guest_fail(__FILE__, __LINE__, "udf");
        }
        expect(SIGILL, ILL_ILLOPC, udf_here);
        if (sigsetjmp(back, 1) == 0) {
            trap_here();
            guest_fail(__FILE__, __LINE__, "brk");
        }
        expect(TRAP_SIGNAL, TRAP_CODE, TRAP_ADDRESS);
        if (sigsetjmp(back, 1) == 0) {
            *(volatile int *)nowhere = 1;
            guest_fail(__FILE__, __LINE__, "store");
        }
        expect(SIGSEGV, SEGV_MAPERR, FAULT_ADDRESS(nowhere));
    }
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &set) == 0);
    CHECK(sigismember(&set, SIGUSR1) && !sigismember(&set, SIGILL) && !sigismember(&set, SIGSEGV));
    return NULL;
}

int main(void)
{
    guest_handler(SIGILL, on_fault, 0);
    guest_handler(SIGTRAP, on_fault, 0);
    guest_handler(SIGSEGV, on_fault, 0);
    guest_run(THREADS, worker);
    printf("signal_sync: %d faults\n", count);
    return 0;
}
