/*
 * Prices of swaptions by Monte Carlo simulation of the forward curve in the framework of Heath,
 * Jarrow and Morton (1992), as in PARSEC's swaptions (Bienia 2011): each thread prices its share of
 * the swaptions, everything it writes is its own, and nobody waits for anybody until the end.
 *
 * The discretisation is the one whose drift makes discounted bonds martingales exactly (Glasserman,
 * Monte Carlo Methods in Financial Engineering, 2003, section 3.6.2).
 *
 * Checked: the payer's less the receiver's swaption is a forward swap, whose value follows from
 * today's curve; the simulated difference must lie within five standard errors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum { FACTORS = 3, STEPS = 20, EXPIRY = 8 }; /* half years: a curve of ten, options after four */

static const struct {
    int swaptions, trials;
} sizes[SIZES] = {[TEST] = {16, 500}, [SMALL] = {32, 4000}, [LARGE] = {64, 20000}};

/* A page each: a thread's results are written to at each trial's end. */
static struct result {
    OWN_PAGE double strike;
    double payer, receiver;
    double difference, squares; /* sums of payer - receiver */
    double error;               /* standard error of the mean of that */
    double expected;
} * result;

static int swaptions, trials;

/*
 * The inverse of the normal distribution: Moro, The Full Monte (Risk 8(2), 1995), which is Beasley
 * and Springer's rational function in the middle and a polynomial in log(-log) in the tails.
 */
static double normal_inverse(double u)
{
    static const double a[] = {2.50662823884, -18.61500062529, 41.39119773534, -25.44106049637};
    static const double b[] = {-8.47351093090, 23.08336743743, -21.06224101826, 3.13082909833};
    static const double c[] = {0.3374754822726147, 0.9761690190917186, 0.1607979714918209,
                               0.0276438810333863, 0.0038405729373609, 0.0003951896511919,
                               0.0000321767881768, 0.0000002888167364, 0.0000003960315187};
    double x = u - 0.5, r;

    if (fabs(x) < 0.42) {
        r = x * x;
        return x * (((a[3] * r + a[2]) * r + a[1]) * r + a[0]) /
               ((((b[3] * r + b[2]) * r + b[1]) * r + b[0]) * r + 1);
    }
    r = log(-log(x > 0 ? 1 - u : u));
    double tail = c[8];
    for (int i = 7; i >= 0; i--) {
        tail = tail * r + c[i];
    }
    return x > 0 ? tail : -tail;
}

static const double half = 0.5; /* years per step */

/* Volatilities of the forward rate J steps ahead: a level, a slope that fades, and a hump. */
static void volatilities(double v[FACTORS][STEPS])
{
    for (int j = 0; j < STEPS; j++) {
        double t = half * (j + 1);
        v[0][j] = 0.010;
        v[1][j] = 0.008 * exp(-0.4 * t);
        v[2][j] = 0.006 * t * exp(-0.8 * t);
    }
}

/*
 * The drift of the rate J steps ahead over one step: half of the growth of the squared sums, so
 * that the mean of each discounted bond price stays what it is.
 */
static void drifts(double v[FACTORS][STEPS], double drift[STEPS])
{
    double before[FACTORS] = {0}, squares = 0;

    for (int j = 0; j < STEPS; j++) {
        double sum = 0;
        for (int f = 0; f < FACTORS; f++) {
            before[f] += v[f][j] * half;
            sum += before[f] * before[f];
        }
        drift[j] = (sum - squares) / (2 * half);
        squares = sum;
    }
}

/* Today's forward rates: rising from 3 to about 5 %, a little different for each swaption. */
static void curve(int swaption, double rate[STEPS])
{
    double level = 0.03 + 0.0002 * (swaption % 7);

    for (int j = 0; j < STEPS; j++) {
        rate[j] = level + 0.02 * (1 - exp(-0.15 * half * (j + 1)));
    }
}

/* The value of paying STRIKE and receiving the floating rate from step FROM on, seen at FROM. */
static double swap_value(const double rate[STEPS], int from, double strike)
{
    double bond = 1, fixed = 0;

    for (int j = from; j < STEPS; j++) {
        bond *= exp(-rate[j] * half);
        fixed += strike * half * bond;
    }
    return 1 - bond - fixed;
}

/* One path up to the expiry, discounted: the swap's value then. RATE[j] is for the j-th half year. */
static double simulate(double rate[STEPS], double v[FACTORS][STEPS], const double drift[STEPS],
                       double strike, uint64_t seed)
{
    double discount = 1;
    const double root = sqrt(half);

    for (int step = 0; step < EXPIRY; step++) {
        double shock[FACTORS];
        discount *= exp(-rate[step] * half);
        for (int f = 0; f < FACTORS; f++) {
            double u = kernel_uniform(seed, step * FACTORS + f);
            shock[f] = normal_inverse(u + 0x1p-54) * root;
        }
        for (int j = step + 1; j < STEPS; j++) {
            int ahead = j - step - 1;
            double move = drift[ahead] * half;
            for (int f = 0; f < FACTORS; f++) {
                move += v[f][ahead] * shock[f];
            }
            rate[j] += move;
        }
    }
    return discount * swap_value(rate, EXPIRY, strike);
}

static void price(int swaption)
{
    struct result *r = &result[swaption];
    double v[FACTORS][STEPS], drift[STEPS], today[STEPS], rate[STEPS], discount = 1;

    volatilities(v);
    drifts(v, drift);
    curve(swaption, today);
    r->strike = 0.03 + 0.03 * swaption / swaptions;
    for (int j = 0; j < EXPIRY; j++) {
        discount *= exp(-today[j] * half);
    }
    r->expected = discount * swap_value(today, EXPIRY, r->strike);
    for (int i = 0; i < trials; i++) {
        memcpy(rate, today, sizeof(rate));
        double value = simulate(rate, v, drift, r->strike, (uint64_t)swaption << 32 | i);
        r->payer += value > 0 ? value : 0;
        r->receiver += value < 0 ? -value : 0;
        r->difference += value;
        r->squares += value * value;
    }
    r->payer /= trials;
    r->receiver /= trials;
    r->difference /= trials;
    r->error = sqrt((r->squares / trials - r->difference * r->difference) / trials);
}

static void work(int me)
{
    struct share my = kernel_share(swaptions, me);

    kernel_region_begins(me);
    for (int i = my.first; i < my.end; i++) {
        price(i);
    }
    kernel_region_ends(me);
}

int main(int argc, char **argv)
{
    kernel_options(argc, argv);
    swaptions = sizes[kernel.size].swaptions;
    trials = sizes[kernel.size].trials;
    result = kernel_alloc(swaptions * sizeof(*result));
    for (double u = 0.001; u < 1; u += 0.001) {
        CHECK(fabs(0.5 * erfc(-normal_inverse(u) * M_SQRT1_2) - u) < 1e-8);
    }
    kernel_run(work);
    for (int i = 0; i < swaptions; i++) {
        const struct result *r = &result[i];
        CHECK(fabs(r->difference - r->expected) < 5 * r->error);
        printf("swaption %2d: strike %.4f payer %.17g receiver %.17g\n", i, r->strike, r->payer,
               r->receiver);
    }
    return 0;
}
