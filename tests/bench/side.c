/*
 * Running one side of a comparison once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "side.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "net.h"
#include "run.h"
#include "slow.h"

#define LIMIT_S 90
#define TICK_MS 20

/* What is observed while a cluster runs; either part may be missing. */
struct watch {
    struct slow *slow;
    struct cpu *cpu;
};

static void watch_tick(void *ctx)
{
    struct watch *w = ctx;

    if (w->slow) {
        slow_tick(w->slow);
    }
    if (w->cpu) {
        cpu_tick(w->cpu);
    }
}

static bool in_namespaces(enum setup setup)
{
    return setup == SETUP_NET || setup == SETUP_NET_SLOW;
}

static bool in_slow_motion(enum setup setup)
{
    return setup == SETUP_SLOW || setup == SETUP_NET_SLOW;
}

static int cpu_of_node(const struct bench *b, int node)
{
    return g_array_index(b->cpus, int, node % b->cpus->len);
}

static char *all_cpus(const struct bench *b)
{
    GString *list = g_string_new(NULL);

    for (guint i = 0; i < b->cpus->len; i++) {
        g_string_append_printf(list, "%s%d", i ? "," : "", g_array_index(b->cpus, int, i));
    }
    return g_string_free(list, FALSE);
}

static void add(GPtrArray *argv, const char *word)
{
    g_ptr_array_add(argv, g_strdup(word));
}

/* The words of a row; @N becomes N times the size, at least 8. */
static void add_words(const struct bench *b, GPtrArray *argv, const char *args)
{
    char **words = g_strsplit(args, " ", -1);

    for (char **w = words; *w; w++) {
        if (**w == '@') {
            double n = MAX(atof(*w + 1) * b->size, 8);

            g_ptr_array_add(argv, g_strdup_printf("%.0f", n));
        } else {
            add(argv, *w);
        }
    }
    g_strfreev(words);
}

static void add_guest(const struct bench *b, GPtrArray *argv, const char *args)
{
    char *path = g_strconcat(b->paths.guests, "/", args, NULL);

    add_words(b, argv, path);
    g_free(path);
}

/* ---- what a run must have done to count ---- */

/* Where threads are placed: see guests/bench.h. */
static bool check_placement(metrics *m, int nodes, char **why)
{
    double threads;

    if (!metrics_get(m, "threads", &threads)) {
        return true;
    }
    for (int k = 0; k < nodes && nodes > 1; k++) {
        char *name = g_strdup_printf("node%d.threads", k);
        double have = -1, want = k == 0;

        for (int i = 0; i < (int)threads; i++) {
            want += (i + 1) % nodes == k;
        }
        metrics_get(m, name, &have);
        g_free(name);
        if (have != want) {
            *why = g_strdup_printf("node %d ran %.0f threads, not %.0f: nothing was measured", k,
                                   have, want);
            return false;
        }
    }
    return true;
}

/* A guest whose threads come and go says how many must have been on node 1. */
static bool check_node1(metrics *m, char **why)
{
    double want, have = -1;

    if (metrics_get(m, "threads_on_node1", &want) &&
        (!metrics_get(m, "node1.threads", &have) || have < want)) {
        *why =
            g_strdup_printf("node 1 ran %.0f threads, not %.0f: nothing was measured", have, want);
        return false;
    }
    return true;
}

static bool check_slow(const struct watch *w, int nodes, char **why)
{
    if (w->slow && slow_nodes(w->slow) != nodes) {
        *why = g_strdup_printf("guest threads of %d nodes were under the quota, not of %d",
                               slow_nodes(w->slow), nodes);
        return false;
    }
    return true;
}

/* ---- clusters ---- */

/* The guest says when it ran at full rate: storm_start_ns, storm_end_ns. */
static void add_cpu_shares(const struct watch *w, int nodes, metrics *m)
{
    double from, to, *percent = g_new0(double, (gsize)nodes), others = 0;

    if (metrics_get(m, "storm_start_ns", &from) && metrics_get(m, "storm_end_ns", &to) &&
        cpu_shares(w->cpu, (int64_t)from, (int64_t)to, percent)) {
        for (int k = 1; k < nodes; k++) {
            others += percent[k] / MAX(nodes - 1, 1);
        }
        metrics_set(m, "master_cpu_percent", percent[0]);
        metrics_set(m, "others_cpu_percent", others);
    }
    g_free(percent);
}

