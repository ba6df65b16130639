/*
 * Everything at once for a while: threads that share pages, take locks, make system calls, map
 * memory and compute. The tests of failures disturb it. busy [SECONDS] (default 1) says when all
 * threads run, and checks at the end that nothing was lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

enum { THREADS = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static OWN_PAGE long locked;
static OWN_PAGE atomic_long counted;
static OWN_PAGE atomic_int stop;
static OWN_PAGE struct {
    OWN_PAGE long locked, counted;
} mine[THREADS];
static pthread_barrier_t gate;

static void *worker(void *arg)
{
    int me = (intptr_t)arg, null = open("/dev/null", O_WRONLY);

    CHECK(null >= 0);
    pthread_barrier_wait(&gate);
    while (!atomic_load(&stop)) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        locked++;
        CHECK(pthread_mutex_unlock(&lock) == 0);
        mine[me].locked++;
        atomic_fetch_add(&counted, 1);
        mine[me].counted++;
        CHECK(write(null, &mine[me], sizeof(mine[me])) == sizeof(mine[me]));
        char *area = guest_map(4 * GUEST_PAGE, PROT_READ | PROT_WRITE);
        area[GUEST_PAGE] = me;
        CHECK(munmap(area, 4 * GUEST_PAGE) == 0);
        for (volatile int i = 0; i < 20000; i++) {
        }
    }
    CHECK(close(null) == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int64_t seconds = argc > 1 ? atoi(argv[1]) : 1;
    long sum_locked = 0, sum_counted = 0;

    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    CHECK(write(1, "busy: all run\n", 14) == 14);
    struct timespec rest = {.tv_sec = seconds};
    while (nanosleep(&rest, &rest) != 0) {
        CHECK(errno == EINTR);
    }
    atomic_store(&stop, 1);
    guest_join(threads, THREADS);
    for (int t = 0; t < THREADS; t++) {
        sum_locked += mine[t].locked;
        sum_counted += mine[t].counted;
    }
    CHECK(sum_locked == locked && sum_counted == counted && locked > 0);
    puts("busy: nothing lost");
    return 0;
}
