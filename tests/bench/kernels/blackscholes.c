/*
 * Prices of European options by the closed formula of Black and Scholes (1973), many times over, as
 * in PARSEC's blackscholes (Bienia 2011): no communication but the barrier between rounds; each
 * thread prices a share of the portfolio that nobody else reads.
 *
 * Checked: put-call parity of every pair, and a sample against the error function.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

static const struct {
    int options, rounds;
} sizes[SIZES] = {[TEST] = {4096, 16}, [SMALL] = {16384, 60}, [LARGE] = {65536, 150}};

struct option {
    double spot, strike, rate, volatility, years;
};

static int options, rounds;
static struct option *option;
static double *call, *put;

/* The normal distribution by the polynomial of Abramowitz and Stegun 26.2.17; error below 1e-7. */
static double normal(double x)
{
    static const double b[] = {0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429};
    double k = 1 / (1 + 0.2316419 * fabs(x));
    double tail = 0.39894228040143268 * exp(-0.5 * x * x) *
                  ((((b[4] * k + b[3]) * k + b[2]) * k + b[1]) * k + b[0]) * k;

    return x < 0 ? tail : 1 - tail;
}

static double normal_exactly(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

static void price(const struct option *o, double (*n)(double), double *c, double *p)
{
    double root = o->volatility * sqrt(o->years);
    double d1 =
        (log(o->spot / o->strike) + (o->rate + 0.5 * o->volatility * o->volatility) * o->years) /
        root;
    double d2 = d1 - root;
    double discounted = o->strike * exp(-o->rate * o->years);

    *c = o->spot * n(d1) - discounted * n(d2);
    *p = discounted * n(-d2) - o->spot * n(-d1);
}

static void make(int i)
{
    option[i] = (struct option){
        .spot = 20 + 160 * kernel_uniform(1, i),
        .strike = 20 + 160 * kernel_uniform(2, i),
        .rate = 0.01 + 0.09 * kernel_uniform(3, i),
        .volatility = 0.05 + 0.6 * kernel_uniform(4, i),
        .years = 0.1 + 1.9 * kernel_uniform(5, i),
    };
}

static void check(int i)
{
    const struct option *o = &option[i];
    double parity = o->spot - o->strike * exp(-o->rate * o->years), c, p;

    CHECK(fabs(call[i] - put[i] - parity) < 1e-9 * o->strike);
    if (i % 16 == 0) {
        price(o, normal_exactly, &c, &p);
        CHECK(fabs(c - call[i]) < 1e-4 && fabs(p - put[i]) < 1e-4);
    }
}

static void work(int me)
{
    struct share my = kernel_share(options, me);

    for (int i = my.first; i < my.end; i++) {
        make(i);
    }
    kernel_region_begins(me);
    for (int round = 0; round < rounds; round++) {
        for (int i = my.first; i < my.end; i++) {
            price(&option[i], normal, &call[i], &put[i]);
        }
        kernel_barrier();
    }
    kernel_region_ends(me);
    for (int i = my.first; i < my.end; i++) {
        check(i);
    }
}

int main(int argc, char **argv)
{
    uint64_t hash;

    kernel_options(argc, argv);
    options = sizes[kernel.size].options;
    rounds = sizes[kernel.size].rounds;
    option = kernel_alloc(options * sizeof(*option));
    call = kernel_alloc(options * sizeof(*call));
    put = kernel_alloc(options * sizeof(*put));
    kernel_run(work);
    hash = kernel_hash(kernel_hash(KERNEL_HASH, call, options), put, options);
    printf("blackscholes: %d options, first call %.6f, prices %016llx\n", options, call[0],
           (unsigned long long)hash);
    return 0;
}
