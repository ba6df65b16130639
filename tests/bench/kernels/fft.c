/*
 * A complex Fourier transform of m x m points in six steps, as in SPLASH-2's FFT (Bailey, FFTs in
 * External or Hierarchical Memory, 1990; Woo et al., ISCA 1995): transpose, transform the rows,
 * twiddle, transpose, transform the rows, transpose. The rows are the threads' own; the transposes
 * are exchanges of all with all, in patches, each thread starting at another place.
 *
 * Checked: the inverse transform, which takes the same way back, returns the input; the energy is
 * Parseval's; one point is computed by the definition.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <complex.h>

#include "kernel.h"

static const struct {
    int m, rounds;
} sizes[SIZES] = {[TEST] = {128, 4}, [SMALL] = {256, 12}, [LARGE] = {512, 24}};

typedef double complex cx;

static int m, rounds;
static cx *data, *other; /* m rows of m */
static cx *root;         /* exp(-2 pi i k / m) for k < m / 2 */

static struct {
    OWN_PAGE double difference; /* from the input after there and back, the largest */
} part[KERNEL_MAX_THREADS];

static cx input(long i)
{
    return CMPLX(kernel_uniform(1, i) - 0.5, kernel_uniform(2, i) - 0.5);
}

/* Multiplying by hand: C's own product looks after infinities with a call per element. */
static inline cx times(cx a, cx b)
{
    return CMPLX(creal(a) * creal(b) - cimag(a) * cimag(b),
                 creal(a) * cimag(b) + cimag(a) * creal(b));
}

static void swap_bit_reversed(cx *row)
{
    for (int i = 1, j = 0; i < m; i++) {
        int bit = m >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            cx saved = row[i];
            row[i] = row[j];
            row[j] = saved;
        }
    }
}

/* Cooley and Tukey in place; BACK: with the conjugate roots */
static void transform_row(cx *row, bool back)
{
    swap_bit_reversed(row);
    for (int half = 1; half < m; half *= 2) {
        int stride = m / (2 * half);
        for (int start = 0; start < m; start += 2 * half) {
            for (int k = 0; k < half; k++) {
                cx w = back ? conj(root[k * stride]) : root[k * stride];
                cx odd = times(w, row[start + half + k]);
                row[start + half + k] = row[start + k] - odd;
                row[start + k] += odd;
            }
        }
    }
}

/* Rows MY of TO from all rows of FROM, patch by patch; nobody reads from the same rows at first. */
static void transpose(int me, struct share my, const cx *from, cx *to)
{
    enum { PATCH = 16 };

    for (int k = 0; k < m; k += PATCH) {
        int column = (k + me * (m / PATCH) / kernel.threads * PATCH) % m;
        for (int i = my.first; i < my.end; i++) {
            for (int j = column; j < column + PATCH; j++) {
                to[i * m + j] = from[j * m + i];
            }
        }
    }
}

/* Row I times exp(-2 pi i I J / m^2): a rotation on and on, renewed before errors add up. */
static void twiddle(cx *row, int i, bool back)
{
    double angle = (back ? 2 : -2) * M_PI * i / ((double)m * m);
    cx step = CMPLX(cos(angle), sin(angle)), w = 1;

    for (int j = 0; j < m; j++) {
        if (j % 32 == 0) {
            w = CMPLX(cos(angle * j), sin(angle * j));
        }
        row[j] = times(row[j], w);
        w = times(w, step);
    }
}

/* From *FROM to *TO, which then change roles: the result is in *FROM. */
static void transform(int me, cx **from, cx **to, bool back)
{
    struct share my = kernel_share(m, me);
    double scale = back ? 1.0 / ((double)m * m) : 1;

    transpose(me, my, *from, *to);
    for (int i = my.first; i < my.end; i++) {
        transform_row(*to + (long)i * m, back);
        twiddle(*to + (long)i * m, i, back);
    }
    kernel_barrier();
    transpose(me, my, *to, *from);
    for (int i = my.first; i < my.end; i++) {
        transform_row(*from + (long)i * m, back);
        for (int j = 0; back && j < m; j++) {
            (*from)[(long)i * m + j] *= scale;
        }
    }
    kernel_barrier();
    transpose(me, my, *from, *to);
    kernel_barrier();
    cx *result = *to;
    *to = *from;
    *from = result;
}

static double energy(const cx *x)
{
    double sum = 0;

    for (long i = 0; i < (long)m * m; i++) {
        sum += creal(x[i]) * creal(x[i]) + cimag(x[i]) * cimag(x[i]);
    }
    return sum;
}

/* Point K of the spectrum by the definition */
static cx directly(long k)
{
    long n = (long)m * m;
    cx sum = 0;

    for (long i = 0; i < n; i++) {
        double angle = -2 * M_PI * (double)(k * i % n) / n;
        sum += times(input(i), CMPLX(cos(angle), sin(angle)));
    }
    return sum;
}

/* By the main thread */
static void report(double before, const cx *spectrum)
{
    double after = energy(spectrum);
    long k = 5 * m + 3;

    CHECK(fabs(after - before * m * m) < 1e-9 * after);
    CHECK(cabs(spectrum[k] - directly(k)) < 1e-9 * m);
    printf("fft: %d x %d, mean %.12g%+.12gi, spectrum %016llx\n", m, m, creal(spectrum[0]) / m / m,
           cimag(spectrum[0]) / m / m,
           (unsigned long long)kernel_hash(KERNEL_HASH, spectrum, 2l * m * m));
}

static void work(int me)
{
    struct share my = kernel_share(m, me);
    cx *from = data, *to = other;
    double before;

    for (long i = my.first * m; i < my.end * m; i++) {
        data[i] = input(i);
        other[i] = 0;
    }
    kernel_barrier();
    before = me == 0 ? energy(data) : 0;
    kernel_region_begins(me);
    for (int round = 0; round < rounds; round++) {
        transform(me, &from, &to, false);
        transform(me, &from, &to, true);
    }
    kernel_region_ends(me);
    for (long i = my.first * m; i < my.end * m; i++) {
        part[me].difference = fmax(part[me].difference, cabs(from[i] - input(i)));
    }
    kernel_barrier();
    transform(me, &from, &to, false);
    if (me == 0) {
        report(before, from);
    }
}

int main(int argc, char **argv)
{
    kernel_options(argc, argv);
    m = sizes[kernel.size].m;
    rounds = sizes[kernel.size].rounds;
    data = kernel_alloc((size_t)m * m * sizeof(cx));
    other = kernel_alloc((size_t)m * m * sizeof(cx));
    root = kernel_alloc(m / 2 * sizeof(cx));
    for (int k = 0; k < m / 2; k++) {
        root[k] = CMPLX(cos(2 * M_PI * k / m), -sin(2 * M_PI * k / m));
    }
    kernel_run(work);
    for (int t = 0; t < kernel.threads; t++) {
        CHECK(part[t].difference < 1e-12);
    }
    return 0;
}
