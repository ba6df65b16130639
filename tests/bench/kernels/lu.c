/*
 * LU factorisation of a dense matrix in blocks, without pivoting, as in SPLASH-2's LU with
 * contiguous blocks (Woo et al., ISCA 1995): blocks are stored one after another, each belongs to
 * one thread by a two-dimensional scattering, and a step's owners of the diagonal and the border
 * blocks give them to all threads that update the interior.
 *
 * Checked: A x = b is solved with the factors for an x that is known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum { B = 32 }; /* a block is two pages */

static const struct {
    int n;
} sizes[SIZES] = {[TEST] = {256}, [SMALL] = {608}, [LARGE] = {1536}};

static int n, blocks;               /* rows; blocks in a row */
static int grid_rows, grid_columns; /* of threads */
static double (*matrix)[B][B];

static double (*block(int i, int j))[B]
{
    return matrix[i * blocks + j];
}

static bool mine(int me, int i, int j)
{
    return i % grid_rows * grid_columns + j % grid_columns == me;
}

/* As square a grid as the number of threads allows. */
static void make_grid(void)
{
    grid_rows = sqrt(kernel.threads);
    while (kernel.threads % grid_rows != 0) {
        grid_rows--;
    }
    grid_columns = kernel.threads / grid_rows;
}

/* Far from singular: the diagonal outweighs its row. */
static double element(int row, int column)
{
    return kernel_uniform(row, column) - 0.5 + (row == column ? n : 0);
}

static void factorise_diagonal(double a[B][B])
{
    for (int k = 0; k < B; k++) {
        for (int i = k + 1; i < B; i++) {
            a[i][k] /= a[k][k];
            for (int j = k + 1; j < B; j++) {
                a[i][j] -= a[i][k] * a[k][j];
            }
        }
    }
}

/* a := inverse(L of diagonal) a, for a block right of the diagonal one */
static void solve_row(double diagonal[B][B], double a[B][B])
{
    for (int k = 0; k < B; k++) {
        for (int i = k + 1; i < B; i++) {
            for (int j = 0; j < B; j++) {
                a[i][j] -= diagonal[i][k] * a[k][j];
            }
        }
    }
}

/* a := a inverse(U of diagonal), for a block below the diagonal one */
static void solve_column(double diagonal[B][B], double a[B][B])
{
    for (int i = 0; i < B; i++) {
        for (int k = 0; k < B; k++) {
            a[i][k] /= diagonal[k][k];
            for (int j = k + 1; j < B; j++) {
                a[i][j] -= a[i][k] * diagonal[k][j];
            }
        }
    }
}

static void subtract_product(double c[B][B], double a[B][B], double b[B][B])
{
    for (int i = 0; i < B; i++) {
        for (int k = 0; k < B; k++) {
            for (int j = 0; j < B; j++) {
                c[i][j] -= a[i][k] * b[k][j];
            }
        }
    }
}

static void fill(int me)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            if (mine(me, i / B, j / B)) {
                block(i / B, j / B)[i % B][j % B] = element(i, j);
            }
        }
    }
}

static void step(int me, int k)
{
    if (mine(me, k, k)) {
        factorise_diagonal(block(k, k));
    }
    kernel_barrier();
    for (int i = k + 1; i < blocks; i++) {
        if (mine(me, k, i)) {
            solve_row(block(k, k), block(k, i));
        }
        if (mine(me, i, k)) {
            solve_column(block(k, k), block(i, k));
        }
    }
    kernel_barrier();
    for (int i = k + 1; i < blocks; i++) {
        for (int j = k + 1; j < blocks; j++) {
            if (mine(me, i, j)) {
                subtract_product(block(i, j), block(i, k), block(k, j));
            }
        }
    }
}

static void work(int me)
{
    fill(me);
    kernel_region_begins(me);
    for (int k = 0; k < blocks; k++) {
        step(me, k);
    }
    kernel_region_ends(me);
}

static double factor(int i, int j)
{
    return block(i / B, j / B)[i % B][j % B];
}

/* Solve L U x = A (1, 2, 3, ...) / n and look for 1, 2, 3, ... */
static void check(void)
{
    double *x = calloc(n, sizeof(*x));

    CHECK(x);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            x[i] += element(i, j) * (j + 1);
        }
        for (int j = 0; j < i; j++) {
            x[i] -= factor(i, j) * x[j];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int j = i + 1; j < n; j++) {
            x[i] -= factor(i, j) * x[j];
        }
        x[i] /= factor(i, i);
        CHECK(fabs(x[i] - (i + 1)) < 1e-9 * n);
    }
    free(x);
}

int main(int argc, char **argv)
{
    kernel_options(argc, argv);
    n = sizes[kernel.size].n;
    blocks = n / B;
    make_grid();
    matrix = kernel_alloc((size_t)n * n * sizeof(double));
    kernel_run(work);
    check();
    printf("lu: %d x %d, last pivot %.12g, factors %016llx\n", n, n, factor(n - 1, n - 1),
           (unsigned long long)kernel_hash(KERNEL_HASH, matrix, (size_t)n * n));
    return 0;
}
