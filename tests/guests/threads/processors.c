/*
 * The processors that a program sees: a thread runs on one of them, a mask that is set is read back by
 * others and inherited, masks of processors that are not there and threads that are not there are refused,
 * and threads that inherit a mask run where it allows.
 *
 * With an argument: the number of hosts, all alike. Shows how many processors there are, on how many
 * hosts as many threads ran, and where those did that may only use the last processor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { MOST = 64 };

static int count, hosts, ran_on[MOST];

static int processor(unsigned *node)
{
    unsigned cpu = MOST;

    CHECK(syscall(SYS_getcpu, &cpu, node, NULL) == 0);
    CHECK(syscall(SYS_getcpu, NULL, NULL, NULL) == 0);
    CHECK(cpu < (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    return (int)cpu;
}

static void *look(void *arg)
{
    unsigned node;

    ran_on[(int)(intptr_t)arg] = processor(&node);
    return NULL;
}

static int info_count(void)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[4096];
    int n = 0;

    CHECK(f);
    while (fgets(line, sizeof(line), f)) {
        n += strncmp(line, "processor", 9) == 0;
    }
    CHECK(fclose(f) == 0);
    return n;
}

static int host_of(int cpu)
{
    return cpu * hosts / count;
}

/* Its mask is set by main(), before it looks and while it waits. */
static pthread_barrier_t step;
static pid_t tid;

static void *bound(void *arg)
{
    cpu_set_t set;

    (void)arg;
    tid = (pid_t)syscall(SYS_gettid);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    CHECK(CPU_COUNT(&set) == 1);
    pthread_barrier_wait(&step);
    return NULL;
}

static void check_of_others(const cpu_set_t *one)
{
    cpu_set_t set, none;
    pthread_t thread;

    CPU_ZERO(&none);
    CHECK(pthread_barrier_init(&step, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, bound, NULL) == 0);
    pthread_barrier_wait(&step);
    CHECK(sched_setaffinity(tid, sizeof(*one), one) == 0);
    CHECK(sched_getaffinity(tid, sizeof(set), &set) == 0);
    CHECK(CPU_EQUAL(&set, one));
    CHECK(sched_setaffinity(tid, sizeof(none), &none) == -1 && errno == EINVAL);
    CHECK(sched_getaffinity(getpid(), sizeof(set), &set) == 0);
    CHECK(CPU_COUNT(&set) == count);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(sched_getaffinity(0x7ffffff0, sizeof(set), &set) == -1 && errno == ESRCH);
}

int main(int argc, char **argv)
{
    cpu_set_t set, one;
    int last = CPU_SETSIZE - 1, seen = 0;

    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    count = CPU_COUNT(&set);
    while (!CPU_ISSET(last, &set)) {
        last--;
    }
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    check_of_others(&one);
    hosts = argc > 1 ? atoi(argv[1]) : 0;
    guest_run(hosts && count < MOST ? count : 4, look);
    if (hosts) {
        for (int h = 0; h < hosts; h++) {
            bool used = false;
            for (int i = 0; i < count && i < MOST; i++) {
                used |= host_of(ran_on[i]) == h;
            }
            seen += used;
        }
        printf("processors: %d in the mask, %ld online, %ld configured, %d in /proc/cpuinfo\n",
               count, sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF), info_count());
        printf("processors: %d threads on %d hosts\n", count, seen);
    }
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    guest_run(4, look);
    for (int i = 0; hosts && i < 4; i++) {
        printf("processors: bound to the last, on host %d\n", host_of(ran_on[i]));
    }
    puts("processors: as they should be");
    return 0;
}
