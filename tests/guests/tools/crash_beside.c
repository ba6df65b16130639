/*
 * A thread elsewhere ends the process by a fault, while others on all nodes are in known places with a
 * known register: in code, in a wait of their own node's, in a system call. tests/e2e/core.t looks for them in the
 * core file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define EACH 3 /* of each kind; and the one that ends all */

void spin_here(atomic_int *there, uint64_t mark);
void wait_here(atomic_int *there, uint64_t mark, atomic_int *word);
void read_here(atomic_int *there, uint64_t mark, int fd);

/* None of them returns; x20 tells which it is. Nobody is counted before that register is set. */
__asm__(".text\n"
        ".macro arrive\n"
        "mov x20, x1\n"
        "0: ldaxr w9, [x0]\n"
        "add w9, w9, #1\n"
        "stlxr w10, w9, [x0]\n"
        "cbnz w10, 0b\n"
        ".endm\n"
        ".global spin_here, wait_here, read_here\n"
        ".type spin_here, %function\n"
        "spin_here: arrive\n"
        "1: b 1b\n"
        ".type wait_here, %function\n"
        "wait_here: arrive\n"
        "mov x19, x2\n"
        "1: mov x0, x19\n"
        "mov x1, #128\n" /* FUTEX_WAIT_PRIVATE */
        "mov x2, #0\n"
        "mov x3, #0\n"
        "mov x8, #98\n"
        "svc #0\n"
        "b 1b\n"
        ".type read_here, %function\n"
        "read_here: arrive\n"
        "mov x19, x2\n"
        "sub sp, sp, #16\n"
        "1: mov x0, x19\n"
        "mov x1, sp\n"
        "mov x2, #1\n"
        "mov x8, #63\n"
        "svc #0\n"
        "b 1b\n");

static OWN_PAGE atomic_int there;
static OWN_PAGE atomic_int word;
static int ends[2];
static volatile int *nowhere;

void __attribute__((noinline)) fault_here(void)
{
    *nowhere = 1;
}

static void *run(void *arg)
{
    intptr_t i = (intptr_t)arg;
    uint64_t mark = 0x5151510000 + (i % EACH);

    if (i == 3 * EACH) {
        while (there < 3 * EACH) {
            sched_yield();
        }
        fault_here();
    } else if (i / EACH == 0) {
        spin_here(&there, mark);
    } else if (i / EACH == 1) {
        wait_here(&there, mark, &word);
    } else {
        read_here(&there, mark, ends[0]);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[3 * EACH + 1];

    CHECK(pipe(ends) == 0);
    guest_start(threads, 3 * EACH + 1, run);
    guest_join(threads, 3 * EACH + 1);
    return 0;
}
