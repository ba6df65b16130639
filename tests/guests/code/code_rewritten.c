/*
 * Code rewritten again and again by one thread while the others run its neighbours on the same
 * page: the neighbours stay right, and the rewritten function is the new one for every thread that
 * learns of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
#include "code.h"

enum { THREADS = 4, ROUNDS = 60, STEADY = 8 };

static uint32_t *page;
static OWN_PAGE atomic_uint version;
static OWN_PAGE atomic_uint seen[THREADS];

static uint32_t *slot(int i)
{
    return page + 16 * i;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (uint32_t v; (v = atomic_load(&version)) <= ROUNDS;) {
        for (int i = 1; i <= STEADY; i++) {
            CHECK(code_run(slot(i)) == 1000u + i);
        }
        /* Nobody rewrites it before all have seen this version. */
        if (v > 0 && atomic_load(&seen[me]) < v) {
            CHECK(code_run(slot(0)) == v * 0x12345);
            atomic_store(&seen[me], v);
        }
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    page = code_pages(1);
    for (int i = 1; i <= STEADY; i++) {
        code_flush(slot(i), code_constant(slot(i), 1000 + i));
    }
    guest_start(threads, THREADS, worker);
    for (uint32_t v = 1; v <= ROUNDS; v++) {
        code_flush(slot(0), code_constant(slot(0), v * 0x12345));
        CHECK(code_run(slot(0)) == v * 0x12345);
        atomic_store(&version, v);
        for (int t = 0; t < THREADS; t++) {
            while (atomic_load(&seen[t]) < v) {
                sched_yield();
            }
        }
    }
    atomic_store(&version, ROUNDS + 1);
    guest_join(threads, THREADS);
    printf("code_rewritten: %d versions\n", ROUNDS);
    return 0;
}
