/*
 * A handler reads and changes what it interrupted through its ucontext: it skips an instruction,
 * changes a register and the mask, and all of that holds after it has returned.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "registers.h"

enum { THREADS = 4 };

static void on_trap(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    CHECK(sig == SIGILL && (uintptr_t)info->si_addr == (uintptr_t)CONTEXT_PC(uc) - ILLEGAL_BEHIND);
    CHECK(CONTEXT_REGISTER(uc) == 111);
    CONTEXT_REGISTER(uc) = 222;
    CONTEXT_PC(uc) += ILLEGAL_LENGTH - ILLEGAL_BEHIND;
    sigaddset(&uc->uc_sigmask, SIGUSR1);
}

static void *worker(void *arg)
{
    uintptr_t out, sp_before, sp_after;
    sigset_t now;

    for (int i = 0; i < 5; i++) {
        __asm__ volatile(GET_STACK("%1") "\n\t" SET_111 "\n\t" ILLEGAL
                                         "\n\t" GET_REGISTER("%0") "\n\t" GET_STACK("%2")
                         : "=&r"(out), "=&r"(sp_before), "=&r"(sp_after)
                         :
                         : SPARE_REGISTER, "memory");
        CHECK(out == 222 && sp_before == sp_after);
        CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0);
        CHECK(sigismember(&now, SIGUSR1) == 1);
        sigemptyset(&now);
        CHECK(pthread_sigmask(SIG_SETMASK, &now, NULL) == 0);
    }
    return arg;
}

int main(void)
{
    guest_handler(SIGILL, on_trap, 0);
    guest_run(THREADS, worker);
    worker(NULL);
    printf("signal_context: %d threads\n", THREADS + 1);
    return 0;
}
