/*
 * A fluid of particles, as in PARSEC's fluidanimate (Müller, Charypar, Gross, Particle-Based Fluid
 * Simulation for Interactive Applications, 2003; Bienia 2011): particles live in the cells of a
 * grid, interact with those in the neighbouring cells, and move from cell to cell. Each thread owns
 * a slab of cells; a pair of particles is computed once and added to both, so cells at the border
 * of a slab are written by two threads, each under the cell's lock: fine-grained locking between
 * neighbours.
 *
 * Densities and forces are added up as integers, in units of 2^-32: sums of integers do not depend
 * on the order in which the threads come, so the result is the same in every run, and what a pair
 * gives to one it takes from the other exactly.
 *
 * Checked: the inner forces of each step sum up to nothing; no particle is lost, doubled or outside.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum { CAPACITY = 24, EDGE = 12 }; /* particles in a cell; cells along x and y */

static const struct {
    int layers, steps; /* cells along z; a step moves everything once */
} sizes[SIZES] = {[TEST] = {16, 1}, [SMALL] = {32, 8}, [LARGE] = {64, 26}};

/* A unit of length is an edge of a cell, which is the reach of a particle. */
static const double spacing = 0.55, rest = 3, stiffness = 120, viscosity = 4, gravity = -8,
                    wall = 4000, damping = 30, time_step = 0.004;

#define ONE 0x1p32 /* of the integers */

struct vector {
    double x, y, z;
};

struct integers {
    int64_t x, y, z;
};

struct cell {
    int count;
    int id[CAPACITY];
    struct vector position[CAPACITY], velocity[CAPACITY];
    int64_t density[CAPACITY];
    struct integers force[CAPACITY];
};

/* On lines of their own: neighbours in memory belong to one thread, so pages are shared rarely. */
struct lock {
    _Alignas(64) pthread_mutex_t mutex;
};

static int layers, steps, particles;
static struct cell *cells, *next; /* this step's and the one in the making */
static struct lock *lock;
static bool *border; /* layers that a neighbouring thread writes to, too */
static struct {
    OWN_PAGE struct integers force; /* of all pairs that a thread has seen, added up afterwards */
    int moved;
} part[KERNEL_MAX_THREADS];

static int cell_at(int x, int y, int z)
{
    return (z * EDGE + y) * EDGE + x;
}

static int layer_of(int c)
{
    return c / (EDGE * EDGE);
}

static void lock_cell(int c)
{
    if (border[layer_of(c)]) {
        CHECK(pthread_mutex_lock(&lock[c].mutex) == 0);
    }
}

static void unlock_cell(int c)
{
    if (border[layer_of(c)]) {
        CHECK(pthread_mutex_unlock(&lock[c].mutex) == 0);
    }
}

static int limit(double x, int below)
{
    return x < 0 ? 0 : x >= below ? below - 1 : (int)x;
}

static void put(struct cell *in, int id, struct vector p, struct vector v)
{
    int c = cell_at(limit(p.x, EDGE), limit(p.y, EDGE), limit(p.z, layers));
    struct cell *cell = &in[c];

    lock_cell(c);
    CHECK(cell->count < CAPACITY);
    cell->id[cell->count] = id;
    cell->position[cell->count] = p;
    cell->velocity[cell->count++] = v;
    unlock_cell(c);
}

/* What came in any order is put in the order of the numbers, and gets new sums. */
static void tidy(struct cell *cell)
{
    for (int i = 1; i < cell->count; i++) {
        for (int j = i; j > 0 && cell->id[j - 1] > cell->id[j]; j--) {
            int id = cell->id[j];
            struct vector p = cell->position[j], v = cell->velocity[j];
            cell->id[j] = cell->id[j - 1];
            cell->position[j] = cell->position[j - 1];
            cell->velocity[j] = cell->velocity[j - 1];
            cell->id[j - 1] = id;
            cell->position[j - 1] = p;
            cell->velocity[j - 1] = v;
        }
    }
    for (int i = 0; i < cell->count; i++) {
        cell->density[i] = ONE; /* its own */
        cell->force[i] = (struct integers){0, 0, 0};
    }
}

static double square(struct vector a, struct vector b)
{
    return (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y) + (a.z - b.z) * (a.z - b.z);
}

/* Sums for one cell, until its lock is held */
struct sums {
    int64_t density[CAPACITY];
    struct integers force[CAPACITY];
};

/* The kernel "poly6", but for a factor */
static void pair_density(const struct cell *a, int i, const struct cell *b, int j,
                         struct sums *to_a, struct sums *to_b)
{
    double r2 = square(a->position[i], b->position[j]);

    if (r2 < 1) {
        int64_t d = llrint((1 - r2) * (1 - r2) * (1 - r2) * ONE);
        to_a->density[i] += d;
        to_b->density[j] += d;
    }
}

