/*
 * Bad accesses are the guest's SIGSEGV with the right address and code, in any thread: reading,
 * writing and running unmapped, forbidden and non-canonical places; and a handler that repairs the
 * place lets the access go on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include <setjmp.h>

#include "guest.h"

enum { THREADS = 8 };

static unsigned char *none, *read_only, *hole, *no_exec;
static __thread sigjmp_buf back;
static __thread volatile int code;
static __thread void *volatile at;
static __thread unsigned char *volatile repair;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGSEGV);
    code = info->si_code;
    at = info->si_addr;
    if (repair) {
        CHECK(mmap(repair, GUEST_PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == repair);
        repair = NULL;
        return;
    }
    siglongjmp(back, 1);
}

enum how { READ, WRITE, WIDE, RUN };

static void expect(void *address, enum how how, int expected)
{
    code = 0;
    at = NULL;
    if (sigsetjmp(back, 1) == 0) {
        switch (how) {
        case READ:
            (void)*(volatile char *)address;
            break;
        case WRITE:
            *(volatile char *)address = 1;
            break;
        case WIDE:
            *(volatile uint64_t *)address = 1;
            break;
        case RUN:
            ((void (*)(void))address)();
            break;
        }
        guest_fail(__FILE__, __LINE__, "no fault");
    }
    CHECK(code == expected && at == address);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int i = 0; i < 3; i++) {
        expect(hole + me * 8, READ, SEGV_MAPERR);
        expect(hole + me * 8, WRITE, SEGV_MAPERR);
        expect(hole + GUEST_PAGE - 8, WIDE, SEGV_MAPERR);
        expect(none + me, READ, SEGV_ACCERR);
        expect(none + me, WRITE, SEGV_ACCERR);
        expect(read_only + me, WRITE, SEGV_ACCERR);
        CHECK(read_only[me] == 'r');
        expect((void *)(uintptr_t)(8 * (me + 1)), READ, SEGV_MAPERR);
        expect(hole, RUN, SEGV_MAPERR);
        expect(no_exec, RUN, SEGV_ACCERR);
    }
    /* The fault is repaired, the store is done again. */
    unsigned char *mine = hole + (2 + me) * GUEST_PAGE;
    repair = mine;
    *(volatile unsigned char *)(mine + 17) = me + 1;
    CHECK(repair == NULL && at == mine + 17 && mine[17] == me + 1 && mine[16] == 0);
    return NULL;
}

#define FAR (sizeof(void *) == 8 ? (uintptr_t)0x2000000000 : (uintptr_t)0x20000000)

int main(void)
{
    none = guest_map(GUEST_PAGE, PROT_NONE);
    no_exec = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    no_exec[0] = 1;
    read_only = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    memset(read_only, 'r', GUEST_PAGE);
    CHECK(mprotect(read_only, GUEST_PAGE, PROT_READ) == 0);
    /* A place of its own, far from where mmap puts the threads' stacks. */
    hole = mmap((void *)FAR, GUEST_PAGE, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(hole == (void *)FAR);
    CHECK(munmap(hole, GUEST_PAGE) == 0);

    guest_handler(SIGSEGV, on_fault, 0);
    guest_run(THREADS, worker);
    worker((void *)(intptr_t)THREADS);
    printf("segv: nine kinds in %d threads\n", THREADS + 1);
    return 0;
}
