/*
 * The threads of C11: thrd, mtx, cnd, tss, call_once and atomic_flag.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <threads.h>

#include "guest.h"

enum { THREADS = 4, ROUNDS = 100 };

static mtx_t lock;
static cnd_t all_in;
static tss_t slot;
static once_flag once = ONCE_FLAG_INIT;
static atomic_flag spin = ATOMIC_FLAG_INIT;
static int in, initialised, destroyed;
static long locked, spun;

static void initialise(void)
{
    initialised++;
}

static void destroy(void *value)
{
    CHECK(mtx_lock(&lock) == thrd_success);
    destroyed += *(int *)value;
    CHECK(mtx_unlock(&lock) == thrd_success);
    free(value);
}

static int worker(void *arg)
{
    int *value = malloc(sizeof(*value));

    CHECK(value);
    *value = (int)(intptr_t)arg;
    CHECK(tss_set(slot, value) == thrd_success);
    call_once(&once, initialise);
    CHECK(initialised == 1);
    CHECK(mtx_lock(&lock) == thrd_success);
    in++;
    CHECK(cnd_broadcast(&all_in) == thrd_success);
    while (in < THREADS) {
        CHECK(cnd_wait(&all_in, &lock) == thrd_success);
    }
    CHECK(mtx_unlock(&lock) == thrd_success);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(mtx_lock(&lock) == thrd_success);
        locked++;
        CHECK(mtx_unlock(&lock) == thrd_success);
        while (atomic_flag_test_and_set(&spin)) {
            thrd_yield();
        }
        spun++;
        atomic_flag_clear(&spin);
    }
    CHECK(*(int *)tss_get(slot) == (int)(intptr_t)arg);
    return (int)(intptr_t)arg * 2;
}

int main(void)
{
    thrd_t threads[THREADS];
    int result;

    CHECK(mtx_init(&lock, mtx_plain) == thrd_success && cnd_init(&all_in) == thrd_success);
    CHECK(tss_create(&slot, destroy) == thrd_success);
    for (intptr_t i = 0; i < THREADS; i++) {
        CHECK(thrd_create(&threads[i], worker, (void *)i) == thrd_success);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(thrd_join(threads[i], &result) == thrd_success && result == 2 * i);
    }
    CHECK(destroyed == THREADS * (THREADS - 1) / 2);
    printf("c11_threads: %ld %ld\n", locked, spun);
    return 0;
}
