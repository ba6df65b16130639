/*
 * Every thread allocates blocks of all sizes, fills them, and passes them on to another thread,
 * which checks and frees them; calloc's memory is zero and realloc keeps contents.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "guest.h"

enum { THREADS = 8, ROUNDS = 100, SLOTS = 64 };

struct block {
    uint32_t size, seed;
    unsigned char body[];
};

static OWN_PAGE struct block *_Atomic slots[SLOTS];
static OWN_PAGE atomic_int made, freed;

static void check_and_free(struct block *b)
{
    if (!b) {
        return;
    }
    for (uint32_t i = 0; i < b->size; i++) {
        CHECK(b->body[i] == (unsigned char)(b->seed + i * 13));
    }
    free(b);
    atomic_fetch_add(&freed, 1);
}

static void *worker(void *arg)
{
    uint64_t random = (intptr_t)arg + 1;

    for (int i = 0; i < ROUNDS; i++) {
        /* Mostly small, now and then one that malloc maps by itself. */
        uint32_t size = i % 25 == 24 ? 200000 : guest_random(&random) % 3000;
        struct block *b = calloc(1, sizeof(*b) + size);
        CHECK(b);
        for (uint32_t k = 0; k < size; k++) {
            CHECK(b->body[k] == 0);
        }
        b->seed = guest_random(&random);
        b->size = size / 2;
        for (uint32_t k = 0; k < b->size; k++) {
            b->body[k] = b->seed + k * 13;
        }
        b = realloc(b, sizeof(*b) + size / 2 + guest_random(&random) % 5000);
        CHECK(b);
        atomic_fetch_add(&made, 1);
        check_and_free(atomic_exchange(&slots[guest_random(&random) % SLOTS], b));
    }
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    for (int i = 0; i < SLOTS; i++) {
        check_and_free(atomic_exchange(&slots[i], NULL));
    }
    CHECK(made == freed);
    printf("malloc_storm: %d blocks\n", made);
    return 0;
}
