/*
 * The processor time of each thread as "stat" below /proc/self/task has it, wherever the thread runs and
 * whoever reads it: what the thread has used, and of threads that only wait, next to nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"

enum { THREADS = 4 };

static const int64_t busy_ns = 300000000, slack_ns = 60000000;
static pid_t tids[THREADS];
static int64_t used[THREADS];
static pthread_barrier_t barrier;

static int64_t shown(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    unsigned long user, system;

    CHECK(f && fgets(line, sizeof(line), f) && fclose(f) == 0 && strrchr(line, ')'));
    CHECK(sscanf(strrchr(line, ')'), ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user,
                 &system) == 2);
    return (user + system) * (1000000000 / sysconf(_SC_CLK_TCK));
}

static void look(void)
{
    for (int i = 0; i < THREADS; i++) {
        char path[64];
        int64_t ns;

        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tids[i]);
        ns = shown(path);
        CHECK(ns >= used[i] - slack_ns && (i % 2 == 0 || ns < busy_ns / 2));
    }
}

static void *run(void *arg)
{
    intptr_t i = (intptr_t)arg;
    int64_t start = guest_now_ns(CLOCK_THREAD_CPUTIME_ID);

    tids[i] = gettid();
    while (i % 2 == 0 && guest_now_ns(CLOCK_THREAD_CPUTIME_ID) < start + busy_ns) {
    }
    used[i] = guest_now_ns(CLOCK_THREAD_CPUTIME_ID);
    pthread_barrier_wait(&barrier);
    look();
    CHECK(shown("/proc/thread-self/stat") >= used[i] - slack_ns);
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, run);
    pthread_barrier_wait(&barrier);
    look();
    pthread_barrier_wait(&barrier);
    guest_join(threads, THREADS);
    puts("thread_stat: what each has used");
}
