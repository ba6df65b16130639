/*
 * Threads that are bound to one processor run on that one, also when they ran elsewhere: each binds itself
 * to one after the other, and is bound by others while it computes, sleeps and waits. What belongs to
 * it stays its own: registers, errno, signal mask, alternate stack, the clock of its processor time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"

enum { THREADS = 4, ROUNDS = 12, MOST = 1024 };

static int processors[MOST], count;
static __thread int own = -1;
static OWN_PAGE atomic_int handled, over, bound_to;
static pid_t tids[THREADS];

static int here(void)
{
    unsigned cpu = MOST;

    CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0);
    return (int)cpu;
}

static void bind(pid_t tid, int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(tid, sizeof(set), &set) == 0);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    CHECK(info->si_pid == getpid());
    atomic_fetch_add(&handled, 1);
}

static double compute(double x)
{
    for (int i = 0; i < 1000; i++) {
        x = x * 0.5 + 1;
    }
    return x;
}

static void *itself(void *arg)
{
    const int me = (int)(intptr_t)arg;
    double x = compute(me), before = x;
    char stack[32768];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)}, seen;
    sigset_t mask, got;
    int64_t clock = 0;

    own = me;
    CHECK(sigaltstack(&alternate, NULL) == 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1 + me % 2);
    CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        const int cpu = processors[(me + i) % count];
        int64_t now;

        errno = 1000 + i;
        bind(0, cpu);
        CHECK(here() == cpu);
        CHECK(errno == 1000 + i && own == me);
        x = compute(x);
        CHECK(x == compute(before));
        before = x;
        now = guest_now_ns(CLOCK_THREAD_CPUTIME_ID);
        CHECK(now >= clock && now < clock + 60 * (int64_t)1000000000);
        clock = now;
        CHECK(pthread_sigmask(SIG_BLOCK, NULL, &got) == 0);
        CHECK(sigismember(&got, SIGUSR1 + me % 2) == 1);
        CHECK(sigaltstack(NULL, &seen) == 0 && seen.ss_sp == stack);
        CHECK(here() == cpu);
    }
    seen.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&seen, NULL) == 0);
    return NULL;
}

/* ---- by others */

static void *computes(void *arg)
{
    const int me = (int)(intptr_t)arg;
    double x = compute(1);

    __atomic_store_n(&tids[me], (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    while (!atomic_load(&over)) {
        x = compute(x);
        CHECK(x == compute(x));
    }
    return NULL;
}

static void *sleeps(void *arg)
{
    const struct timespec ms = {.tv_nsec = 1000000};

    __atomic_store_n(&tids[(intptr_t)arg], (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    while (!atomic_load(&over)) {
        CHECK(nanosleep(&ms, NULL) == 0 || errno == EINTR);
    }
    return NULL;
}

/* It asks by itself where it is, as soon as it has heard. */
static void *looks(void *arg)
{
    int seen = -1;

    __atomic_store_n(&tids[(intptr_t)arg], (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    while (!atomic_load(&over)) {
        int cpu = atomic_load(&bound_to);

        if (cpu >= 0 && cpu != seen) {
            /* between two instructions, soon: not before the call that bound it has returned */
            while (here() != cpu && atomic_load(&bound_to) == cpu) {
            }
            seen = cpu;
            atomic_compare_exchange_strong(&bound_to, &cpu, -1 - cpu);
        }
    }
    return NULL;
}

static void by_others(void)
{
    static const guest_fn kinds[] = {computes, sleeps, looks};
    pthread_t threads[3];

    for (int i = 0; i < 3; i++) {
        CHECK(pthread_create(&threads[i], NULL, kinds[i], (void *)(intptr_t)i) == 0);
    }
    for (int i = 0; i < 3; i++) {
        while (!__atomic_load_n(&tids[i], __ATOMIC_ACQUIRE)) {
            sched_yield();
        }
    }
    for (int i = 0; i < ROUNDS; i++) {
        const int cpu = processors[i % count], sent = atomic_load(&handled);

        bind(tids[2], cpu);
        atomic_store(&bound_to, cpu);
        for (int k = 0; k < 2; k++) {
            bind(tids[k], processors[(i + k) % count]);
            CHECK(syscall(SYS_tgkill, getpid(), tids[k], SIGURG) == 0);
        }
        while (atomic_load(&bound_to) != -1 - cpu || atomic_load(&handled) < sent + 2) {
            sched_yield();
        }
    }
    atomic_store(&over, 1);
    guest_join(threads, 3);
}

int main(void)
{
    cpu_set_t set;

    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    for (int cpu = 0; cpu < MOST && cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            processors[count++] = cpu;
        }
    }
    atomic_store(&bound_to, -1);
    guest_handler(SIGURG, on_signal, SA_RESTART);
    guest_run(THREADS, itself);
    by_others();
    /* the main thread, too; and what it starts is where it is */
    for (int i = 0; i < ROUNDS; i++) {
        bind(0, processors[i % count]);
        CHECK(here() == processors[i % count]);
    }
    CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
    guest_run(THREADS, itself);
    puts("bound: where it was told to be");
    return 0;
}
