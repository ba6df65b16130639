/*
 * Write barriers by mprotect, as garbage collectors do: threads write to protected pages, the
 * handler of each notes the page and opens it, and every write lands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, PAGES = 16, ROUNDS = 4 };

static unsigned char *area;
static pthread_barrier_t gate;
static OWN_PAGE atomic_int noted[PAGES];
static OWN_PAGE atomic_int faults;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    size_t page = ((unsigned char *)info->si_addr - area) / GUEST_PAGE;

    (void)context;
    CHECK(sig == SIGSEGV && info->si_code == SEGV_ACCERR && page < PAGES);
    atomic_fetch_add(&noted[page], 1);
    atomic_fetch_add(&faults, 1);
    CHECK(mprotect(area + page * GUEST_PAGE, GUEST_PAGE, PROT_READ | PROT_WRITE) == 0);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int round = 0; round < ROUNDS; round++) {
        if (pthread_barrier_wait(&gate) == PTHREAD_BARRIER_SERIAL_THREAD) {
            CHECK(mprotect(area, PAGES * GUEST_PAGE, PROT_READ) == 0);
        }
        pthread_barrier_wait(&gate);
        /* Some pages are hit by one thread, some by all at once. */
        for (int p = 0; p < PAGES; p++) {
            if (p % 2 || p / 2 % THREADS == me) {
                volatile unsigned char *byte = area + p * GUEST_PAGE + me;
                *byte = *byte + 1;
            }
        }
    }
    return NULL;
}

int main(void)
{
    area = guest_map(PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE);
    guest_handler(SIGSEGV, on_fault, 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    for (int p = 0; p < PAGES; p++) {
        CHECK(noted[p] >= ROUNDS && noted[p] <= ROUNDS * (p % 2 ? THREADS : 1));
        for (int t = 0; t < THREADS; t++) {
            CHECK(area[p * GUEST_PAGE + t] == (p % 2 || p / 2 % THREADS == t ? ROUNDS : 0));
        }
    }
    CHECK(faults >= ROUNDS * PAGES);
    printf("mprotect_fault: %d pages, each noted in %d rounds\n", PAGES, ROUNDS);
    return 0;
}
