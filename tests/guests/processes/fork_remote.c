/*
 * fork from remote threads: the child is that thread alone, sees what every thread had written
 * before, whoever wrote it last, and leaves the parent undisturbed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

enum { THREADS = 4, PAGES = 16, ROUNDS = 4 };

static OWN_PAGE volatile int page[PAGES][GUEST_PAGE / sizeof(int)];
static OWN_PAGE atomic_int counter;
static __thread int private_value;
static pthread_barrier_t gate;
static int *heap;

static void child(int me, int round)
{
    char text[40];

    CHECK(private_value == me * 10 + round);
    CHECK(gettid() == getpid());
    for (int p = 0; p < PAGES; p++) {
        /* Each was written by another thread than in the round before. */
        CHECK(page[p][0] == round && page[p][1] == (p + round) % THREADS);
    }
    CHECK(heap[999] == round);
    snprintf(text, sizeof(text), "child %d.%d", me, round);
    CHECK(strlen(text) == 9);
    char *more = malloc(100000);
    CHECK(more);
    memset(more, 1, 100000);
    counter = 3;
    _exit(20 + me);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg, status;

    for (int round = 1; round <= ROUNDS; round++) {
        private_value = me * 10 + round;
        for (int p = 0; p < PAGES; p++) {
            if ((p + round) % THREADS == me) {
                page[p][0] = round;
                page[p][1] = me;
            }
        }
        if (me == 0) {
            heap[999] = round;
        }
        pthread_barrier_wait(&gate);
        if (round % THREADS == me || round == ROUNDS) {
            /* One alone, and in the last round all at once. */
            pid_t pid = fork();
            CHECK(pid >= 0);
            if (pid == 0) {
                child(me, round);
            }
            CHECK(waitpid(pid, &status, 0) == pid);
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 20 + me);
        }
        pthread_barrier_wait(&gate);
        CHECK(counter == 0);
    }
    return NULL;
}

int main(void)
{
    heap = calloc(1000, sizeof(int));
    CHECK(heap && pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("fork_remote: %d rounds\n", ROUNDS);
    return 0;
}
