/*
 * Clustering of a stream of points, as in PARSEC's streamcluster (O'Callaghan, Mishra, Meyerson,
 * Guha, Motwani, Streaming-Data Algorithms for High-Quality Clustering, ICDE 2002): each chunk of
 * the stream is reduced to a few weighted centres by a local search for the k-median problem as a
 * facility location problem (Charikar and Guha 1999), and the centres of all chunks in the end
 * likewise. Each step of the search asks what opening one more centre would gain, which is one pass
 * over the points by all threads and a few barriers: fine-grained, bound by synchronisation.
 *
 * Sums are made per block of points, and over the blocks in order, so that all decisions are the
 * same with any number of threads. All threads go through the same decisions with the same random
 * numbers; only sums and assignments are shared.
 *
 * Checked: every point is assigned to an open centre, its cost is its distance to it, and the sum
 * is the one that the search has tracked; the number of centres is within its limits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum {
    DIMENSIONS = 32,
    BLOCKS = 64,
    BLOCK = 64, /* points, at most */
    LEAST = 8,  /* centres of a chunk */
    MOST = 16,
    LIMIT = 256, /* centres during the search */
    HIDDEN = 12  /* clusters that the input comes from */
};

static const struct {
    int chunks, points, tries; /* tries: candidates between two looks at the progress */
} sizes[SIZES] = {[TEST] = {2, 256, 4}, [SMALL] = {3, 2048, 32}, [LARGE] = {8, 4096, 64}};

typedef float point[DIMENSIONS];

/* What the owner of some points knows about them */
struct block {
    OWN_PAGE double weight[BLOCK];
    double cost[BLOCK]; /* weight times distance to the centre it is assigned to */
    int assigned[BLOCK];
    bool moves[BLOCK];
};

/* What is clustered: a chunk, or in the end the centres. Read by all. */
static struct {
    int n, per_block;
    point *at;
    struct block *block;
    int *slot; /* of a point that is a centre, in centre[] and lower[] */
} set;

/* Written by thread 0 between barriers */
static struct {
    OWN_PAGE double cost; /* of the assignments, without that of the centres */
    double gain;
    int centres, centre[LIMIT];
    double lower[LIMIT]; /* what closing a centre saves */
} now;

/* What each thread tells the others */
static struct {
    OWN_PAGE int candidate[2]; /* its first point to become a centre, in even and odd rounds */
    double sums[BLOCKS * (LIMIT + 1)]; /* a row for each of its blocks, one after another */
} part[KERNEL_MAX_THREADS];

/* Results */
static int chunks, points, tries;
static point *kept;
static double *kept_weight;
static int kept_count;

static double squared_distance(const float *a, const float *b)
{
    float sum = 0;

    for (int d = 0; d < DIMENSIONS; d++) {
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    }
    return sum;
}

/* Point J of block B: its number, and what it costs to assign it to a centre */
static int number(int b, int j)
{
    return b * set.per_block + j;
}

static double cost_at(int b, int j, int centre)
{
    return set.block[b].weight[j] * squared_distance(set.at[number(b, j)], set.at[centre]);
}

static int points_in(int b)
{
    int left = set.n - b * set.per_block;

    return left < 0 ? 0 : left < set.per_block ? left : set.per_block;
}

static int assigned(int i)
{
    return set.block[i / set.per_block].assigned[i % set.per_block];
}

static void set_size(int n)
{
    set.n = n;
    set.per_block = (n + BLOCKS - 1) / BLOCKS;
    CHECK(set.per_block <= BLOCK);
}

/* Sum number K of all blocks, whose owners have made WIDTH each, in the order of the blocks */
static double sum_of_blocks(int width, int k)
{
    double sum = 0;

    for (int t = 0; t < kernel.threads; t++) {
        struct share blocks = kernel_share(BLOCKS, t);
        for (int b = 0; b < blocks.end - blocks.first; b++) {
            sum += part[t].sums[b * width + k];
        }
    }
    return sum;
}

/* Assign to centre X the points of block B for which it is nearer, or all; returns their cost. */
static double assign(int b, int x, bool all)
{
    struct block *block = &set.block[b];
    double sum = 0;

    for (int j = 0; j < points_in(b); j++) {
        double cost = cost_at(b, j, x);
        if (all || cost < block->cost[j]) {
            block->cost[j] = cost;
            block->assigned[j] = x;
        }
        sum += block->cost[j];
    }
    return sum;
}

static void assign_all(int me, int x, bool all)
{
    struct share my = kernel_share(BLOCKS, me);

    for (int b = my.first; b < my.end; b++) {
        part[me].sums[b - my.first] = assign(b, x, all);
    }
}

