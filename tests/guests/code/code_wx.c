/*
 * Code under a write-xor-execute rule: a thread writes it, makes it executable by mprotect, other
 * threads run it; running it before is a fault; code in a file runs from a private mapping; code
 * that is unmapped and replaced at the same address is the new one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <setjmp.h>

#include "code.h"

enum { THREADS = 4, ROUNDS = 10 };

static uint32_t *page;
static pthread_barrier_t gate;
static __thread sigjmp_buf back;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGSEGV && info->si_addr == page && info->si_code == SEGV_ACCERR);
    siglongjmp(back, 1);
}

static bool runs(void)
{
    if (sigsetjmp(back, 1)) {
        return false;
    }
    code_run(page);
    return true;
}

static void renew(uint32_t round)
{
    switch (round % 3) {
    case 0: /* rewritten in place */
        CHECK(mprotect(page, GUEST_PAGE, PROT_READ | PROT_WRITE) == 0);
        code_constant(page, round * 77);
        break;
    case 1: /* replaced by fresh memory */
        CHECK(munmap(page, GUEST_PAGE) == 0);
        CHECK(mmap(page, GUEST_PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
        code_constant(page, round * 77);
        break;
    case 2: { /* replaced by a file */
        uint32_t code[3];
        int fd = guest_tmpfile();
        code_constant(code, round * 77);
        CHECK(write(fd, code, sizeof(code)) == sizeof(code));
        CHECK(mmap(page, GUEST_PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == page);
        CHECK(close(fd) == 0);
        break;
    }
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (round % THREADS == (uint32_t)me) {
            renew(round);
        }
        pthread_barrier_wait(&gate);
        CHECK(!runs());
        pthread_barrier_wait(&gate);
        if ((round + 1) % THREADS == (uint32_t)me) {
            CHECK(mprotect(page, GUEST_PAGE, PROT_READ | PROT_EXEC) == 0);
            code_flush(page, page + 3);
        }
        pthread_barrier_wait(&gate);
        CHECK(runs() && code_run(page) == round * 77);
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

int main(void)
{
    page = guest_map(GUEST_PAGE, PROT_READ | PROT_WRITE);
    guest_handler(SIGSEGV, on_fault, 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("code_wx: %d rounds\n", ROUNDS);
    return 0;
}
