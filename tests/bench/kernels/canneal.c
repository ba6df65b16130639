/*
 * Simulated annealing of a netlist's placement, as in PARSEC's canneal (Banerjee, Parallel
 * Algorithms for VLSI Computer-Aided Design, 1994; Bienia 2011): threads pick pairs of elements at
 * random and exchange their places when that shortens the wires, or with a probability that falls
 * with the temperature otherwise. Exchanges are lock-free: an element whose place is being changed
 * is marked busy, the lower of two first; lengths are computed from whatever the others' places
 * are at the moment. No locality at all: the hardest case for distributed memory.
 *
 * Checked: the places are still a permutation, and the wires are shorter than before. With one
 * thread, their length is exactly what the sum of all changes says. Which exchanges were made
 * depends on the schedule, so nothing about them is printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum { WIRES = 6 }; /* of an element */

static const struct {
    int side, temperatures, moves; /* elements are side * side; moves at a temperature, of all */
} sizes[SIZES] = {
    [TEST] = {64, 6, 2000}, [SMALL] = {128, 16, 200000}, [LARGE] = {256, 32, 1000000}};

#define BUSY 0x80000000u

static int side, temperatures, moves;
static uint32_t elements;
static _Atomic uint32_t *place; /* of an element: row * side + column, perhaps BUSY */
static uint32_t (*wire)[WIRES]; /* the elements at the other ends */
static struct {
    OWN_PAGE int64_t change; /* of the length, by the exchanges that a thread has made */
} part[KERNEL_MAX_THREADS];

static struct {
    uint32_t factor, inverse, offset;
} scramble[2] = {{0x9e3779b1, 0, 12345}, {0x85ebca6b, 0, 777}};

/* Numbers below a power of two, shuffled by an affine map; and back. */
static uint32_t shuffled(int s, uint32_t x)
{
    return (x * scramble[s].factor + scramble[s].offset) % elements;
}

static uint32_t unshuffled(int s, uint32_t x)
{
    return (x - scramble[s].offset) * scramble[s].inverse % elements;
}

/* Newton's iteration for the inverse of an odd number modulo 2^32 */
static uint32_t inverse(uint32_t x)
{
    uint32_t y = x;

    for (int i = 0; i < 5; i++) {
        y *= 2 - x * y;
    }
    return y;
}

/*
 * A circuit with a good placement that annealing has to find: four wires to the neighbours on a
 * hidden torus, two to anywhere. Both ends know of each wire.
 */
static void make(uint32_t e)
{
    uint32_t hidden = shuffled(0, e), row = hidden / side * side, column = hidden % side;

    wire[e][0] = unshuffled(0, row + (column + 1) % side);
    wire[e][1] = unshuffled(0, row + (column + side - 1) % side);
    wire[e][2] = unshuffled(0, (hidden + side) % elements);
    wire[e][3] = unshuffled(0, (hidden + elements - side) % elements);
    wire[e][4] = shuffled(1, e);
    wire[e][5] = unshuffled(1, e);
    atomic_store_explicit(&place[e], e, memory_order_relaxed);
}

static uint32_t where(uint32_t e)
{
    uint32_t p;

    while ((p = atomic_load(&place[e])) & BUSY) {
        ;
    }
    return p;
}

static int distance(uint32_t p, uint32_t q)
{
    return abs((int)(p / side) - (int)(q / side)) + abs((int)(p % side) - (int)(q % side));
}

/* How much longer the wires of E become when it moves from P to Q, where OTHER is now. */
static int change(uint32_t e, uint32_t other, uint32_t p, uint32_t q)
{
    int sum = 0;

    for (int i = 0; i < WIRES; i++) {
        uint32_t f = wire[e][i];
        if (f != other && f != e) { /* between these two nothing changes */
            uint32_t at = where(f);
            sum += distance(q, at) - distance(p, at);
        }
    }
    return sum;
}

static uint32_t take(uint32_t e)
{
    uint32_t p = where(e);

    while (!atomic_compare_exchange_weak(&place[e], &p, p | BUSY)) {
        p &= ~BUSY;
    }
    return p;
}

static void exchange(uint32_t a, uint32_t b)
{
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    uint32_t p = take(low), q = take(high);

    atomic_store(&place[low], q);
    atomic_store(&place[high], p);
}

static void anneal(int me, int step, double temperature)
{
    struct share my = kernel_share(moves, me);
    uint64_t seed = (uint64_t)step << 8 | me;

    for (long i = my.first; i < my.end; i++) {
        uint64_t r = kernel_random(seed, 2 * i);
        uint32_t a = r % elements, b = (r >> 32) % elements;
        if (a == b) {
            continue;
        }
        uint32_t p = where(a), q = where(b);
        int longer = change(a, b, p, q) + change(b, a, q, p);
        if (longer < 0 || kernel_uniform(seed, 2 * i + 1) < exp(-longer / temperature)) {
            exchange(a, b);
            part[me].change += longer;
        }
    }
}

static void work(int me)
{
    struct share my = kernel_share(elements, me);
    double temperature = side / 8.0;

    for (uint32_t e = my.first; e < my.end; e++) {
        make(e);
    }
    kernel_region_begins(me);
    for (int step = 0; step < temperatures; step++, temperature *= 0.75) {
        anneal(me, step, temperature);
        kernel_barrier();
    }
    kernel_region_ends(me);
}

/* All wires, each from both ends; INITIAL: as make() has placed them */
static int64_t length(bool initial)
{
    int64_t sum = 0;

    for (uint32_t e = 0; e < elements; e++) {
        for (int i = 0; i < WIRES; i++) {
            uint32_t f = wire[e][i];
            sum += initial ? distance(e, f) : distance(place[e], place[f]);
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    bool *taken;

    kernel_options(argc, argv);
    side = sizes[kernel.size].side;
    temperatures = sizes[kernel.size].temperatures;
    moves = sizes[kernel.size].moves;
    elements = side * side;
    for (int s = 0; s < 2; s++) {
        scramble[s].inverse = inverse(scramble[s].factor);
    }
    place = kernel_alloc(elements * sizeof(*place));
    wire = kernel_alloc(elements * sizeof(*wire));
    taken = kernel_alloc(elements * sizeof(*taken));
    kernel_run(work);
    for (uint32_t e = 0; e < elements; e++) {
        CHECK(place[e] < elements && !taken[place[e]]);
        taken[place[e]] = true;
    }
    CHECK(length(false) < length(true));
    CHECK(kernel.threads > 1 || length(false) - length(true) == 2 * part[0].change);
    printf("canneal: %u elements, %d temperatures, a permutation, shorter\n", elements,
           temperatures);
    return 0;
}