static void open_centre(int x)
{
    CHECK(now.centres < LIMIT);
    set.slot[x] = now.centres;
    now.centre[now.centres++] = x;
}

/* The first of a thread's points after AFTER that wants to be a centre; set.n if there is none. */
static int find_candidate(int me, int after, double z, uint64_t seed)
{
    struct share my = kernel_share(BLOCKS, me);

    for (int b = my.first; b < my.end; b++) {
        for (int j = 0; j < points_in(b); j++) {
            int i = number(b, j);
            if (i > after && kernel_uniform(seed, i) < set.block[b].cost[j] / z) {
                return i;
            }
        }
    }
    return set.n;
}

/* A first solution: the farther a point is from all centres, the likelier it becomes one. */
static void first_solution(int me, double z, uint64_t seed)
{
    int opened = 0;

    if (me == 0) {
        now.centres = 0;
    }
    for (int round = 0; opened < set.n && round < LIMIT - 1; round++) {
        if (me == 0) {
            open_centre(opened);
        }
        assign_all(me, opened, round == 0);
        part[me].candidate[round % 2] = find_candidate(me, opened, z, seed);
        kernel_barrier();
        opened = set.n;
        for (int t = 0; t < kernel.threads; t++) {
            int candidate = part[t].candidate[round % 2];
            opened = candidate < opened ? candidate : opened;
        }
    }
    if (me == 0) {
        now.cost = sum_of_blocks(1, 0);
    }
    kernel_barrier();
}

/* What a block's points say to a new centre at X: 0, what moving there gains; 1 + c, what moving
 * all others of centre c there costs. */
static void ask_block(int b, int x, double *sums)
{
    struct block *block = &set.block[b];

    memset(sums, 0, (now.centres + 1) * sizeof(*sums));
    for (int j = 0; j < points_in(b); j++) {
        double difference = cost_at(b, j, x) - block->cost[j];
        block->moves[j] = difference < 0;
        if (difference < 0) {
            sums[0] += difference;
        } else {
            sums[1 + set.slot[block->assigned[j]]] += difference;
        }
    }
}

/* Thread 0: the gain, and which centres would be closed: those with lower > 0. */
static void decide(int x, double z)
{
    int width = now.centres + 1;
    double change = z + sum_of_blocks(width, 0);

    for (int c = 0; c < now.centres; c++) {
        now.lower[c] = z - sum_of_blocks(width, 1 + c);
        change -= now.lower[c] > 0 ? now.lower[c] : 0;
    }
    /* a centre that is open can only seem to gain, by rounding */
    now.gain = assigned(x) != x && change < -1e-9 * now.cost ? -change : 0;
}

/* The points of block B go to the new centre at X, if that is nearer or theirs is closed. */
static double move_block(int b, int x)
{
    struct block *block = &set.block[b];
    double sum = 0;

    for (int j = 0; j < points_in(b); j++) {
        if (block->moves[j] || now.lower[set.slot[block->assigned[j]]] > 0) {
            block->cost[j] = cost_at(b, j, x);
            block->assigned[j] = x;
        }
        sum += block->cost[j];
    }
    return sum;
}

/* Thread 0, after the points have moved */
static void replace_centres(int x)
{
    int left = 0;

    for (int c = 0; c < now.centres; c++) {
        if (now.lower[c] <= 0) {
            set.slot[now.centre[c]] = left;
            now.centre[left++] = now.centre[c];
        }
    }
    now.centres = left;
    open_centre(x);
    now.cost = sum_of_blocks(1, 0);
}

/* Open a centre at X and close others, if that gains anything; returns the gain. */
static double try_centre(int me, int x, double z)
{
    struct share my = kernel_share(BLOCKS, me);
    int width = now.centres + 1;

    for (int b = my.first; b < my.end; b++) {
        ask_block(b, x, &part[me].sums[(b - my.first) * width]);
    }
    kernel_barrier();
    if (me == 0) {
        decide(x, z);
    }
    kernel_barrier();
    double gain = now.gain;
    if (gain > 0) {
        for (int b = my.first; b < my.end; b++) {
            part[me].sums[b - my.first] = move_block(b, x);
        }
        kernel_barrier();
        if (me == 0) {
            replace_centres(x);
        }
        kernel_barrier();
    }
    return gain;
}

/* Try candidates until a round of them gains next to nothing. */
static void improve(int me, double z, uint64_t seed)
{
    double gained = 1, before = 0;

    for (int round = 0; gained > 0.01 * before && round < 8; round++) {
        before = now.cost + z * now.centres;
        gained = 0;
        for (int i = 0; i < tries; i++) {
            int x = kernel_random(seed, round * tries + i) % set.n;
            gained += try_centre(me, x, z);
        }
    }
}

