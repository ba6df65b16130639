/*
 * The benchmarks: measures each row, prints the table, writes JSON and charts.
 *
 * Ends with 1 if a row failed to run; a goal that is missed is a result, not a failure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "net.h"
#include "report.h"
#include "run.h"

static struct {
    gboolean quick, list;
    char *only, *out;
    int pairs;
    double size;
} options = {.size = 1};

static const GOptionEntry entries[] = {
    {"quick", 0, 0, G_OPTION_ARG_NONE, &options.quick, "fewer and smaller runs", NULL},
    {"only", 0, 0, G_OPTION_ARG_STRING, &options.only, "rows whose name or operation matches",
     "PATTERN"},
    {"list", 0, 0, G_OPTION_ARG_NONE, &options.list, "name the rows and end", NULL},
    {"pairs", 0, 0, G_OPTION_ARG_INT, &options.pairs, "pairs of runs, instead of each row's own",
     "N"},
    {"size", 0, 0, G_OPTION_ARG_DOUBLE, &options.size, "samples, as a multiple of the usual", "X"},
    {"out", 0, 0, G_OPTION_ARG_FILENAME, &options.out, "where files go (build/bench)", "FOLDER"},
    G_OPTION_ENTRY_NULL,
};

static void parse(int *argc, char ***argv)
{
    GOptionContext *context = g_option_context_new("- how dqemu performs");
    GError *error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error) || *argc > 1) {
        g_printerr("bench: %s; see --help\n", error ? error->message : "no arguments, please");
        exit(2);
    }
    g_option_context_free(context);
}

static char *from_environment(const char *name, const char *folder, const char *file)
{
    const char *value = g_getenv(name);

    return value ? g_canonicalize_filename(value, NULL) : g_build_filename(folder, file, NULL);
}

/* This program is build/tests/bench. */
static struct paths find_paths(void)
{
    char *exe = g_file_read_link("/proc/self/exe", NULL), *tests;
    struct paths p = {0};

    if (!exe) {
        g_printerr("bench: /proc is not there\n");
        exit(1);
    }
    tests = g_path_get_dirname(exe);
    p.build = g_path_get_dirname(tests);
    p.top = g_path_get_dirname(p.build);
    p.launch = from_environment("DQEMU_LAUNCH", p.build, "dqemu-launch");
    p.plain = from_environment("QEMU_PLAIN", p.build, "qemu-aarch64");
    p.guests = g_build_filename(p.build, "bench/guests", NULL);
    p.scratch = g_dir_make_tmp("dqemu-bench.XXXXXX", NULL);
    if (!p.scratch) {
        g_printerr("bench: no temporary folder\n");
        exit(1);
    }
    g_free(tests);
    g_free(exe);
    return p;
}

static GArray *usable_cpus(void)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(int));
    cpu_set_t set;

    sched_getaffinity(0, sizeof(set), &set);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &set)) {
            g_array_append_val(list, i);
        }
    }
    return list;
}

static bool selected(const struct row *row, const GRegex *only)
{
    return !only || g_regex_match(only, row->name, 0, NULL) ||
           g_regex_match(only, row->operation, 0, NULL);
}

static int pairs_of(const struct row *row)
{
    int pairs = options.quick ? row->pairs_quick : row->pairs;

    return pairs > 0 && options.pairs > 0 ? options.pairs : pairs;
}

static GRegex *compile_only(void)
{
    GError *error = NULL;
    GRegex *only;

    if (!options.only) {
        return NULL;
    }
    only = g_regex_new(options.only, G_REGEX_CASELESS, 0, &error);
    if (!only) {
        g_printerr("bench: --only: %s\n", error->message);
        exit(2);
    }
    return only;
}

static GPtrArray *measure_all(const struct bench *b, const GRegex *only)
{
    GPtrArray *results = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);

    report_head();
    for (size_t i = 0; i < rows_count && !run_interrupted(); i++) {
        if (selected(&rows[i], only) && pairs_of(&rows[i]) > 0) {
            struct result *r = measure_row(b, &rows[i], options.quick, pairs_of(&rows[i]));

            g_ptr_array_add(results, r);
            report_line(r);
        }
    }
    return results;
}

static bool any_failed(const GPtrArray *results)
{
    for (guint i = 0; i < results->len; i++) {
        if (((struct result *)g_ptr_array_index(results, i))->outcome == OUTCOME_FAILED) {
            return true;
        }
    }
    return false;
}

static int report_all(const struct bench *b, const GPtrArray *results)
{
    char *out = options.out ? options.out : g_build_filename(b->paths.build, "bench", NULL);
    char *json = g_build_filename(out, "bench.json", NULL);
    char *notes = g_build_filename(b->paths.top, "tests/bench/notes", NULL);
    bool good;

    report_feet(results, notes);
    g_mkdir_with_parents(out, 0777);
    good = report_json(results, options.quick, json);
    report_charts(results, out);
    if (good) {
        printf("numbers: %s\n", json);
    }
    return good && !any_failed(results) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    GPtrArray *results;
    GRegex *only;
    int status;

    parse(&argc, &argv);
    only = compile_only();
    for (size_t i = 0; i < rows_count && options.list; i++) {
        char *setup = row_setup_text(&rows[i]);

        printf("%-20s %-45s %s\n", rows[i].name, rows[i].operation, setup);
        g_free(setup);
    }
    if (options.list) {
        return 0;
    }
    run_catch_signals();
    b = (struct bench){.paths = find_paths(), .cpus = usable_cpus(), .size = options.size};
    results = measure_all(&b, only);
    if (results->len == 0) {
        g_printerr("bench: no row matches %s; see --list\n", options.only);
    }
    status = results->len == 0 ? 2 : run_interrupted() ? 130 : report_all(&b, results);
    net_close();
    g_rmdir(b.paths.scratch);
    return status;
}
