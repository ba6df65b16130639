/*
 * Bodies under their mutual gravity, all pairs, with Plummer's softening and the leapfrog
 * (Aarseth, Gravitational N-Body Simulations, 2003, chapters 1 and 2): each thread moves its share
 * of the bodies and reads all positions, which everybody has written in the step before.
 *
 * Checked: energy is kept within the integrator's error, momentum within rounding.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

static const struct {
    int bodies, steps;
} sizes[SIZES] = {[TEST] = {512, 4}, [SMALL] = {1536, 6}, [LARGE] = {4096, 10}};

struct vector {
    double x, y, z;
};

static const double softening = 0.05, step = 0.002;
static int bodies, steps;
/* All masses are 1 / bodies. Positions alternate, so that one barrier per step is enough. */
static struct vector *position[2], *velocity;

/* In a ball of radius 1, with a spin */
static void make(int i)
{
    struct vector p;
    int n = 0;

    do {
        p.x = 2 * kernel_uniform(i, n++) - 1;
        p.y = 2 * kernel_uniform(i, n++) - 1;
        p.z = 2 * kernel_uniform(i, n++) - 1;
    } while (p.x * p.x + p.y * p.y + p.z * p.z > 1);
    position[0][i] = p;
    velocity[i] = (struct vector){-0.5 * p.y, 0.5 * p.x, 0};
}

static struct vector acceleration(const struct vector *all, int i)
{
    struct vector a = {0, 0, 0}, at = all[i];

    for (int j = 0; j < bodies; j++) {
        double x = all[j].x - at.x, y = all[j].y - at.y, z = all[j].z - at.z;
        double square = x * x + y * y + z * z + softening * softening;
        double pull = 1 / (square * sqrt(square));
        a.x += x * pull;
        a.y += y * pull;
        a.z += z * pull;
    }
    return (struct vector){a.x / bodies, a.y / bodies, a.z / bodies};
}

/* TIME is half a step at both ends, so that velocities and positions belong to one moment there. */
static void kick(int i, const struct vector *all, double time)
{
    struct vector a = acceleration(all, i);

    velocity[i].x += time * a.x;
    velocity[i].y += time * a.y;
    velocity[i].z += time * a.z;
}

static void drift(int i, const struct vector *from, struct vector *to)
{
    to[i].x = from[i].x + step * velocity[i].x;
    to[i].y = from[i].y + step * velocity[i].y;
    to[i].z = from[i].z + step * velocity[i].z;
}

static void work(int me)
{
    struct share my = kernel_share(bodies, me);

    for (int i = my.first; i < my.end; i++) {
        make(i);
    }
    kernel_region_begins(me);
    for (int s = 0; s <= steps; s++) {
        struct vector *from = position[s % 2], *to = position[1 - s % 2];
        for (int i = my.first; i < my.end; i++) {
            kick(i, from, s == 0 || s == steps ? step / 2 : step);
        }
        for (int i = my.first; s < steps && i < my.end; i++) {
            drift(i, from, to);
        }
        kernel_barrier();
    }
    kernel_region_ends(me);
}

/* Kinetic energy per mass, and momentum */
static double kinetic(struct vector *momentum)
{
    double sum = 0;

    *momentum = (struct vector){0, 0, 0};
    for (int i = 0; i < bodies; i++) {
        struct vector v = velocity[i];
        sum += 0.5 * (v.x * v.x + v.y * v.y + v.z * v.z);
        momentum->x += v.x;
        momentum->y += v.y;
        momentum->z += v.z;
    }
    return sum / bodies;
}

static double potential(const struct vector *all)
{
    double sum = 0;

    for (int i = 0; i < bodies; i++) {
        for (int j = 0; j < i; j++) {
            double x = all[j].x - all[i].x, y = all[j].y - all[i].y, z = all[j].z - all[i].z;
            sum -= 1 / sqrt(x * x + y * y + z * z + softening * softening);
        }
    }
    return sum / bodies / bodies;
}

int main(int argc, char **argv)
{
    struct vector before, after;
    double energy, final;

    kernel_options(argc, argv);
    bodies = sizes[kernel.size].bodies;
    steps = sizes[kernel.size].steps;
    for (int i = 0; i < 2; i++) {
        position[i] = kernel_alloc(bodies * sizeof(struct vector));
    }
    velocity = kernel_alloc(bodies * sizeof(struct vector));
    kernel_run(work);
    const struct vector *last = position[steps % 2];
    final = kinetic(&after) + potential(last);
    const uint64_t hash = kernel_hash(KERNEL_HASH, last, 3l * bodies);
    /* what it began with, made again */
    for (int i = 0; i < bodies; i++) {
        make(i);
    }
    energy = kinetic(&before) + potential(position[0]);
    CHECK(fabs(final - energy) < 1e-4 * fabs(energy));
    CHECK(fabs(after.x - before.x) < 1e-9 && fabs(after.y - before.y) < 1e-9 &&
          fabs(after.z - before.z) < 1e-9);
    printf("nbody: %d bodies, %d steps, energy %.12g, positions %016llx\n", bodies, steps, final,
           (unsigned long long)hash);
    return 0;
}
