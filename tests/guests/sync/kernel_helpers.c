/*
 * The kernel's helpers at the end of Arm's address space: compare-and-exchange of 4 and 8 bytes, the
 * barrier and the thread pointer, from all nodes at once, also in memory that only the master has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include "guest.h"

enum { THREADS = 6, ROUNDS = 100 };

typedef int (*cmpxchg_fn)(int old, int new, volatile int *at);
typedef int (*cmpxchg64_fn)(const int64_t *old, const int64_t *new, volatile int64_t *at);

static const cmpxchg_fn kernel_cmpxchg = (cmpxchg_fn)0xffff0fc0;
static const cmpxchg64_fn kernel_cmpxchg64 = (cmpxchg64_fn)0xffff0f60;
static void (*const kernel_barrier)(void) = (void (*)(void))0xffff0fa0;
static void *(*const kernel_get_tls)(void) = (void *(*)(void))0xffff0fe0;

struct counters {
    volatile int word;
    volatile int64_t dword __attribute__((aligned(8)));
};
static OWN_PAGE struct counters ours;
static struct counters *masters; /* shared memory */

static void count_up(struct counters *c)
{
    int old;
    int64_t old64, new64;

    do {
        old = c->word;
    } while (kernel_cmpxchg(old, old + 1, &c->word) != 0);
    do {
        old64 = c->dword;
        new64 = old64 + 0x100000001;
    } while (kernel_cmpxchg64(&old64, &new64, &c->dword) != 0);
}

static void *worker(void *arg)
{
    CHECK(kernel_get_tls() == __builtin_thread_pointer());
    for (int i = 0; i < ROUNDS; i++) {
        count_up(&ours);
        kernel_barrier();
    }
    CHECK(kernel_cmpxchg(-1, 5, &ours.word) != 0);
    count_up(masters);
    CHECK(kernel_get_tls() == __builtin_thread_pointer());
    return arg;
}

int main(void)
{
    masters = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(masters != MAP_FAILED);
    CHECK(*(const volatile int *)0xffff0ffc >= 5); /* so many helpers there are */
    guest_run(THREADS, worker);
    CHECK(*(const volatile int *)0xffff0ffc >= 5);
    CHECK(ours.word == THREADS * ROUNDS && masters->word == THREADS);
    CHECK(ours.dword == 0x100000001 * (THREADS * ROUNDS) &&
          masters->dword == 0x100000001 * THREADS);
    printf("kernel_helpers: %d exchanges\n", 2 * THREADS * (ROUNDS + 1));
    return 0;
}
