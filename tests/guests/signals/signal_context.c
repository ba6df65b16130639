/*
 * A handler reads and changes what it interrupted through its ucontext: it skips an instruction,
 * changes a register and the mask, and all of that holds after it has returned.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <ucontext.h>

#include "guest.h"

enum { THREADS = 4 };

static void on_trap(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    CHECK(sig == SIGILL && info->si_addr == (void *)uc->uc_mcontext.pc);
    CHECK(uc->uc_mcontext.regs[9] == 111);
    uc->uc_mcontext.regs[9] = 222;
    uc->uc_mcontext.pc += 4;
    sigaddset(&uc->uc_sigmask, SIGUSR1);
}

static void *worker(void *arg)
{
    uint64_t out, sp_before, sp_after;
    sigset_t now;

    for (int i = 0; i < 5; i++) {
        __asm__ volatile("mov %1, sp\n\tmov x9, #111\n\tudf #0\n\tmov %0, x9\n\tmov %2, sp"
                         : "=&r"(out), "=&r"(sp_before), "=&r"(sp_after)
                         :
                         : "x9", "memory");
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
