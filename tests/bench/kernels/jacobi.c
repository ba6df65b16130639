/*
 * Jacobi's iteration for Laplace's equation on a rectangle: each thread owns a band of rows and
 * reads one row of each neighbour's per sweep. The classic of nearest-neighbour communication
 * (Foster, Designing and Building Parallel Programs, 1995, section 2.3 has the partition).
 *
 * Checked: the border has the values of a polynomial that solves the discrete equation too, so the
 * error is known; its norm must fall, as the iteration matrix is symmetric with a radius below 1.
 * The last sweep is done again by the main thread, which must find the same bits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum { WIDTH = KERNEL_PAGE / sizeof(double) }; /* a row is a page */

static const struct {
    int rows, sweeps;
} sizes[SIZES] = {[TEST] = {128, 32}, [SMALL] = {512, 100}, [LARGE] = {1024, 750}};

typedef double row[WIDTH];

static int rows, sweeps;
static row *grid[2];
static struct {
    OWN_PAGE double change; /* the largest of a thread's points in the last sweep */
} part[KERNEL_MAX_THREADS];

/* x^2 - y^2 + x y, with one unit of length for both directions */
static double solution(int i, int j)
{
    double y = i / (WIDTH - 1.0), x = j / (WIDTH - 1.0);

    return x * x - y * y + x * y;
}

static bool border(int i, int j)
{
    return i == 0 || i == rows - 1 || j == 0 || j == WIDTH - 1;
}

static void fill(struct share my)
{
    for (int g = 0; g < 2; g++) {
        for (int i = my.first; i < my.end; i++) {
            for (int j = 0; j < WIDTH; j++) {
                grid[g][i][j] = border(i, j) ? solution(i, j) : 0;
            }
        }
    }
}

/* Row I of TO from its neighbours in FROM; returns the largest change. */
static double sweep_row(int i, row *from, double *to)
{
    double change = 0;

    for (int j = 1; j < WIDTH - 1; j++) {
        double value = 0.25 * (from[i - 1][j] + from[i + 1][j] + from[i][j - 1] + from[i][j + 1]);
        double moved = fabs(value - from[i][j]);
        change = moved > change ? moved : change;
        to[j] = value;
    }
    return change;
}

static void work(int me)
{
    struct share my = kernel_share(rows, me);

    fill(my);
    kernel_region_begins(me);
    for (int s = 0; s < sweeps; s++) {
        double change = 0;
        for (int i = my.first; i < my.end; i++) {
            if (i > 0 && i < rows - 1) {
                change = fmax(change, sweep_row(i, grid[s % 2], grid[1 - s % 2][i]));
            }
        }
        part[me].change = change;
        kernel_barrier();
    }
    kernel_region_ends(me);
}

/* The sum of squared errors of U; of nothing but the border, if U is NULL. */
static double error(row *u)
{
    double sum = 0;

    for (int i = 1; i < rows - 1; i++) {
        for (int j = 1; j < WIDTH - 1; j++) {
            double off = (u ? u[i][j] : 0) - solution(i, j);
            sum += off * off;
        }
    }
    return sum;
}

static void check(row *before, row *after)
{
    static row again;

    for (int i = 1; i < rows - 1; i++) {
        sweep_row(i, before, again);
        CHECK(memcmp(again + 1, after[i] + 1, sizeof(row) - 2 * sizeof(double)) == 0);
    }
    CHECK(error(after) < error(before) && error(before) < error(NULL));
}

int main(int argc, char **argv)
{
    double change = 0;
    row *result;

    kernel_options(argc, argv);
    rows = sizes[kernel.size].rows;
    sweeps = sizes[kernel.size].sweeps;
    for (int g = 0; g < 2; g++) {
        grid[g] = kernel_alloc(rows * sizeof(row));
    }
    kernel_run(work);
    result = grid[sweeps % 2];
    check(grid[1 - sweeps % 2], result);
    for (int t = 0; t < kernel.threads; t++) {
        change = fmax(change, part[t].change);
    }
    printf("jacobi: %d x %d, %d sweeps, last change %.17g, error %.12g, grid %016llx\n", rows,
           (int)WIDTH, sweeps, change, sqrt(error(result)),
           (unsigned long long)kernel_hash(KERNEL_HASH, result, (size_t)rows * WIDTH));
    return 0;
}
