/*
 * Signal masks: inherited by threads, blocked signals wait and are reported as pending, unblocking
 * delivers before it returns, a handler's mask holds while it runs and ends with it, SA_NODEFER
 * and SA_RESETHAND do as they say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4 };

static __thread volatile int got[65], depth, deepest;

static bool blocked(int sig)
{
    sigset_t now;

    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0);
    return sigismember(&now, sig);
}

static bool pending(int sig)
{
    sigset_t now;

    CHECK(sigpending(&now) == 0);
    return sigismember(&now, sig);
}

static void set_mask(int how, int sig)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void on_simple(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    got[sig]++;
}

/* Runs with SIGUSR2 blocked by its mask and itself by default: both wait until it is done. */
static void on_masking(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    CHECK(blocked(SIGUSR1) && blocked(SIGUSR2) && !blocked(SIGHUP));
    if (got[sig]++ == 0) {
        int before = got[SIGUSR2];
        CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
        CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0);
        CHECK(pending(SIGUSR1) && pending(SIGUSR2) && got[SIGUSR2] == before);
    }
    depth--;
}

static void on_nodefer(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (++got[sig] < 4) {
        CHECK(pthread_kill(pthread_self(), sig) == 0);
    }
    depth--;
}

static void *worker(void *arg)
{
    (void)arg;
    /* As main had it when it created this thread. */
    CHECK(blocked(SIGUSR1) && blocked(SIGTERM) && !blocked(SIGUSR2) && !blocked(SIGHUP));
    CHECK(!pending(SIGUSR1));

    CHECK(pthread_kill(pthread_self(), SIGTERM) == 0);
    CHECK(pthread_kill(pthread_self(), SIGTERM) == 0);
    CHECK(pending(SIGTERM) && got[SIGTERM] == 0);
    set_mask(SIG_UNBLOCK, SIGTERM);
    /* Twice sent while blocked, once received: ordinary signals do not queue. */
    CHECK(got[SIGTERM] == 1 && !pending(SIGTERM));

    set_mask(SIG_UNBLOCK, SIGUSR1);
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    CHECK(got[SIGUSR1] == 2 && got[SIGUSR2] == 1 && deepest == 1);
    CHECK(!blocked(SIGUSR1) && !blocked(SIGUSR2));

    deepest = 0;
    CHECK(pthread_kill(pthread_self(), SIGHUP) == 0);
    CHECK(got[SIGHUP] == 4 && deepest == 4 && depth == 0);

    sigset_t set;
    sigfillset(&set);
    CHECK(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
    CHECK(blocked(SIGHUP) && blocked(SIGRTMIN) && blocked(SIGRTMIN + 9));
    return NULL;
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = on_masking, .sa_flags = SA_SIGINFO};

    sigemptyset(&sa.sa_mask);
    sigaddset(&sa.sa_mask, SIGUSR2);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    guest_handler(SIGUSR2, on_simple, 0);
    guest_handler(SIGTERM, on_simple, 0);
    guest_handler(SIGHUP, on_nodefer, SA_NODEFER);
    guest_handler(SIGWINCH, on_simple, SA_RESETHAND);
    set_mask(SIG_BLOCK, SIGUSR1);
    set_mask(SIG_BLOCK, SIGTERM);
    guest_run(THREADS, worker);

    CHECK(raise(SIGWINCH) == 0 && got[SIGWINCH] == 1);
    CHECK(sigaction(SIGWINCH, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
    CHECK(sigaction(SIGKILL, &sa, NULL) == -1 && errno == EINVAL);
    printf("signal_mask: %d threads\n", THREADS);
    return 0;
}
