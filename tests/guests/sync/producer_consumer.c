/*
 * A bounded queue between producers and consumers on different nodes: every item arrives once,
 * with the contents that its producer gave it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "guest.h"

enum { PRODUCERS = 4, CONSUMERS = 4, ITEMS = 100, ROOM = 8, WORDS = 64 };

struct item {
    uint32_t id;
    uint32_t body[WORDS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static struct item *queue[ROOM];
static int head, held, producing = PRODUCERS;
static OWN_PAGE atomic_int seen[PRODUCERS * ITEMS];

static void *produce(int me)
{
    for (int i = 0; i < ITEMS; i++) {
        struct item *item = malloc(sizeof(*item));
        CHECK(item);
        item->id = me * ITEMS + i;
        for (int w = 0; w < WORDS; w++) {
            item->body[w] = item->id * 31 + w;
        }
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (held == ROOM) {
            CHECK(pthread_cond_wait(&not_full, &lock) == 0);
        }
        queue[(head + held++) % ROOM] = item;
        CHECK(pthread_cond_signal(&not_empty) == 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    CHECK(pthread_mutex_lock(&lock) == 0);
    producing--;
    CHECK(pthread_cond_broadcast(&not_empty) == 0);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return NULL;
}

static void *consume(void)
{
    for (;;) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (held == 0 && producing > 0) {
            CHECK(pthread_cond_wait(&not_empty, &lock) == 0);
        }
        if (held == 0) {
            CHECK(pthread_mutex_unlock(&lock) == 0);
            return NULL;
        }
        struct item *item = queue[head];
        head = (head + 1) % ROOM;
        held--;
        CHECK(pthread_cond_signal(&not_full) == 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
        for (int w = 0; w < WORDS; w++) {
            CHECK(item->body[w] == item->id * 31 + w);
        }
        atomic_fetch_add(&seen[item->id], 1);
        free(item);
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    /* Neighbours in order of creation have different roles, so that every node has both. */
    return me / 2 % 2 ? consume() : produce(me / 4 * 2 + me % 2);
}

int main(void)
{
    guest_run(PRODUCERS + CONSUMERS, worker);
    for (int i = 0; i < PRODUCERS * ITEMS; i++) {
        CHECK(seen[i] == 1);
    }
    printf("producer_consumer: %d items\n", PRODUCERS * ITEMS);
    return 0;
}
