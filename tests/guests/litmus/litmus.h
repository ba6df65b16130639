/*
 * Memory-order litmus tests: a few threads each run a few accesses to two words x and y, many times
 * over, and an outcome that the architecture forbids must never be seen.
 *
 * A round has many instances, which the threads run through without waiting for each other, so that
 * they meet at ever new points. The words of an instance lie on one page in one half of the rounds
 * and on two pages in the other. Two groups of threads run side by side.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum {
    LITMUS_ROUNDS = 40,
    LITMUS_PAGES = 4,
    LITMUS_SLOTS = 24, /* instances per page */
    LITMUS_INSTANCES = LITMUS_PAGES * LITMUS_SLOTS,
    LITMUS_MOST_THREADS = 4,
    LITMUS_GROUPS = 2,
};

struct litmus {
    const char *name;
    int threads;
    /* What thread number THREAD does; what it read goes to OUT. */
    void (*act)(int thread, volatile int *x, volatile int *y, int out[2]);
    bool (*forbidden)(int out[][2]);
};

static const struct litmus litmus;

struct litmus_group {
    pthread_barrier_t gate;
    OWN_PAGE int words[2 * LITMUS_PAGES][GUEST_PAGE / sizeof(int)];
    OWN_PAGE struct {
        OWN_PAGE int out[LITMUS_INSTANCES][2];
    } of_thread[LITMUS_MOST_THREADS];
};
static struct litmus_group litmus_groups[LITMUS_GROUPS];

static inline volatile int *litmus_word(struct litmus_group *g, int instance, bool is_y, bool apart)
{
    int page = instance % LITMUS_PAGES, slot = instance / LITMUS_PAGES;

    /* 16 words apart; y stands half a page behind x, or at x's place of another page. */
    return apart ? &g->words[page + (is_y ? LITMUS_PAGES : 0)][16 * slot]
                 : &g->words[page][16 * slot + (is_y ? 512 : 0)];
}

static inline void litmus_judge(struct litmus_group *g, bool apart)
{
    for (int i = 0; i < LITMUS_INSTANCES; i++) {
        int out[LITMUS_MOST_THREADS][2];
        for (int t = 0; t < litmus.threads; t++) {
            memcpy(out[t], g->of_thread[t].out[i], sizeof(out[t]));
        }
        if (litmus.forbidden(out)) {
            char text[80];
            snprintf(text, sizeof(text), "forbidden outcome of %s, %s", litmus.name,
                     apart ? "on two pages" : "on one page");
            guest_fail(__FILE__, __LINE__, text);
        }
    }
}

static void *litmus_thread(void *arg)
{
    struct litmus_group *g = &litmus_groups[(intptr_t)arg / litmus.threads];
    int me = (intptr_t)arg % litmus.threads;

    for (int round = 0; round < LITMUS_ROUNDS; round++) {
        bool apart = round % 2;
        if (me == round / 2 % litmus.threads) {
            memset(g->words, 0, sizeof(g->words));
        }
        pthread_barrier_wait(&g->gate);
        for (int i = 0; i < LITMUS_INSTANCES; i++) {
            litmus.act(me, litmus_word(g, i, false, apart), litmus_word(g, i, true, apart),
                       g->of_thread[me].out[i]);
        }
        pthread_barrier_wait(&g->gate);
        if (me == 0) {
            litmus_judge(g, apart);
        }
        pthread_barrier_wait(&g->gate);
    }
    return NULL;
}

int main(void)
{
    for (int i = 0; i < LITMUS_GROUPS; i++) {
        CHECK(pthread_barrier_init(&litmus_groups[i].gate, NULL, litmus.threads) == 0);
    }
    guest_run(LITMUS_GROUPS * litmus.threads, litmus_thread);
    printf("%s: never in %d instances\n", litmus.name,
           LITMUS_GROUPS * LITMUS_ROUNDS * LITMUS_INSTANCES);
    return 0;
}

static inline int litmus_load(volatile int *at)
{
    return *at;
}

static inline int litmus_load_acquire(volatile int *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void litmus_store(volatile int *at, int value)
{
    *at = value;
}

static inline void litmus_store_release(volatile int *at, int value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static inline void litmus_full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