static GPtrArray *cluster_command(const struct bench *b, const struct side *s, const char *netns,
                                  const char *node_dir, const char *stats)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    char *cpus = all_cpus(b);

    add(argv, b->paths.launch);
    g_ptr_array_add(argv, g_strdup_printf("--nodes=%d", s->nodes));
    g_ptr_array_add(argv, g_strdup_printf("--timeout=%d", LIMIT_S));
    g_ptr_array_add(argv, g_strdup_printf("--stats=%s", stats));
    add(argv, "--wrap");
    g_ptr_array_add(argv, g_strdup_printf("%s/tests/bench/node.sh %s %s %s %%n", b->paths.top,
                                          node_dir, cpus, netns ? netns : "-"));
    if (netns) {
        add(argv, "--addresses");
        g_ptr_array_add(argv, net_addresses(s->nodes));
    }
    if (s->options) {
        add(argv, "--option");
        add(argv, s->options);
    }
    add(argv, "--");
    add_guest(b, argv, s->args);
    g_ptr_array_add(argv, NULL);
    g_free(cpus);
    return argv;
}

static bool run_watched(GPtrArray *argv, struct watch *w, metrics *m, char **why)
{
    struct run r = {.argv = (char **)argv->pdata,
                    .limit_s = LIMIT_S + 5,
                    .tick = watch_tick,
                    .ctx = w,
                    .tick_ms = TICK_MS};
    bool good = run_command(&r, why);

    if (good) {
        metrics_add_lines(m, r.out);
    }
    run_clear(&r);
    return good;
}

static void forget_pids(const char *node_dir, int nodes)
{
    for (int k = 0; k < nodes; k++) {
        char *path = g_strdup_printf("%s/%d", node_dir, k);

        g_unlink(path);
        g_free(path);
    }
}

static enum outcome run_cluster(const struct bench *b, enum setup setup, const struct side *s,
                                metrics *m, char **why)
{
    char *stats = g_build_filename(b->paths.scratch, "stats.json", NULL);
    char *netns_script = g_build_filename(b->paths.top, "tests/bench/net.sh", NULL);
    const char *netns = in_namespaces(setup) ? net_open(netns_script, why) : NULL;
    struct watch w = {0};
    GPtrArray *argv = NULL;
    enum outcome outcome = OUTCOME_MISSING;

    if (in_namespaces(setup) && !netns) {
        goto out;
    }
    if (in_slow_motion(setup)) {
        w.slow = slow_open(s->nodes, slow_period_us(s->nodes), false, b->paths.scratch, why);
        if (!w.slow) {
            goto out;
        }
    }
    w.cpu = cpu_open(s->nodes, b->paths.scratch);
    argv = cluster_command(b, s, netns, b->paths.scratch, stats);
    outcome = OUTCOME_FAILED;
    if (!run_watched(argv, &w, m, why)) {
        goto out;
    }
    if (!metrics_add_stats(m, stats, s->nodes)) {
        *why = g_strdup("the launcher wrote no statistics");
        goto out;
    }
    add_cpu_shares(&w, s->nodes, m);
    if (check_placement(m, s->nodes, why) && check_node1(m, why) && check_slow(&w, s->nodes, why)) {
        outcome = OUTCOME_GOOD;
    }
out:
    g_clear_pointer(&w.slow, slow_close);
    g_clear_pointer(&w.cpu, cpu_close);
    if (argv) {
        g_ptr_array_free(argv, TRUE);
    }
    forget_pids(b->paths.scratch, s->nodes);
    g_unlink(stats);
    g_free(netns_script);
    g_free(stats);
    return outcome;
}

/* ---- references ---- */

static enum outcome run_tool(GPtrArray *argv, const char *cpus,
                             bool (*add_to)(metrics *m, const char *text), metrics *m, char **why)
{
    struct run r = {.cpus = cpus, .limit_s = LIMIT_S};
    bool good;

    g_ptr_array_add(argv, NULL);
    r.argv = (char **)argv->pdata;
    good = run_command(&r, why);
    if (good && !add_to(m, r.out)) {
        *why = g_strdup_printf("%s printed no numbers", r.argv[0]);
        good = false;
    }
    run_clear(&r);
    g_ptr_array_free(argv, TRUE);
    return good ? OUTCOME_GOOD : OUTCOME_FAILED;
}

