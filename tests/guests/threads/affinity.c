/*
 * Processors as the guest sees them: the affinity mask is not empty, threads inherit it, a thread
 * that binds itself to one of them reads that back, and an empty mask is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4 };

static cpu_set_t at_start;

static void *worker(void *arg)
{
    cpu_set_t set, got;
    int cpu = 0;

    (void)arg;
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    CHECK(CPU_EQUAL(&set, &at_start));
    while (!CPU_ISSET(cpu, &set)) {
        cpu++;
    }
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
    CHECK(sched_getaffinity(0, sizeof(got), &got) == 0);
    CHECK(CPU_EQUAL(&set, &got));
    CPU_ZERO(&set);
    CHECK(sched_setaffinity(0, sizeof(set), &set) == -1 && errno == EINVAL);
    CHECK(sched_yield() == 0);
    return NULL;
}

int main(void)
{
    CHECK(sched_getaffinity(0, sizeof(at_start), &at_start) == 0);
    CHECK(CPU_COUNT(&at_start) >= 1);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    guest_run(THREADS, worker);
    puts("affinity: inherited, set and refused");
    return 0;
}
