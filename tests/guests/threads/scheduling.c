/*
 * Scheduling acts where a thread runs: who is bound to one processor is on it, by its own call and by
 * another thread's; priorities are read back by all, and passed on to new threads; and of two threads in
 * SCHED_FIFO on one processor only the one of higher priority runs (for who may use it).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 machines=1 */
#include "guest.h"
#include <sys/resource.h>

enum { THREADS = 3, HIGH = 20, LOW = 10 };

static int usual; /* this process's priority as it was started */

static pid_t tids[THREADS];
static sem_t shown, bound;
static atomic_bool leave;
static atomic_bool stop OWN_PAGE;
static sem_t counting;

/* A processor that this process may use. */
static int a_processor(int which)
{
    cpu_set_t set;

    CHECK(sched_getaffinity(getpid(), sizeof(set), &set) == 0);
    for (int cpu = 0;; cpu = (cpu + 1) % CPU_SETSIZE) {
        if (CPU_ISSET(cpu, &set) && which-- == 0) {
            return cpu;
        }
    }
}

/* By the system call: the C library may take what a page of the kernel's says, which QEMU does not write. */
static int this_processor(void)
{
    unsigned cpu;

    CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0);
    return (int)cpu;
}

static void bind_to(pid_t tid, int cpu)
{
    cpu_set_t set, now;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(tid, sizeof(set), &set) == 0);
    CHECK(sched_getaffinity(tid, sizeof(now), &now) == 0 && CPU_EQUAL(&set, &now));
}

static void *see_priority(void *arg)
{
    CHECK(getpriority(PRIO_PROCESS, 0) == (int)(intptr_t)arg);
    return arg;
}

/* Another thread binds this one: it is there before long. */
static void *worker(void *arg)
{
    intptr_t n = (intptr_t)arg;

    tids[n] = (pid_t)syscall(SYS_gettid);
    bind_to(0, a_processor((int)n));
    for (int i = 0; i < 10; i++) {
        CHECK(this_processor() == a_processor((int)n));
    }
    CHECK(sem_post(&shown) == 0);
    guest_sem_wait(&bound);
    while (this_processor() != a_processor((int)n + 1)) {
    }
    CHECK(getpriority(PRIO_PROCESS, 0) == usual + 5);
    CHECK(getpriority(PRIO_PROCESS, tids[n]) == usual + 5);
    CHECK(setpriority(PRIO_PROCESS, 0, usual + 7) == 0 && nice(1) == usual + 8);
    guest_elsewhere(see_priority, (void *)(intptr_t)(usual + 8));
    CHECK(sem_post(&shown) == 0);
    while (!atomic_load(&leave)) {
        usleep(1000);
    }
    return arg;
}

static void use_ordinary(void)
{
    struct sched_param param = {0};
    pthread_t threads[THREADS];

    guest_start(threads, THREADS, worker);
    for (int i = 0; i < THREADS; i++) {
        guest_sem_wait(&shown);
    }
    for (int i = 0; i < THREADS; i++) {
        bind_to(tids[i], a_processor(i + 1));
        CHECK(setpriority(PRIO_PROCESS, tids[i], usual + 5) == 0);
        CHECK(sched_getscheduler(tids[i]) == SCHED_OTHER);
        CHECK(sched_setscheduler(tids[i], SCHED_BATCH, &param) == 0);
        CHECK(sched_getscheduler(tids[i]) == SCHED_BATCH);
        param.sched_priority = 1;
        CHECK(sched_setscheduler(tids[i], SCHED_BATCH, &param) == -1 && errno == EINVAL);
        param.sched_priority = 0;
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(sem_post(&bound) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        guest_sem_wait(&shown);
        CHECK(getpriority(PRIO_PROCESS, tids[i]) <= usual + 8);
    }
    CHECK(getpriority(PRIO_PROCESS, 0) == usual);
    atomic_store(&leave, true);
    guest_join(threads, THREADS);
}

/* False: not permitted, as for any ordinary user. */
static bool be_first_come(int priority)
{
    const struct sched_param param = {.sched_priority = priority};

    bind_to(0, a_processor(0));
    if (sched_setscheduler(0, SCHED_FIFO, &param)) {
        CHECK(errno == EPERM);
        return false;
    }
    CHECK(sched_getscheduler(0) == SCHED_FIFO);
    return true;
}

/* Looks at the clock until it is told to stop: how long could it not, at the longest? */
static void *low(void *arg)
{
    int64_t now, then, longest = 0;
    bool permitted = be_first_come(LOW), stopped;

    then = guest_now_ns(CLOCK_MONOTONIC);
    CHECK(sem_post(&counting) == 0);
    do {
        stopped = !permitted || atomic_load(&stop);
        now = guest_now_ns(CLOCK_MONOTONIC);
        longest = now - then > longest ? now - then : longest;
        then = now;
    } while (!stopped);
    CHECK(!permitted || longest > 40000000);
    return arg;
}

/* Uses its processor for a while, and waits for nothing meanwhile, not for memory either. */
static void *high(void *arg)
{
    int64_t until;

    guest_sem_wait(&counting);
    if (be_first_come(HIGH)) {
        until = guest_now_ns(CLOCK_MONOTONIC) + 100000000;
        while (guest_now_ns(CLOCK_MONOTONIC) < until) {
        }
    }
    atomic_store(&stop, true);
    return arg;
}

static void *low_or_high(void *arg)
{
    return arg ? high(arg) : low(arg);
}

int main(void)
{
    CHECK(sem_init(&shown, 0, 0) == 0 && sem_init(&bound, 0, 0) == 0);
    CHECK(sem_init(&counting, 0, 0) == 0);
    usual = getpriority(PRIO_PROCESS, 0);
    use_ordinary();
    guest_run(2, low_or_high);
    puts("scheduling: bound, priorities, first come");
    return 0;
}
