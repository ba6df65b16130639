/*
 * What many nodes cost: the coherence engine, and what goes to all nodes, on simulated ones.
 *
 *   scale [--cost SEND,RECEIVE,TRAVEL] [TABLE] [NODES...]
 *
 * prints one table, or all of them:
 *
 *   faults       for each access pattern, one fault at a time: messages that cross the network and
 *                hops until the thread goes on, for each fault; bytes of the directory for each page;
 *                the nodes that have a copy at the end, the pages of which more than eight have one,
 *                and the bytes for each page if entries named up to eight
 *   connections  for each access pattern: with how many others a node exchanges messages
 *   questions    what the master asks all nodes: the time, and the messages of the busiest node
 *   fan-outs     the time of a map call along trees
 *   readers      a page that all nodes read at once, or all but its home; and the write after that
 *
 * Times are of the model in loops.h, with so many nanoseconds for each message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dqemu/coherence.h"
#include "tests/sim/pattern.h"
#include "tests/sim/question.h"

#define MOST_NODES 4096

/*
 * proto/README.md: 16 bytes and as many back take 30 us of both ends' processors, which is two
 * messages sent and two received. dqemu/README.md: a message takes up to 100 us.
 */
static struct loops_cost cost = {.send = 7500, .receive = 7500, .travel = 100000};

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

/* ---- faults ---- */

#define PAGES 4096u
#define FAULTS 20000u
#define NAMES 8 /* that an entry of the directory might hold */

struct sharing {
    double sharers, over; /* of a used page: nodes that have it; is it more than an entry names? */
};

static struct sharing sharing_of(const struct cluster *c)
{
    uint64_t used = 0, sum = 0, over = 0;

    for (uint64_t i = 0; i < c->pages; i++) {
        if (c->used[i]) {
            int sharers = cluster_sharers(c, i);

            used++;
            sum += (uint64_t)sharers;
            over += sharers > NAMES;
        }
    }
    return (struct sharing){(double)sum / (double)used, (double)over / (double)used};
}

/*
 * An entry as it is: a bit for each node, and what does not depend on their number. One with names:
 * that, a byte that says how many, names of two bytes; where there are too many, a set that is
 * allocated beside it, in place of a name or two. As long as a set is not longer than the names,
 * nothing changes.
 */
static double bytes_with_names(int nodes, double over)
{
    int words = (nodes + 63) / 64;
    double fixed = 2.75, set = 8.0 * words, names = 1 + 2.0 * NAMES, allocated = 16;

    return fixed + (set < names ? set : names + over * (set + allocated));
}

static void print_faults(const struct pattern *p, int nodes)
{
    struct cluster *c = cluster_new(nodes, PAGES, CLUSTER_DENSE, &cost);
    struct sharing s;

    pattern_run(p, c, FAULTS);
    s = sharing_of(c);
    printf("%-10s %6d %8" PRIu64 " %10.2f %8.2f %8u %10.1f %8.1f %7.1f%% %8.1f\n", p->name, nodes,
           c->faults, (double)loops_messages(c->loops) / (double)c->faults,
           (double)c->hops_sum / (double)c->faults, c->hops_most,
           (double)cluster_directory(c) / PAGES, s.sharers, 100 * s.over,
           bytes_with_names(nodes, s.over));
    cluster_free(c);
}

static void table_faults(const int *sizes)
{
    printf("%-10s %6s %8s %10s %8s %8s %10s %8s %8s %8s\n", "pattern", "nodes", "faults",
           "messages", "hops", "most", "bytes/page", "sharers", "over8", "named");
    for (unsigned p = 0; p < pattern_count; p++) {
        for (const int *n = sizes; *n; n++) {
            print_faults(&patterns[p], *n);
        }
    }
}

/* ---- connections ---- */

#define FAULTS_A_NODE 200u
#define CHUNK_MIB (DQ_CHUNK_PAGES * DQ_PAGE_SIZE >> 20)

