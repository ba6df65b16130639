/*
 * Processor time is the program's and its threads', wherever they run, and whoever asks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include "guest.h"
#include <sys/resource.h>
#include <sys/times.h>

enum { THREADS = 2 };
#define WORK_NS INT64_C(100000000)
#define ALL_NS (THREADS * WORK_NS)
#define TICK_NS INT64_C(10000000) /* what is counted in ticks may lack one */

static sem_t worked, asked;

static int64_t ns_of(const struct timeval *t)
{
    return t->tv_sec * INT64_C(1000000000) + t->tv_usec * INT64_C(1000);
}

static int64_t used(int who)
{
    struct rusage r;

    CHECK(getrusage(who, &r) == 0);
    return ns_of(&r.ru_utime) + ns_of(&r.ru_stime);
}

static int64_t clock_of(pthread_t thread)
{
    clockid_t clock;

    CHECK(pthread_getcpuclockid(thread, &clock) == 0);
    return guest_now_ns(clock);
}

static void *worker(void *arg)
{
    int64_t first = guest_now_ns(CLOCK_PROCESS_CPUTIME_ID);

    while (guest_now_ns(CLOCK_THREAD_CPUTIME_ID) < WORK_NS) {
    }
    CHECK(used(RUSAGE_THREAD) >= WORK_NS - TICK_NS);
    CHECK(clock_of(pthread_self()) >= WORK_NS);
    CHECK(guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) >= first);
    CHECK(sem_post(&worked) == 0);
    guest_sem_wait(&asked);
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    clockid_t process;
    struct tms t;

    CHECK(sem_init(&worked, 0, 0) == 0 && sem_init(&asked, 0, 0) == 0);
    guest_start(threads, THREADS, worker);
    for (int i = 0; i < THREADS; i++) {
        guest_sem_wait(&worked);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(clock_of(threads[i]) >= WORK_NS);
    }
    CHECK(guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) >= ALL_NS);
    CHECK(clock_getcpuclockid(0, &process) == 0 && guest_now_ns(process) >= ALL_NS);
    CHECK((int64_t)clock() * (INT64_C(1000000000) / CLOCKS_PER_SEC) >= ALL_NS - TICK_NS);
    CHECK(used(RUSAGE_SELF) >= ALL_NS - TICK_NS);
    CHECK(times(&t) != (clock_t)-1);
    CHECK((t.tms_utime + t.tms_stime) * TICK_NS >= ALL_NS - (2 + 2 * THREADS) * TICK_NS);
    for (int i = 0; i < THREADS; i++) {
        CHECK(sem_post(&asked) == 0);
    }
    guest_join(threads, THREADS);
    CHECK(guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) >= ALL_NS); /* also of those that have ended */
    printf("cpu_time: of %d threads\n", THREADS);
    return 0;
}
