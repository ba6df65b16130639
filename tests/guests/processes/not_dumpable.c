/*
 * A process that nobody may look into (as one that has given up rights is) forks while it has threads on
 * other nodes; the child has the memory, and nobody may look into it either.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <sys/prctl.h>

#include "guest.h"

enum { THREADS = 4, PAGES = 64 };

static unsigned char *memory;
static pthread_barrier_t written, over;

static void *work(void *arg)
{
    unsigned char me = (unsigned char)(intptr_t)arg;

    for (int i = me; i < PAGES; i += THREADS) {
        memset(memory + (size_t)i * GUEST_PAGE, 'a' + me, GUEST_PAGE);
    }
    pthread_barrier_wait(&written);
    pthread_barrier_wait(&over);
    return NULL;
}

static void look(void)
{
    for (int i = 0; i < PAGES; i++) {
        CHECK(memory[(size_t)i * GUEST_PAGE] == 'a' + i % THREADS);
    }
    CHECK(prctl(PR_GET_DUMPABLE) == 0);
}

int main(void)
{
    pthread_t threads[THREADS];
    int status, pid;

    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
    memory = guest_map((size_t)PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE);
    pthread_barrier_init(&written, NULL, THREADS + 1);
    pthread_barrier_init(&over, NULL, THREADS + 1);
    guest_start(threads, THREADS, work);
    pthread_barrier_wait(&written);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        look();
        _exit(7);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    look();
    pthread_barrier_wait(&over);
    guest_join(threads, THREADS);
    puts("forked");
    return 0;
}
