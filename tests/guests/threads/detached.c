/*
 * Detached threads, and threads that start threads: a tree of them, every node of it alive until
 * its children have reported, and no thread joined.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=10 timeout=20 */
#include "guest.h"

enum { FAN = 3, DEPTH = 3 };

struct branch {
    int depth;
    sem_t *done;
};

static atomic_int count;

static void *grow(void *arg)
{
    struct branch *mine = arg;
    sem_t children;

    atomic_fetch_add(&count, 1);
    CHECK(sem_init(&children, 0, 0) == 0);
    if (mine->depth < DEPTH) {
        pthread_attr_t attr;
        pthread_t thread;
        struct branch *below[FAN];

        CHECK(pthread_attr_init(&attr) == 0);
        CHECK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
        for (int i = 0; i < FAN; i++) {
            below[i] = malloc(sizeof(*below[i]));
            CHECK(below[i]);
            *below[i] = (struct branch){mine->depth + 1, &children};
            CHECK(pthread_create(&thread, &attr, grow, below[i]) == 0);
        }
        for (int i = 0; i < FAN; i++) {
            guest_sem_wait(&children);
        }
    }
    sem_t *done = mine->done;
    free(mine);
    CHECK(sem_post(done) == 0);
    return NULL;
}

int main(void)
{
    sem_t done;
    struct branch *root = malloc(sizeof(*root));

    CHECK(root && sem_init(&done, 0, 0) == 0);
    *root = (struct branch){0, &done};
    grow(root);
    guest_sem_wait(&done);
    printf("detached: %d branches\n", count);
    return 0;
}
