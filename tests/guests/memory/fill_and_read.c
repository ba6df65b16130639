/*
 * One thread fills memory, another one reads parts of it at random, the first writes again, in
 * order or at random: every read sees the latest values.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include "guest.h"

enum { PAGES = 700, WORDS = GUEST_PAGE / sizeof(uint64_t), ROUNDS = 12 };

static uint64_t (*memory)[WORDS];
static uint64_t latest[PAGES]; /* the round that wrote the page last */
static OWN_PAGE pthread_barrier_t filled, done;

static unsigned draw(uint64_t *state, unsigned below)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(*state >> 33) % below;
}

static void fill(int page, uint64_t round)
{
    memory[page][0] = round * PAGES + page;
    memory[page][WORDS - 1] = ~memory[page][0];
    latest[page] = round;
}

static void check(int page)
{
    CHECK(memory[page][0] == latest[page] * PAGES + page);
    CHECK(memory[page][WORDS - 1] == ~memory[page][0]);
}

static void *reader(void *arg)
{
    uint64_t random = 7;

    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&filled);
        for (int i = 0; i < PAGES / 4; i++) {
            check((int)draw(&random, PAGES));
        }
        pthread_barrier_wait(&done);
    }
    for (int page = 0; page < PAGES; page++) {
        check(page);
    }
    return arg;
}

/* All in order, some at random, or a short stretch: by turns. */
static void write_again(int round, uint64_t *random)
{
    int first = round % 3 == 2 ? (int)draw(random, PAGES - 40) : 0;
    int last = round % 3 == 2 ? first + 40 : PAGES;

    for (int page = first; page < last; page++) {
        if (round % 3 != 1 || draw(random, 8) == 0) {
            fill(page, (uint64_t)round);
        }
    }
}

int main(void)
{
    pthread_t thread;
    uint64_t random = 3;

    memory = mmap(NULL, sizeof(*memory) * PAGES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(pthread_barrier_init(&filled, NULL, 2) == 0);
    CHECK(pthread_barrier_init(&done, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, reader, NULL) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        write_again(round, &random);
        for (int page = 0; page < PAGES; page++) {
            check(page);
        }
        pthread_barrier_wait(&filled);
        pthread_barrier_wait(&done);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    printf("fill_and_read: %d rounds\n", ROUNDS);
    return 0;
}
