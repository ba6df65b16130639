/*
 * Matrix product in double precision: the inputs are read by all, each thread writes rows of its
 * own, and the result is bit for bit the same however many nodes there are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "guest.h"

enum { THREADS = 8, N = 128 };

static OWN_PAGE double a[N][N], b[N][N], c[N][N];

static void *worker(void *arg)
{
    for (int i = (intptr_t)arg; i < N; i += THREADS) {
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++) {
                sum += a[i][k] * b[k][j];
            }
            c[i][j] = sum;
        }
    }
    return NULL;
}

int main(void)
{
    uint64_t hash = 1469598103934665603ull;

    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i][j] = 1.0 / (1 + i + j);
            b[i][j] = (i * 7 + j * 3) % 11 - 5.25;
        }
    }
    guest_run(THREADS, worker);
    const unsigned char *bytes = (const unsigned char *)c;
    for (size_t i = 0; i < sizeof(c); i++) {
        hash = (hash ^ bytes[i]) * 1099511628211ull;
    }
    printf("matmul: %.12g %016llx\n", c[N / 2][N / 3], (unsigned long long)hash);
    return 0;
}