/* Pressure by the gradient of "spiky", viscosity by the Laplacian of its kernel */
static void pair_force(const struct cell *a, int i, const struct cell *b, int j, struct sums *to_a,
                       struct sums *to_b)
{
    struct vector p = a->position[i], q = b->position[j], v = a->velocity[i], w = b->velocity[j];
    double r2 = square(p, q);

    if (r2 >= 1) {
        return;
    }
    double r = fmax(sqrt(r2), 1e-6);
    double da = a->density[i] / ONE, db = b->density[j] / ONE, both = 1 / (da * db);
    double push = stiffness * fmax(da + db - 2 * rest, 0) * (1 - r) * (1 - r) / r * both;
    double drag = viscosity * (1 - r) * both;
    struct integers f = {llrint((push * (p.x - q.x) + drag * (w.x - v.x)) * ONE),
                         llrint((push * (p.y - q.y) + drag * (w.y - v.y)) * ONE),
                         llrint((push * (p.z - q.z) + drag * (w.z - v.z)) * ONE)};
    to_a->force[i].x += f.x;
    to_a->force[i].y += f.y;
    to_a->force[i].z += f.z;
    to_b->force[j].x -= f.x;
    to_b->force[j].y -= f.y;
    to_b->force[j].z -= f.z;
}

static void add_density(struct cell *cell, const struct sums *sums)
{
    for (int i = 0; i < cell->count; i++) {
        cell->density[i] += sums->density[i];
    }
}

static void add_force(struct cell *cell, const struct sums *sums)
{
    for (int i = 0; i < cell->count; i++) {
        cell->force[i].x += sums->force[i].x;
        cell->force[i].y += sums->force[i].y;
        cell->force[i].z += sums->force[i].z;
    }
}

typedef void pair_fn(const struct cell *a, int i, const struct cell *b, int j, struct sums *to_a,
                     struct sums *to_b);

typedef void add_fn(struct cell *cell, const struct sums *sums);

static void add_locked(int c, const struct sums *sums, add_fn *add)
{
    lock_cell(c);
    add(&cells[c], sums);
    unlock_cell(c);
}

/* All pairs of a cell's particles with each other and with those in the cells after it */
static void visit(int x, int y, int z, pair_fn *pair, add_fn *add)
{
    int c = cell_at(x, y, z);
    const struct cell *a = &cells[c];
    struct sums to_a = {0};

    for (int i = 0; i < a->count; i++) {
        for (int j = i + 1; j < a->count; j++) {
            pair(a, i, a, j, &to_a, &to_a);
        }
    }
    for (int n = 14; n < 27; n++) { /* of 3 x 3 x 3, those after the middle */
        int nx = x + n % 3 - 1, ny = y + n / 3 % 3 - 1, nz = z + n / 9 - 1;
        if (nx < 0 || nx == EDGE || ny < 0 || ny == EDGE || nz == layers) {
            continue;
        }
        int d = cell_at(nx, ny, nz);
        const struct cell *b = &cells[d];
        struct sums to_b;
        if (b->count == 0 || a->count == 0) {
            continue;
        }
        memset(&to_b, 0, sizeof(to_b));
        for (int i = 0; i < a->count; i++) {
            for (int j = 0; j < b->count; j++) {
                pair(a, i, b, j, &to_a, &to_b);
            }
        }
        add_locked(d, &to_b, add);
    }
    if (a->count > 0) {
        add_locked(c, &to_a, add);
    }
}

static void visit_all(struct share my, pair_fn *pair, add_fn *add)
{
    for (int z = my.first; z < my.end; z++) {
        for (int y = 0; y < EDGE; y++) {
            for (int x = 0; x < EDGE; x++) {
                visit(x, y, z, pair, add);
            }
        }
    }
    kernel_barrier();
}

/* The push of a wall at 0 and one at END on a particle that is closer than a quarter cell. */
static double walls(double x, double v, double end)
{
    double low = 0.25 - x, high = x - (end - 0.25);

    return (low > 0 ? wall * low - damping * v : 0) - (high > 0 ? wall * high + damping * v : 0);
}

static void move(int me, const struct cell *cell, int i)
{
    struct vector p = cell->position[i], v = cell->velocity[i];
    struct integers f = cell->force[i];

    part[me].force.x += f.x;
    part[me].force.y += f.y;
    part[me].force.z += f.z;
    part[me].moved++;
    v.x += time_step * (f.x / ONE + walls(p.x, v.x, EDGE));
    v.y += time_step * (f.y / ONE + walls(p.y, v.y, EDGE) + gravity);
    v.z += time_step * (f.z / ONE + walls(p.z, v.z, layers));
    p.x += time_step * v.x;
    p.y += time_step * v.y;
    p.z += time_step * v.z;
    put(next, cell->id[i], p, v);
}

