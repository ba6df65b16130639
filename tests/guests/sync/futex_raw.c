/*
 * The futex system call itself: a stale value is refused, timeouts expire, a wake wakes as many as
 * it says, a requeue moves waiters, bitsets select, and a wake-op works on both words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include <linux/futex.h>

#include "guest.h"

enum { THREADS = 8 };

static OWN_PAGE int word;
static OWN_PAGE int other;
static OWN_PAGE atomic_int woken, early;

static long futex(int *at, int op, int value, const void *timeout, int *at2, int value3)
{
    return syscall(SYS_futex, at, op, value, timeout, at2, value3);
}

/* The kernel may end a wait early for no reason of ours; such a wait is repeated here. */
static void *wait_once(void *arg)
{
    int bits = 1 << ((intptr_t)arg % 2);

    while (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, bits) != 0) {
        if (errno == EAGAIN) {
            atomic_fetch_add(&early, 1);
            return NULL;
        }
        CHECK(errno == EINTR);
    }
    atomic_fetch_add(&woken, 1);
    return NULL;
}

static void *refused(void *arg)
{
    struct timespec ts = {.tv_nsec = 20000000};
    int64_t start = guest_now_ns(CLOCK_MONOTONIC);

    CHECK(futex(&other, FUTEX_WAIT_PRIVATE, 77, NULL, NULL, 0) == -1 && errno == EAGAIN);
    CHECK(futex(&other, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0) == -1 && errno == ETIMEDOUT);
    CHECK(guest_now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 0);
    CHECK(futex((int *)((char *)&other + 1), FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == -1 &&
          errno == EINVAL);
    return arg;
}

/* The sum of what the wakes say they woke must be the number of waiters, no more and no less. */
static void wake_all(int *at, int op, int bits, int expected)
{
    for (int sum = 0; sum < expected;) {
        long n = futex(at, op, 1, NULL, NULL, bits);
        CHECK(n == 0 || n == 1);
        sum += n;
        if (n == 0) {
            sched_yield();
        }
    }
}

int main(void)
{
    pthread_t threads[THREADS];

    guest_elsewhere(refused, NULL);
    refused(NULL);

    /* One at a time. */
    guest_start(threads, THREADS, wait_once);
    wake_all(&word, FUTEX_WAKE_PRIVATE, 0, THREADS);
    guest_join(threads, THREADS);
    CHECK(woken == THREADS && early == 0);

    /* By bitset: those with bit 0, then those with bit 1. */
    woken = 0;
    guest_start(threads, THREADS, wait_once);
    wake_all(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, THREADS / 2);
    CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 1) == 0);
    wake_all(&word, FUTEX_WAKE_BITSET_PRIVATE, 2, THREADS / 2);
    guest_join(threads, THREADS);
    CHECK(woken == THREADS && early == 0);

    /* Moved to another word, woken there. */
    woken = 0;
    guest_start(threads, THREADS, wait_once);
    for (long sum = 0; sum < THREADS;) {
        long n = futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)INT_MAX, &other, 0);
        CHECK(n >= 0 && sum + n <= THREADS);
        sum += n;
        if (n == 0) {
            sched_yield();
        }
    }
    CHECK(woken == 0);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == 0);
    CHECK(futex(&other, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == THREADS);
    guest_join(threads, THREADS);
    CHECK(woken == THREADS && early == 0);
    CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1, &other, 99) == -1 &&
          errno == EAGAIN);

    /* Wake-op: as the second word is 0, its waiters are woken as well as those of the first. */
    other = 5;
    woken = 0;
    guest_start(threads, THREADS, wait_once);
    for (long sum = 0; sum < THREADS;) {
        long n = futex(&other, FUTEX_WAKE_OP_PRIVATE, 0, (void *)INT_MAX, &word,
                       FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0));
        CHECK(n >= 0);
        sum += n;
        if (n == 0) {
            sched_yield();
        }
    }
    guest_join(threads, THREADS);
    CHECK(woken == THREADS);
    /* The operation happens whether or not the comparison holds. */
    CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 0, NULL, &other,
                FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 1000)) == 0);
    CHECK(other == 6);
    printf("futex_raw: %d waiters woken four ways\n", THREADS);
    return 0;
}
