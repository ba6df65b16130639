/*
 * Memory that one thread maps, and that another one comes to for the first time in every way there is: by
 * instructions, across the edge of two mappings, as an argument of system calls of each kind, as a futex,
 * as the stack of a signal handler. And what is unmapped or protected behind its back: the fault is the
 * right one. Every thread maps for every other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include <linux/futex.h>
#include <setjmp.h>
#include <sys/random.h>

#include "guest.h"

enum { WORKERS = 3, ROUNDS = 4 };
#define P ((size_t)GUEST_PAGE)
#define LENGTH (4 * P)

/* ---- on whichever thread */

static void (*job)(void);
static sem_t go[WORKERS], done;

static void *work(void *arg)
{
    for (;;) {
        guest_sem_wait(&go[(intptr_t)arg]);
        if (!job) {
            return arg;
        }
        job();
        CHECK(sem_post(&done) == 0);
    }
}

static void on(int who, void (*fn)(void))
{
    if (who == WORKERS) { /* the main thread */
        fn();
        return;
    }
    job = fn;
    CHECK(sem_post(&go[who]) == 0);
    guest_sem_wait(&done);
}

/* ---- what is mapped, and how it is met */

static unsigned char *area;
static int file;
static unsigned char *volatile handled;

static void map_private(void)
{
    area = guest_map(LENGTH, PROT_READ | PROT_WRITE);
}

/* Two mappings, side by side. */
static void map_twice(void)
{
    area = guest_map(LENGTH, PROT_NONE);
    CHECK(mprotect(area, 2 * P, PROT_READ | PROT_WRITE) == 0);
    CHECK(mmap(area + 2 * P, 2 * P, PROT_READ | PROT_WRITE | PROT_EXEC,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area + 2 * P);
}

static void map_shared(void)
{
    area = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
}

static void map_file(void)
{
    area = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    CHECK(area != MAP_FAILED && area[P] == 2);
}

static void unmap(void)
{
    CHECK(munmap(area, LENGTH) == 0);
}

static void access_it(void)
{
    volatile uint64_t *across = (volatile uint64_t *)(area + 2 * P - 4);

    CHECK(area[3 * P] == (area[0] == 1 ? 4 : 0));
    area[3 * P] = 7;
    atomic_fetch_add((atomic_int *)(area + P), 1);
    *across = 0x0123456789abcdefull;
    CHECK(*across == 0x0123456789abcdefull);
}

static void across_first(void)
{
    memset(area + 2 * P - 4, 5, 8);
    CHECK(*(volatile uint64_t *)(area + 2 * P - 4) == 0x0505050505050505ull);
}

/* Each call on a page of its own kind: some are executed where the thread runs. */
static void call_time(void)
{
    struct timespec *t = (struct timespec *)(area + P - 8); /* may reach over to the next page */

    CHECK(clock_gettime(CLOCK_MONOTONIC, t) == 0 && t->tv_sec + t->tv_nsec > 0);
}

static void call_mask(void)
{
    sigset_t *old = (sigset_t *)area;

    CHECK(sigprocmask(SIG_BLOCK, NULL, old) == 0);
    CHECK(!sigismember(old, SIGUSR1));
}

static void call_random(void)
{
    CHECK(getrandom(area, LENGTH, 0) == (ssize_t)LENGTH);
}

static void call_transfer(void)
{
    CHECK(pread(file, area, LENGTH, 0) == (ssize_t)LENGTH && area[0] == 1 && area[3 * P] == 4);
}

static void call_pipe(void)
{
    int ends[2];

    CHECK(pipe((int *)area) == 0);
    memcpy(ends, area, sizeof(ends));
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void call_futex(void)
{
    struct timespec *t = (struct timespec *)(area + 3 * P);

    errno = 0;
    CHECK(syscall(SYS_futex, area + P, FUTEX_WAIT_PRIVATE, 1, NULL) == -1 && errno == EAGAIN);
    t->tv_nsec = 1000;
    CHECK(syscall(SYS_futex, area + P, FUTEX_WAIT_PRIVATE, 0, t) == -1 && errno == ETIMEDOUT);
    CHECK(syscall(SYS_futex, area, FUTEX_WAKE_PRIVATE, 1) == 0);
}

static void on_own_stack(int sig, siginfo_t *info, void *context)
{
    handled = __builtin_frame_address(0);
}

static void call_stack(void)
{
    char more[16384];
    bool large = SIGSTKSZ > (long)LENGTH; /* of some instruction sets */
    stack_t stack = {.ss_sp = large ? more : (void *)area,
                     .ss_size = large ? sizeof(more) : LENGTH};

    CHECK(sigaltstack(&stack, NULL) == 0);
    handled = NULL;
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    CHECK(handled >= (unsigned char *)stack.ss_sp &&
          handled < (unsigned char *)stack.ss_sp + stack.ss_size);
    stack.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&stack, NULL) == 0);
}