static void move_all(int me, int first, int end)
{
    for (int c = first; c < end; c++) {
        next[c].count = 0;
    }
    kernel_barrier();
    for (int c = first; c < end; c++) {
        for (int i = 0; i < cells[c].count; i++) {
            move(me, &cells[c], i);
        }
    }
    kernel_barrier();
    if (me == 0) {
        struct cell *swap = cells;
        cells = next;
        next = swap;
    }
    kernel_barrier();
    for (int c = first; c < end; c++) {
        tidy(&cells[c]);
    }
    kernel_barrier();
}

/* The fluid stands against one of the box's long walls, and will break like a dam. */
static int along(double length)
{
    return (length - 0.6) / spacing;
}

#define ALONG_X along(EDGE * 2 / 3)
#define ALONG_Y along(EDGE * 3 / 4)

static void make(int id)
{
    int place[3] = {id % ALONG_X, id / ALONG_X % ALONG_Y, id / ALONG_X / ALONG_Y};
    double p[3];

    for (int d = 0; d < 3; d++) {
        p[d] = 0.3 + spacing * (place[d] + 0.1 * kernel_uniform(id, d));
    }
    put(cells, id, (struct vector){p[0], p[1], p[2]}, (struct vector){0, 0, 0});
}

/* Each thread puts the particles into its own slab. */
static void fill(struct share my)
{
    for (int id = 0; id < particles; id++) {
        int layer = 0.3 + spacing * (id / ALONG_X / ALONG_Y + 0.1 * kernel_uniform(id, 2));
        if (layer >= my.first && layer < my.end) {
            make(id);
        }
    }
}

static void work(int me)
{
    struct share my = kernel_share(layers, me);
    int first = cell_at(0, 0, my.first), end = cell_at(0, 0, my.end);

    for (int c = first; c < end; c++) {
        CHECK(pthread_mutex_init(&lock[c].mutex, NULL) == 0);
    }
    kernel_barrier();
    fill(my);
    for (int c = first; c < end; c++) {
        tidy(&cells[c]);
    }
    kernel_region_begins(me);
    for (int s = 0; s < steps; s++) {
        visit_all(my, pair_density, add_density);
        visit_all(my, pair_force, add_force);
        move_all(me, first, end);
    }
    kernel_region_ends(me);
}

static void find_borders(void)
{
    for (int t = 0; t < kernel.threads; t++) {
        struct share slab = kernel_share(layers, t);
        if (slab.first < slab.end) {
            border[slab.first] |= slab.first > 0;
            border[slab.end - 1] |= slab.end < layers;
        }
    }
}

static uint64_t check(struct vector *at, double *energy)
{
    struct integers sum = {0, 0, 0};
    int found = 0, moved = 0;

    for (int t = 0; t < kernel.threads; t++) {
        sum.x += part[t].force.x;
        sum.y += part[t].force.y;
        sum.z += part[t].force.z;
        moved += part[t].moved;
    }
    CHECK(sum.x == 0 && sum.y == 0 && sum.z == 0 && moved == particles * steps);
    for (int c = 0; c < cell_at(0, 0, layers); c++) {
        for (int i = 0; i < cells[c].count; i++) {
            struct vector p = cells[c].position[i], v = cells[c].velocity[i];
            int id = cells[c].id[i];
            CHECK(id >= 0 && id < particles && at[id].z == 0);
            CHECK(p.x > 0 && p.y > 0 && p.z > 0 && p.x < EDGE && p.y < EDGE && p.z < layers);
            at[id] = p;
            *energy += 0.5 * (v.x * v.x + v.y * v.y + v.z * v.z);
            found++;
        }
    }
    CHECK(found == particles);
    return kernel_hash(KERNEL_HASH, at, 3l * particles);
}

int main(int argc, char **argv)
{
    double energy = 0;
    size_t count;

    kernel_options(argc, argv);
    layers = sizes[kernel.size].layers;
    steps = sizes[kernel.size].steps;
    particles = ALONG_X * ALONG_Y * along(layers);
    count = cell_at(0, 0, layers);
    cells = kernel_alloc(count * sizeof(*cells));
    next = kernel_alloc(count * sizeof(*next));
    lock = kernel_alloc(count * sizeof(*lock));
    border = kernel_alloc(layers * sizeof(*border));
    find_borders();
    kernel_run(work);
    struct vector *at = kernel_alloc(particles * sizeof(*at));
    uint64_t hash = check(at, &energy);
    printf("fluidanimate: %d particles, %d steps, kinetic energy %.12g, positions %016llx\n",
           particles, steps, energy, (unsigned long long)hash);
    return 0;
}
