/*
 * Waits until a time, which another thread has said, end when it has come: not before, and not much
 * later, by each way to wait and on each node.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=60 */
#include <linux/futex.h>

#include "guest.h"

enum { THREADS = 6, AHEAD_MS = 50, MUCH_LATER_MS = 10000 };

static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
static pthread_barrier_t gate;
static struct timespec until;
static sem_t never;

static int64_t ns_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static struct timespec after_ms(clockid_t clock, int64_t ms)
{
    int64_t t = guest_now_ns(clock) + ms * 1000000;

    return (struct timespec){.tv_sec = t / 1000000000, .tv_nsec = t % 1000000000};
}

static void wait_cond(clockid_t clock)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_condattr_t attr;
    pthread_cond_t cond;

    CHECK(pthread_condattr_init(&attr) == 0 && pthread_condattr_setclock(&attr, clock) == 0);
    CHECK(pthread_cond_init(&cond, &attr) == 0);
    CHECK(pthread_mutex_lock(&lock) == 0);
    CHECK(pthread_cond_timedwait(&cond, &lock, &until) == ETIMEDOUT);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    CHECK(pthread_cond_destroy(&cond) == 0);
}

static void wait_sem(clockid_t clock)
{
    int ret = clock == CLOCK_REALTIME ? sem_timedwait(&never, &until)
                                      : sem_clockwait(&never, clock, &until);

    CHECK(ret == -1 && errno == ETIMEDOUT);
}

static void wait_sleep(clockid_t clock)
{
    CHECK(clock_nanosleep(clock, TIMER_ABSTIME, &until, NULL) == 0);
}

static void wait_futex(clockid_t clock)
{
    int word = 0, op = FUTEX_WAIT_BITSET | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);

    CHECK(syscall(SYS_futex, &word, op, 0, &until, NULL, FUTEX_BITSET_MATCH_ANY) == -1 &&
          errno == ETIMEDOUT);
}

static void (*const ways[])(clockid_t) = {wait_cond, wait_sem, wait_sleep, wait_futex};
enum { WAYS = sizeof(ways) / sizeof(*ways), CLOCKS = sizeof(clocks) / sizeof(*clocks) };

/* All wait for the same time, each time said by another thread. */
static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    for (int i = 0; i < WAYS * CLOCKS; i++) {
        clockid_t clock = clocks[i % CLOCKS];
        int64_t end;

        if (me == i % THREADS) {
            until = after_ms(clock, AHEAD_MS);
        }
        pthread_barrier_wait(&gate);
        ways[i / CLOCKS](clock);
        end = guest_now_ns(clock);
        CHECK(end >= ns_of(&until));
        CHECK(end < ns_of(&until) + (int64_t)MUCH_LATER_MS * 1000000);
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

/* A time that has passed is not waited for; one that is far away does not keep who is woken. */
static sem_t posted;

static void *early_and_late(void *arg)
{
    (void)arg;
    for (int i = 0; i < CLOCKS; i++) {
        struct timespec past = after_ms(clocks[i], -1), far = after_ms(clocks[i], 3600000);

        CHECK(sem_clockwait(&never, clocks[i], &past) == -1 && errno == ETIMEDOUT);
        CHECK(clock_nanosleep(clocks[i], TIMER_ABSTIME, &past, NULL) == 0);
        CHECK(sem_clockwait(&posted, clocks[i], &far) == 0);
    }
    return NULL;
}

/* So long that the time is looked at more than once. */
static void *long_wait(void *arg)
{
    int64_t end;

    (void)arg;
    for (int i = 0; i < CLOCKS; i++) {
        struct timespec at = after_ms(clocks[i], 300);

        CHECK(sem_clockwait(&never, clocks[i], &at) == -1 && errno == ETIMEDOUT);
        end = guest_now_ns(clocks[i]);
        CHECK(end >= ns_of(&at) && end < ns_of(&at) + (int64_t)MUCH_LATER_MS * 1000000);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    CHECK(sem_init(&never, 0, 0) == 0 && sem_init(&posted, 0, 0) == 0);
    guest_run(THREADS, worker);
    printf("%d ways to wait, on %d clocks\n", (int)WAYS, (int)CLOCKS);
    guest_start(threads, THREADS, early_and_late);
    for (int i = 0; i < THREADS * (int)CLOCKS; i++) {
        CHECK(sem_post(&posted) == 0);
    }
    guest_join(threads, THREADS);
    printf("past and future\n");
    guest_run(3, long_wait);
    printf("long waits\n");
    return 0;
}