/* Every node has a connection with the master, which starts its threads and does their calls. */
static void print_connections(const struct pattern *p, int nodes, enum cluster_homes homes,
                              unsigned chunks)
{
    struct cluster *c = cluster_new(nodes, (uint64_t)nodes * chunks, homes, &cost);
    int sum = 0, most = 0;

    for (int n = 1; n < nodes; n++) {
        loops_meet(c->loops, 0, n);
    }
    pattern_run(p, c, FAULTS_A_NODE * (uint64_t)nodes);
    for (int n = 1; n < nodes; n++) {
        int peers = loops_peers(c->loops, n);

        sum += peers;
        most = MAX(most, peers);
    }
    printf("%-10s %-7s %6u %6d %8.1f %6d %8d %7.1f%%\n", p->name,
           homes == CLUSTER_OWN ? "own" : "hashed", chunks * CHUNK_MIB, nodes,
           (double)sum / (nodes - 1), most, (sum + nodes - 1) / 2,
           100.0 * sum / (nodes - 1) / (nodes - 1));
    cluster_free(c);
}

/* Where nodes have no memory of their own it matters little who is the home of what. */
static void table_connections(const int *sizes)
{
    static const struct {
        enum cluster_homes homes;
        unsigned chunks; /* of each node */
        bool all;        /* patterns */
    } runs[] = {{CLUSTER_HASHED, 1, false},
                {CLUSTER_HASHED, 4, false},
                {CLUSTER_HASHED, 16, true},
                {CLUSTER_OWN, 16, false}};

    printf("%-10s %-7s %6s %6s %8s %6s %8s %8s\n", "pattern", "homes", "MiB", "nodes", "peers",
           "most", "all", "of N-1");
    for (unsigned p = 0; p < pattern_count; p++) {
        for (unsigned r = 0; r < G_N_ELEMENTS(runs); r++) {
            for (const int *n = sizes; *n; n++) {
                if (runs[r].all || patterns[p].once || patterns[p].own) {
                    print_connections(&patterns[p], *n, runs[r].homes, runs[r].chunks);
                }
            }
        }
    }
}

/* ---- what goes to all ---- */

#define FAN_OUT 16

static void table_questions(const int *sizes)
{
    printf("%-10s %-6s %6s %6s %10s %8s\n", "question", "way", "nodes", "rounds", "us", "busiest");
    for (unsigned q = 0; q < question_count; q++) {
        for (const int *n = sizes; *n; n++) {
            for (int tree = 0; tree < 2; tree++) {
                struct question_result r =
                    question_ask(&questions[q], *n, tree ? FAN_OUT : QUESTION_FLAT, &cost);

                printf("%-10s %-6s %6d %6u %10.0f %8" PRIu64 "\n", questions[q].name,
                       tree ? "tree" : "flat", *n, r.rounds, us(r.ns), r.busiest);
            }
        }
    }
}

static void table_fan_outs(const int *sizes)
{
    static const unsigned fans[] = {2, 4, 8, 16, 32, 64, QUESTION_FLAT};

    printf("%-10s %6s %8s %8s %8s %8s %8s %8s %8s\n", "fan-out", "nodes", "2", "4", "8", "16", "32",
           "64", "flat");
    for (const int *n = sizes; *n; n++) {
        printf("%-10s %6d", "map-us", *n);
        for (unsigned f = 0; f < G_N_ELEMENTS(fans); f++) {
            printf(" %8.0f", us(question_ask(&questions[0], *n, fans[f], &cost).ns));
        }
        printf("\n");
    }
}

/* ---- readers ---- */

#define TRIALS 16u

struct trial {
    uint64_t ns, busiest; /* sum; most */
};

static void trial_add(struct trial *t, struct cluster *c, uint64_t begin)
{
    t->ns += c->granted - begin;
    t->busiest = MAX(t->busiest, loops_busiest(c->loops));
    cluster_forget(c);
}

static void trial_write(struct trial *t, struct cluster *c, uint64_t page)
{
    uint64_t begin = loops_settle(c->loops);

    cluster_access(c, g_rand_int_range(c->random, 0, c->nodes), page, true);
    trial_add(t, c, begin);
}

/* All nodes ask before one has an answer. */
static void trial_read(struct trial *t, struct cluster *c, uint64_t page, bool home_too)
{
    uint64_t begin = loops_settle(c->loops);

    c->granted = begin;
    for (int n = 0; n < c->nodes; n++) {
        if (home_too || n != dq_home(c->number[page], c->nodes)) {
            cluster_want(c, n, page, false);
        }
    }
    cluster_run(c);
    trial_add(t, c, begin);
}

