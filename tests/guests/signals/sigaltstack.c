/*
 * Alternate stacks belong to threads: handlers run on them when asked to, the state is reported
 * inside and outside, nested signals stay on it, and handlers without the flag use the thread's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4, SIZE = 64 * 1024 };

static __thread char *alternate;
static __thread volatile int on, off, nested;

static bool on_alternate(void *p)
{
    return (char *)p >= alternate && (char *)p < alternate + SIZE;
}

static void on_nested(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    CHECK(on_alternate(&sig));
    nested++;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    stack_t now, other = {.ss_flags = SS_DISABLE};

    (void)info;
    if (sig == SIGUSR1) {
        CHECK(on_alternate(&sig));
        CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_ONSTACK);
        CHECK(sigaltstack(&other, NULL) == -1 && errno == EPERM);
        CHECK(uc->uc_stack.ss_sp == alternate && uc->uc_stack.ss_size == SIZE);
        CHECK(pthread_kill(pthread_self(), SIGHUP) == 0);
        on++;
    } else {
        CHECK(!on_alternate(&sig));
        off++;
    }
}

static void *worker(void *arg)
{
    stack_t now, set;

    /* A new thread has none, whatever its creator had. */
    CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE);
    alternate = malloc(SIZE);
    CHECK(alternate);
    set = (stack_t){.ss_sp = alternate, .ss_size = SIZE};
    CHECK(sigaltstack(&set, NULL) == 0);
    for (int i = 1; i <= 5; i++) {
        CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
        CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0);
        CHECK(on == i && off == i && nested == i);
        CHECK(sigaltstack(NULL, &now) == 0);
        CHECK(now.ss_flags == 0 && now.ss_sp == alternate && now.ss_size == SIZE);
    }
    set.ss_size = 100;
    CHECK(sigaltstack(&set, NULL) == -1 && errno == ENOMEM);
    set = (stack_t){.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&set, NULL) == 0);
    free(alternate);
    return arg;
}

int main(void)
{
    guest_handler(SIGUSR1, on_signal, SA_ONSTACK);
    guest_handler(SIGUSR2, on_signal, 0);
    guest_handler(SIGHUP, on_nested, SA_ONSTACK);
    worker(NULL);
    alternate = malloc(SIZE);
    stack_t set = {.ss_sp = alternate, .ss_size = SIZE};
    CHECK(alternate && sigaltstack(&set, NULL) == 0);
    guest_run(THREADS, worker);
    printf("sigaltstack: %d threads\n", THREADS + 1);
    return 0;
}
