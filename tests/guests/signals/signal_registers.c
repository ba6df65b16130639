/*
 * Signals that arrive at any moment of a computation from another node change nothing in it:
 * every register is as it was, through many deliveries to threads that never make a system call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "registers.h"

enum { THREADS = 4, SIGNALS = 60 };

static sem_t handled;
static atomic_int stop;
static pthread_barrier_t gate;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    scramble_registers(0xdeadbeefcafef00dull + sig);
    CHECK(sem_post(&handled) == 0);
}

/* A chain of integer, vector and flag operations whose result depends on every step. */
#if defined(__aarch64__)
static uint64_t chain(uint64_t seed)
{
    uint64_t out;

    __asm__ volatile("mov x9, %1\n\t"
                     "mov x10, #2000\n\t"
                     "dup v0.2d, x9\n\t"
                     "movi v1.16b, #3\n\t"
                     "mov x11, #0\n\t"
                     "1:\n\t"
                     "add x9, x9, x9, lsl #3\n\t"
                     "eor x9, x9, x9, lsr #17\n\t"
                     "add v0.2d, v0.2d, v1.2d\n\t"
                     "umov x12, v0.d[0]\n\t"
                     "adds x9, x9, x12\n\t"
                     "adc x11, x11, x10\n\t"
                     "subs x10, x10, #1\n\t"
                     "b.ne 1b\n\t"
                     "eor %0, x9, x11"
                     : "=r"(out)
                     : "r"(seed)
                     : "x9", "x10", "x11", "x12", "v0", "v1", "cc");
    return out;
}
#else
/* As the compiler does it, in as many registers as it finds. */
static uint64_t chain(uint64_t seed)
{
    uint64_t a = seed, b = 0, c = ~seed, d = 3;
    double x = seed, y = 1, z = 0.25;

    for (unsigned i = 2000; i; i--) {
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
        a += a << 3;
        a ^= a >> 17;
        b += d;
        b += __builtin_add_overflow(a, b + c, &a) + i;
        c = (c << 7 | c >> 57) ^ b;
        d += 0x0303030303030303ull;
        x = x * 0.75 + y;
        y = y * 0.5 + z + i;
        z = x - y;
    }
    return a ^ b ^ c ^ (uint64_t)(int64_t)(x + y * 3 + z * 5);
}
#endif

static void *worker(void *arg)
{
    uint64_t seed = (intptr_t)arg + 1, right = chain(seed);

    pthread_barrier_wait(&gate);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        CHECK(chain(seed) == right);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    guest_handler(SIGUSR1, on_signal, 0);
    CHECK(sem_init(&handled, 0, 0) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS + 1) == 0);
    guest_start(threads, THREADS, worker);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < SIGNALS; i++) {
        for (int t = 0; t < THREADS; t++) {
            CHECK(pthread_kill(threads[t], SIGUSR1) == 0);
        }
        for (int t = 0; t < THREADS; t++) {
            guest_sem_wait(&handled);
        }
    }
    atomic_store(&stop, 1);
    guest_join(threads, THREADS);
    printf("signal_registers: %d signals\n", SIGNALS * THREADS);
    return 0;
}