/* Pages of different homes: somebody has written to one, others read it at once, somebody writes. */
static void print_readers(int nodes)
{
    struct cluster *c = cluster_new(nodes, 2 * TRIALS, CLUSTER_HASHED, &cost);
    struct trial first = {0}, read = {0}, without_home = {0}, write = {0};

    for (unsigned page = 0; page < 2 * TRIALS; page++) {
        bool home_too = page % 2;

        trial_write(&first, c, page);
        trial_read(home_too ? &read : &without_home, c, page, home_too);
        if (home_too) {
            trial_write(&write, c, page);
        }
    }
    printf("%-10s %6d %10.0f %8" PRIu64 " %10.0f %8" PRIu64 " %10.0f %8" PRIu64 "\n", "readers",
           nodes, us(read.ns / TRIALS), read.busiest, us(without_home.ns / TRIALS),
           without_home.busiest, us(write.ns / TRIALS), write.busiest);
    cluster_free(c);
}

static void table_readers(const int *sizes)
{
    printf("%-10s %6s %10s %8s %10s %8s %10s %8s\n", "readers", "nodes", "all-us", "busiest",
           "others-us", "busiest", "write-us", "busiest");
    for (const int *n = sizes; *n; n++) {
        print_readers(*n);
    }
}

/* ---- tables ---- */

static const int every_size[] = {2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 0};
static const int some_sizes[] = {4, 16, 64, 256, 1024, 0};

static const struct {
    const char *name;
    void (*print)(const int *sizes); /* ends with 0 */
    const int *sizes;                /* where none are given */
} tables[] = {
    {"faults", table_faults, every_size},       {"connections", table_connections, some_sizes},
    {"questions", table_questions, some_sizes}, {"fan-outs", table_fan_outs, some_sizes},
    {"readers", table_readers, some_sizes},
};

static int usage(void)
{
    fprintf(stderr,
            "usage: scale [--cost SEND,RECEIVE,TRAVEL] [TABLE] [NODES...]\n"
            "costs in ns, NODES 2 to %d each; tables:",
            MOST_NODES);
    for (unsigned t = 0; t < G_N_ELEMENTS(tables); t++) {
        fprintf(stderr, " %s", tables[t].name);
    }
    fprintf(stderr, "\n");
    return 2;
}

/* The table of that name, or -1. */
static int find_table(const char *name)
{
    for (unsigned t = 0; t < G_N_ELEMENTS(tables); t++) {
        if (strcmp(name, tables[t].name) == 0) {
            return (int)t;
        }
    }
    return -1;
}

/* False: one of the words is no number of nodes. sizes has room for one more. */
static bool read_sizes(int words, char **word, int *sizes)
{
    for (int i = 0; i < words; i++) {
        sizes[i] = atoi(word[i]);
        if (sizes[i] < 2 || sizes[i] > MOST_NODES) {
            return false;
        }
    }
    sizes[words] = 0;
    return true;
}

static bool read_cost(const char *text)
{
    return sscanf(text, "%" SCNu64 ",%" SCNu64 ",%" SCNu64, &cost.send, &cost.receive,
                  &cost.travel) == 3;
}

static void print_tables(int only, const int *sizes)
{
    const char *between = "";

    for (int t = 0; t < (int)G_N_ELEMENTS(tables); t++) {
        if (only < 0 || t == only) {
            printf("%s", between);
            tables[t].print(*sizes ? sizes : tables[t].sizes);
            between = "\n";
        }
    }
}

int main(int argc, char **argv)
{
    int *sizes = g_new0(int, (gsize)argc), only = -1, at = 1;
    bool good = true;

    if (at + 1 < argc && strcmp(argv[at], "--cost") == 0) {
        good = read_cost(argv[at + 1]);
        at += 2;
    }
    if (at < argc) {
        only = find_table(argv[at]);
        at += only >= 0;
    }
    good = good && read_sizes(argc - at, argv + at, sizes);
    if (good) {
        print_tables(only, sizes);
    }
    g_free(sizes);
    return good ? 0 : usage();
}
