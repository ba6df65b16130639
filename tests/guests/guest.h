/*
 * What every guest program shares: a check that ends the whole program, and threads by index.
 *
 * A guest proves one behaviour by checking itself. It prints only what is the same in every run
 * (no addresses, pids or times), exits with 0 when all held, and with 99 plus one line on stderr
 * at the first check that failed.
 *
 * Under the default placement the first thread that a program creates never shares a node with
 * the main thread, and of T threads that are alive together with it at least T/2 run on other
 * nodes than the first, whatever the number of nodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GUEST_PAGE 4096
#define GUEST_MAX_THREADS 256

/* On a page of its own: what stands here shares no page with anything else. */
#define OWN_PAGE __attribute__((aligned(GUEST_PAGE)))

#define CHECK(cond) ((cond) ? (void)0 : guest_fail(__FILE__, __LINE__, #cond))

/* Async-signal-safe, usable from any thread: no stdio, and the exit takes all threads along. */
static inline void __attribute__((noreturn))
guest_fail(const char *file, int line, const char *what)
{
    char text[256];
    int saved = errno;
    int n = snprintf(text, sizeof(text), "%s:%d: check failed: %s (errno %d)\n", file, line, what,
                     saved);

    if (n > 0) {
        ssize_t ignored = write(2, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
        (void)ignored;
    }
    _exit(99);
}

typedef void *(*guest_fn)(void *);

static inline void guest_sem_wait(sem_t *sem)
{
    while (sem_wait(sem) != 0) {
        CHECK(errno == EINTR);
    }
}

struct guest_entry {
    sem_t *all_there;
    guest_fn fn;
    intptr_t index;
};

static inline void *guest_enter(void *arg)
{
    struct guest_entry *entry = arg;

    guest_sem_wait(entry->all_there);
    return entry->fn((void *)entry->index);
}

/*
 * Start COUNT threads; each gets its index, 0 to COUNT - 1, as its argument. None of them runs
 * before all are there: where threads are placed depends on how many there are. (What is allocated
 * here stays for good, so that no thread has to know which of them is the last.)
 */
static inline void guest_start(pthread_t *threads, int count, guest_fn fn)
{
    struct guest_entry *entries = calloc(count, sizeof(*entries));
    sem_t *all_there = malloc(sizeof(*all_there));

    CHECK(entries && all_there && sem_init(all_there, 0, 0) == 0);
    for (int i = 0; i < count; i++) {
        entries[i] = (struct guest_entry){all_there, fn, i};
        CHECK(pthread_create(&threads[i], NULL, guest_enter, &entries[i]) == 0);
    }
    for (int i = 0; i < count; i++) {
        CHECK(sem_post(all_there) == 0);
    }
}

static inline void guest_join(pthread_t *threads, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* Start COUNT threads and wait for them all. */
static inline void guest_run(int count, guest_fn fn)
{
    pthread_t threads[GUEST_MAX_THREADS];

    CHECK(count <= GUEST_MAX_THREADS);
    guest_start(threads, count, fn);
    guest_join(threads, count);
}

/* Run FN(ARG) in a new thread and wait for it. */
static inline void *guest_elsewhere(guest_fn fn, void *arg)
{
    pthread_t thread;
    void *result;

    CHECK(pthread_create(&thread, NULL, fn, arg) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    return result;
}

static inline void guest_handler(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};

    sigemptyset(&sa.sa_mask);
    CHECK(sigaction(sig, &sa, NULL) == 0);
}

static inline int64_t guest_now_ns(clockid_t clock)
{
    struct timespec ts;

    CHECK(clock_gettime(clock, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Time from now on CLOCK_REALTIME, for the timed waits of pthreads. */
static inline struct timespec guest_after_ms(int ms)
{
    int64_t t = guest_now_ns(CLOCK_REALTIME) + (int64_t)ms * 1000000;

    return (struct timespec){.tv_sec = t / 1000000000, .tv_nsec = t % 1000000000};
}

static inline void *guest_map(size_t length, int prot)
{
    void *p = mmap(NULL, length, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

/* A file without a name: nothing to remove, whatever way the guest ends. */
static inline int guest_tmpfile(void)
{
    char name[] = "/tmp/dqemu-guest-XXXXXX";
    int fd = mkstemp(name);

    CHECK(fd >= 0);
    CHECK(unlink(name) == 0);
    return fd;
}

/* A small generator, the same everywhere. */
static inline uint32_t guest_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

#endif
