/*
 * Thread-local storage: initialised for each thread, private to it, yet reachable by pointer from
 * others; keys have their values per thread, and their destructors run at its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=20 */
#include "guest.h"

enum { THREADS = 8 };

static __thread int initialised = 1234;
static __thread char zeroed[10000];
static int *theirs[THREADS];
static pthread_barrier_t gate;
static pthread_key_t key;
static atomic_int destroyed;

static void destroy(void *value)
{
    CHECK(pthread_getspecific(key) == NULL);
    atomic_fetch_add(&destroyed, (int)(intptr_t)value);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    CHECK(initialised == 1234);
    for (size_t i = 0; i < sizeof(zeroed); i += 97) {
        CHECK(zeroed[i] == 0);
    }
    memset(zeroed, me, sizeof(zeroed));
    initialised = me;
    theirs[me] = &initialised;
    CHECK(pthread_getspecific(key) == NULL);
    CHECK(pthread_setspecific(key, (void *)(intptr_t)(me + 1)) == 0);
    pthread_barrier_wait(&gate);
    CHECK(*theirs[(me + 1) % THREADS] == (me + 1) % THREADS);
    pthread_barrier_wait(&gate);
    *theirs[(me + 1) % THREADS] += 100;
    errno = me;
    pthread_barrier_wait(&gate);
    CHECK(initialised == me + 100);
    CHECK(zeroed[9999] == me && errno == me);
    CHECK(pthread_getspecific(key) == (void *)(intptr_t)(me + 1));
    pthread_barrier_wait(&gate);
    return NULL;
}

int main(void)
{
    CHECK(pthread_key_create(&key, destroy) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    CHECK(initialised == 1234 && zeroed[5000] == 0);
    CHECK(destroyed == THREADS * (THREADS + 1) / 2);
    printf("tls: %d threads\n", THREADS);
    return 0;
}