/* ---- faults */

static sigjmp_buf back;
static volatile int code;
static void *volatile at;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    code = info->si_code;
    at = info->si_addr;
    siglongjmp(back, 1);
}

static void expect(unsigned char *address, bool write, int expected)
{
    code = 0;
    if (sigsetjmp(back, 1) == 0) {
        if (write) {
            *(volatile unsigned char *)address = 1;
        } else {
            (void)*(volatile unsigned char *)address;
        }
    }
    CHECK(code == expected && at == address);
}

static void map_read_only(void)
{
    map_private();
    CHECK(mprotect(area, 2 * P, PROT_READ) == 0);
    CHECK(mprotect(area + 3 * P, P, PROT_NONE) == 0);
}

static void meet_protection(void)
{
    expect(area + P, true, SEGV_ACCERR);
    expect(area + 3 * P, false, SEGV_ACCERR);
    area[2 * P] = 1;
    errno = 0;
    CHECK(getrandom(area, P, 0) == -1 && errno == EFAULT);
}

static void lift_protection(void)
{
    CHECK(mprotect(area, LENGTH, PROT_READ | PROT_WRITE) == 0);
}

static void write_all(void)
{
    for (size_t i = 0; i < LENGTH; i += P) {
        area[i] = 3;
    }
}

static void forbid(void)
{
    CHECK(mprotect(area, LENGTH, PROT_NONE) == 0);
}

static void meet_prohibition(void)
{
    expect(area + 2 * P, false, SEGV_ACCERR);
}

static void meet_nothing(void)
{
    expect(area + P, false, SEGV_MAPERR);
    errno = 0;
    CHECK(getrandom(area, P, 0) == -1 && errno == EFAULT);
}

/* ---- all pairs */

static void try_uses(int maker, int user, void (*map)(void), size_t first)
{
    static void (*const uses[])(void) = {access_it, across_first, call_time,
                                         call_mask, call_random,  call_transfer,
                                         call_pipe, call_futex,   call_stack};

    const size_t count = sizeof(uses) / sizeof(*uses);

    for (size_t i = 0; i < count; i++) {
        void (*use)(void) = uses[(first + i) % count];

        if (map == map_file && use == call_futex) {
            continue; /* the word is not 0 */
        }
        on(maker, map);
        on(user, use);
        on(maker, unmap);
        on(user, meet_nothing);
    }
}

static void try_private(int maker, int user)
{
    try_uses(maker, user, map_private, 0);
    try_uses(maker, user, map_twice, 0);
    try_uses(maker, user, map_file, 0);
    on(maker, map_read_only);
    on(user, meet_protection);
    on(maker, lift_protection);
    on(user, write_all);
    on(maker, forbid);
    on(user, meet_prohibition);
    on(maker, unmap);
}

/* A thread that meets such memory stays where that is: each one meets it first in another way. */
static void try_shared(int maker, int user)
{
    try_uses(maker, user, map_shared, 8 - 3 * (size_t)user % 9);
}

static void try_all(void (*try)(int maker, int user))
{
    for (int maker = 0; maker <= WORKERS; maker++) {
        for (int user = 0; user <= WORKERS; user++) {
            try(maker, user);
        }
    }
}

int main(void)
{
    pthread_t workers[WORKERS];
    unsigned char page[GUEST_PAGE];

    guest_handler(SIGSEGV, on_fault, 0);
    guest_handler(SIGUSR1, on_own_stack, SA_ONSTACK);
    file = guest_tmpfile();
    for (int i = 0; i < 4; i++) {
        memset(page, 1 + i, sizeof(page));
        CHECK(write(file, page, sizeof(page)) == (ssize_t)sizeof(page));
    }
    CHECK(sem_init(&done, 0, 0) == 0);
    for (int i = 0; i < WORKERS; i++) {
        CHECK(sem_init(&go[i], 0, 0) == 0);
    }
    guest_start(workers, WORKERS, work);
    for (int round = 0; round < ROUNDS; round++) {
        try_all(try_private);
    }
    try_all(try_shared);
    job = NULL;
    for (int i = 0; i < WORKERS; i++) {
        CHECK(sem_post(&go[i]) == 0);
    }
    guest_join(workers, WORKERS);
    puts("learned: as it was mapped");
    return 0;
}
