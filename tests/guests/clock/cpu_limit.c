/*
 * The limit of processor time counts what threads use on all nodes: at the soft limit SIGXCPU, each
 * second, and the limit goes up with it; at the hard limit the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 status=137 */
#include "guest.h"
#include <sys/resource.h>

enum { WORKERS = 4 };

static atomic_int exceeded;

static void on_limit(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGXCPU && info->si_code == SI_KERNEL);
    atomic_fetch_add(&exceeded, 1);
}

static void *worker(void *arg)
{
    for (;;) {
    }
    return arg;
}

int main(void)
{
    pthread_t threads[WORKERS];
    struct rlimit limit = {1, 3}, now;

    guest_handler(SIGXCPU, on_limit, 0);
    CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
    guest_start(threads, WORKERS, worker);
    while (atomic_load(&exceeded) == 0) {
        usleep(10000);
    }
    CHECK(guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) >=
          INT64_C(500000000)); /* it is counted in ticks */
    CHECK(getrlimit(RLIMIT_CPU, &now) == 0 && now.rlim_cur >= 2 && now.rlim_max == 3);
    puts("cpu_limit: SIGXCPU");
    fflush(stdout);
    pthread_join(threads[0], NULL);
    return 0;
}
