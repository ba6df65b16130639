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
__asm__(".text\n.global trap_here\ntrap_here: brk #7\n ret\n"
        ".global udf_here\nudf_here: udf #5\n ret\n");

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
        expect(SIGTRAP, TRAP_BRKPT, trap_here);
        if (sigsetjmp(back, 1) == 0) {
            *(volatile int *)nowhere = 1;
            guest_fail(__FILE__, __LINE__, "store");
        }
        expect(SIGSEGV, SEGV_MAPERR, nowhere);
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
