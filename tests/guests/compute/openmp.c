/*
 * OpenMP: static, dynamic and guided loops, reductions, critical sections, ordered output, single
 * and sections, tasks, and nested data on the stack of the main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
/* cflags: -fopenmp -Wl,--no-warnings */
#include <omp.h>

#include "guest.h"

enum { THREADS = 4, N = 20000 };

static long fib(int n)
{
    long a, b;

    if (n < 12) {
        return n < 2 ? n : fib(n - 1) + fib(n - 2);
    }
#pragma omp task shared(a)
    a = fib(n - 1);
#pragma omp task shared(b)
    b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

int main(void)
{
    static int squares[N];
    long sum = 0, product = 0, dynamic = 0, visits = 0, singles = 0;
    double harmonic[THREADS] = {0};

    omp_set_num_threads(THREADS);
    omp_set_dynamic(0);
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (int i = 0; i < N; i++) {
        squares[i] = i * i % 1009;
        sum += squares[i];
    }
#pragma omp parallel for schedule(dynamic, 500) reduction(+ : dynamic)
    for (int i = 0; i < N; i++) {
        dynamic += squares[i] * (i % 3);
    }
#pragma omp parallel for schedule(guided) reduction(max : product)
    for (int i = 1; i < N; i++) {
        long p = (long)squares[i] * squares[i - 1];
        product = p > product ? p : product;
    }
#pragma omp parallel
    {
        int me = omp_get_thread_num();
        CHECK(omp_get_num_threads() == THREADS);
        for (int i = 1 + me; i < 2000; i += THREADS) {
            harmonic[me] += 1.0 / i;
        }
#pragma omp barrier
        for (int i = 0; i < 20; i++) {
#pragma omp critical
            visits++;
#pragma omp single
            singles++;
        }
#pragma omp for ordered schedule(static, 1)
        for (int i = 0; i < 8; i++) {
#pragma omp ordered
            {
                printf("ordered %d\n", i);
            }
        }
    }
    long f = 0;
#pragma omp parallel
#pragma omp single
    f = fib(17);

    CHECK(visits == 20 * THREADS && singles == 20 && f == 1597);
    printf("openmp: %ld %ld %ld %.12f\n", sum, dynamic, product,
           harmonic[0] + harmonic[1] + harmonic[2] + harmonic[3]);
    return 0;
}