/* Search for the price Z of a centre at which LEAST to MOST are worth it; cluster the set. */
static void cluster(int me, uint64_t seed)
{
    double low = 0, high;

    assign_all(me, 0, true);
    kernel_barrier();
    high = sum_of_blocks(1, 0);
    kernel_barrier();
    for (int search = 0; search < 40; search++) {
        double z = (low + high) / 2;
        first_solution(me, z, seed + 2 * search);
        improve(me, z, seed + 2 * search + 1);
        int centres = now.centres;
        kernel_barrier();
        if (centres > MOST) {
            low = z;
        } else if (centres < LEAST) {
            high = z;
        } else {
            break;
        }
    }
}

static void check(void)
{
    double sum = 0;

    CHECK(now.centres >= LEAST && now.centres <= MOST);
    for (int b = 0; b < BLOCKS; b++) {
        for (int j = 0; j < points_in(b); j++) {
            int x = set.block[b].assigned[j];
            CHECK(x >= 0 && x < set.n && set.slot[x] >= 0 && set.slot[x] < now.centres);
            CHECK(now.centre[set.slot[x]] == x);
            CHECK(set.block[b].cost[j] == cost_at(b, j, x));
            sum += set.block[b].cost[j];
        }
    }
    CHECK(fabs(sum - now.cost) <= 1e-9 * sum);
}

/* Around one of HIDDEN centres; the same for any number of threads */
static void make(uint64_t chunk, int b, int j)
{
    int i = number(b, j);
    uint64_t seed = (chunk + 1) << 32 | i;
    int cluster = kernel_random(seed, 0) % HIDDEN;

    for (int d = 0; d < DIMENSIONS; d++) {
        double noise = kernel_uniform(seed, d + 1) + kernel_uniform(seed, d + 100) - 1;
        set.at[i][d] = kernel_uniform(999 + cluster, d) + 0.25 * noise;
    }
    set.block[b].weight[j] = 1;
}

/* Thread 0: what a chunk leaves behind */
static void keep_centres(void)
{
    check();
    for (int c = 0; c < now.centres; c++) {
        memcpy(kept[kept_count + c], set.at[now.centre[c]], sizeof(point));
        kept_weight[kept_count + c] = 0;
    }
    for (int i = 0; i < set.n; i++) {
        kept_weight[kept_count + set.slot[assigned(i)]] += 1;
    }
    printf("streamcluster: %d points, %d centres, cost %.17g\n", set.n, now.centres, now.cost);
    kept_count += now.centres;
}

/* Thread 0: the centres of the chunks become what is clustered. */
static void take_kept(void)
{
    set_size(kept_count);
    memcpy(set.at, kept, kept_count * sizeof(point));
    for (int i = 0; i < kept_count; i++) {
        set.block[i / set.per_block].weight[i % set.per_block] = kept_weight[i];
    }
}

static void work(int me)
{
    struct share my = kernel_share(BLOCKS, me);

    kernel_region_begins(me);
    for (int chunk = 0; chunk < chunks; chunk++) {
        for (int b = my.first; b < my.end; b++) {
            for (int j = 0; j < points_in(b); j++) {
                make(chunk, b, j);
            }
        }
        kernel_barrier();
        cluster(me, chunk * 1000);
        if (me == 0) {
            keep_centres();
        }
        kernel_barrier();
    }
    if (me == 0) {
        take_kept();
    }
    kernel_barrier();
    cluster(me, 1000000);
    kernel_region_ends(me);
}

int main(int argc, char **argv)
{
    double weight = 0;
    uint64_t hash = KERNEL_HASH;

    kernel_options(argc, argv);
    chunks = sizes[kernel.size].chunks;
    points = sizes[kernel.size].points;
    tries = sizes[kernel.size].tries;
    set_size(points);
    set.at = kernel_alloc(points * sizeof(point));
    set.block = kernel_alloc(BLOCKS * sizeof(*set.block));
    set.slot = kernel_alloc(points * sizeof(*set.slot));
    kept = kernel_alloc(chunks * MOST * sizeof(point));
    kept_weight = kernel_alloc(chunks * MOST * sizeof(double));
    kernel_run(work);
    check();
    for (int i = 0; i < set.n; i++) {
        weight += kept_weight[i];
    }
    CHECK(weight == (double)chunks * points);
    for (int c = 0; c < now.centres; c++) {
        hash = kernel_hash(hash, set.at[now.centre[c]], sizeof(point) / 8);
    }
    printf("streamcluster: %d centres of %d, cost %.17g, where %016llx\n", now.centres, set.n,
           now.cost, (unsigned long long)hash);
    return 0;
}
