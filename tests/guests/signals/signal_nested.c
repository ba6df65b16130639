/*
 * Handlers that interrupt handlers: each level sees its own registers again afterwards, integer,
 * floating-point and vector ones, and the interrupted computation comes out right.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "registers.h"

enum { THREADS = 4, LEVELS = 6, ROUNDS = 10 };

static __thread volatile int level, reached;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    level++;
    CHECK(sig == SIGRTMIN + level);
    scramble_registers(level * 0x0101010101010101ull);
    if (level < LEVELS) {
        CHECK(pthread_kill(pthread_self(), SIGRTMIN + level + 1) == 0);
    }
    reached++;
    scramble_registers((level + 7) * 0x0101010101010101ull);
    level--;
}

static void *worker(void *arg)
{
    double a = 1.0 + (intptr_t)arg, b = 0.5, c = 0;
    uint64_t x = (intptr_t)arg + 1;

    for (int i = 0; i < ROUNDS; i++) {
        a = a * 1.25 + b;
        b = b / 3 + 1;
        x = x * 6364136223846793005ull + 1;
        CHECK(pthread_kill(pthread_self(), SIGRTMIN + 1) == 0);
        CHECK(level == 0);
        c += a - b;
    }
    CHECK(reached == LEVELS * ROUNDS);

    double a2 = 1.0 + (intptr_t)arg, b2 = 0.5, c2 = 0;
    uint64_t x2 = (intptr_t)arg + 1;
    for (int i = 0; i < ROUNDS; i++) {
        a2 = a2 * 1.25 + b2;
        b2 = b2 / 3 + 1;
        x2 = x2 * 6364136223846793005ull + 1;
        c2 += a2 - b2;
    }
    CHECK(a == a2 && b == b2 && c == c2 && x == x2);
    return NULL;
}

int main(void)
{
    for (int i = 1; i <= LEVELS; i++) {
        guest_handler(SIGRTMIN + i, on_signal, 0);
    }
    guest_run(THREADS, worker);
    printf("signal_nested: %d levels\n", LEVELS);
    return 0;
}