static bool add_lines(metrics *m, const char *text)
{
    metrics_add_lines(m, text);
    return g_hash_table_size(m) > 0;
}

static bool add_scale(metrics *m, const char *text)
{
    metrics_add_scale(m, text);
    return g_hash_table_size(m) > 0;
}

static enum outcome run_plain(const struct bench *b, const struct side *s, metrics *m, char **why)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    enum outcome outcome;
    char *cpus;

    if (!g_file_test(b->paths.plain, G_FILE_TEST_IS_EXECUTABLE)) {
        *why = g_strdup_printf("%s is not built", b->paths.plain);
        g_ptr_array_free(argv, TRUE);
        return OUTCOME_MISSING;
    }
    if (s->cpu) {
        cpus = g_strdup_printf("%d", cpu_of_node(b, strcmp(s->cpu, "slave") == 0));
    } else {
        cpus = all_cpus(b);
    }
    add(argv, b->paths.plain);
    add_guest(b, argv, s->args);
    outcome = run_tool(argv, cpus, add_lines, m, why);
    g_free(cpus);
    return outcome;
}

static enum outcome run_copies(const struct bench *b, const struct side *s, metrics *m, char **why)
{
    struct watch w = {
        .slow = slow_open(s->nodes, slow_period_us(s->nodes), true, b->paths.scratch, why)};
    GPtrArray *argv;
    bool good;

    if (!w.slow) {
        return OUTCOME_MISSING;
    }
    argv = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(argv, g_build_filename(b->paths.top, "tests/bench/copies.sh", NULL));
    add(argv, b->paths.scratch);
    g_ptr_array_add(argv, all_cpus(b));
    g_ptr_array_add(argv, g_strdup_printf("%d", s->nodes));
    add(argv, b->paths.plain);
    add_guest(b, argv, s->args);
    g_ptr_array_add(argv, NULL);
    good = run_watched(argv, &w, m, why) && check_slow(&w, s->nodes, why);
    g_ptr_array_free(argv, TRUE);
    slow_close(w.slow);
    forget_pids(b->paths.scratch, s->nodes);
    return good ? OUTCOME_GOOD : OUTCOME_FAILED;
}

/* The client stands for node 1, who asks, the server for node 0. */
static enum outcome run_raw(const struct bench *b, enum setup setup, const struct side *s,
                            metrics *m, char **why)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    char *script = g_build_filename(b->paths.top, "tests/bench/net.sh", NULL);
    const char *netns = in_namespaces(setup) ? net_open(script, why) : NULL;

    g_free(script);
    if (in_namespaces(setup) && !netns) {
        g_ptr_array_free(argv, TRUE);
        return OUTCOME_MISSING;
    }
    g_ptr_array_add(argv, g_build_filename(b->paths.build, "tests/raw", NULL));
    g_ptr_array_add(argv, g_strdup_printf("--cpus=%d,%d", cpu_of_node(b, 1), cpu_of_node(b, 0)));
    if (netns) {
        char *address = net_addresses(1);

        g_ptr_array_add(argv, g_strdup_printf("--netns=%s-1,%s-0", netns, netns));
        g_ptr_array_add(argv, g_strdup_printf("--address=%s", address));
        g_free(address);
    }
    add_words(b, argv, s->args);
    return run_tool(argv, NULL, metrics_add_json, m, why);
}

static enum outcome run_scale(const struct bench *b, const struct side *s, metrics *m, char **why)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_build_filename(b->paths.build, "tests/scale", NULL));
    add_words(b, argv, s->args);
    return run_tool(argv, NULL, add_scale, m, why);
}

enum outcome side_run(const struct bench *b, enum setup setup, const struct side *s, metrics *m,
                      char **why)
{
    switch (s->kind) {
    case SIDE_CLUSTER:
        return run_cluster(b, setup, s, m, why);
    case SIDE_PLAIN:
        return run_plain(b, s, m, why);
    case SIDE_COPIES:
        return run_copies(b, s, m, why);
    case SIDE_RAW:
        return run_raw(b, setup, s, m, why);
    case SIDE_SCALE:
        return run_scale(b, s, m, why);
    case SIDE_SAME:
        break;
    }
    return OUTCOME_GOOD;
}
