/*
 * Charts, drawn by gnuplot from data files that stay beside them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "run.h"

/* How far from the goal: 1 is the goal itself, less is better. */
static double distance(const struct result *r)
{
    return r->row->at_least ? r->row->goal / r->ratio : r->ratio / r->row->goal;
}

static bool write_goals(const GPtrArray *results, const char *path)
{
    FILE *f = fopen(path, "w");
    bool any = false;

    if (!f) {
        return false;
    }
    for (guint i = 0; i < results->len; i++) {
        const struct result *r = g_ptr_array_index(results, i);

        if (r->outcome == OUTCOME_GOOD && r->ratio > 0) {
            fprintf(f, "\"%s\" %g %d\n", r->row->name, distance(r), r->met);
            any = true;
        }
    }
    return fclose(f) == 0 && any;
}

/* Rows named PREFIX...: number of nodes and our number, after the reference, which has 2 nodes. */
static bool write_growth(const GPtrArray *results, const char *prefix, const char *path)
{
    FILE *f = fopen(path, "w");
    bool any = false;

    if (!f) {
        return false;
    }
    for (guint i = 0; i < results->len; i++) {
        const struct result *r = g_ptr_array_index(results, i);

        if (r->outcome == OUTCOME_GOOD && g_str_has_prefix(r->row->name, prefix)) {
            if (!any) { /* the reference of all */
                fprintf(f, "2 %g\n", r->ref_median);
            }
            fprintf(f, "%s %g\n", r->row->name + strlen(prefix), r->ours_median);
            any = true;
        }
    }
    return fclose(f) == 0 && any;
}

/* The script stays beside the picture, for whoever wants to draw it differently. */
static void draw(const char *gnuplot, const char *png, const char *script)
{
    char *text = g_strdup_printf("set terminal pngcairo size 1100,700 font 'sans,10'\n"
                                 "set output '%s'\n%s\n",
                                 png, script);
    char *path = g_strdup_printf("%.*s.gp", (int)strlen(png) - 4, png), *why = NULL;
    char *argv[] = {(char *)gnuplot, path, NULL};
    struct run r = {.argv = argv, .limit_s = 60};

    if (g_file_set_contents(path, text, -1, NULL) && run_command(&r, &why)) {
        printf("chart: %s\n", png);
    } else {
        printf("no chart %s: %s\n", png, why ? why : "its script cannot be written");
    }
    run_clear(&r);
    g_free(why);
    g_free(path);
    g_free(text);
}

static void chart_goals(const GPtrArray *results, const char *gnuplot, const char *folder)
{
    char *data = g_build_filename(folder, "goals.dat", NULL);
    char *png = g_build_filename(folder, "goals.png", NULL);
    char *script = g_strdup_printf(
        "set title 'Distance from the goal (1 is the goal, less is better)'\n"
        "set logscale x; set grid x; set bmargin 4; set lmargin 28; unset key\n"
        "set style fill solid 0.7; set yrange [:] reverse; set offsets 0,0,0.5,0.5\n"
        "set arrow from 1,graph 0 to 1,graph 1 nohead lw 2 dt 2\n"
        "plot '%s' using (0.01):0:(0.01):2:($0-0.35):($0+0.35):($3>0?0x2e8b57:0xcd5c5c):"
        "ytic(1) with boxxyerror lc rgb variable",
        data);

    if (write_goals(results, data)) {
        draw(gnuplot, png, script);
    }
    g_free(script);
    g_free(png);
    g_free(data);
}

static void chart_growth(const GPtrArray *results, const char *gnuplot, const char *folder)
{
    char *real = g_build_filename(folder, "messages.dat", NULL);
    char *simulated = g_build_filename(folder, "messages-simulated.dat", NULL);
    char *png = g_build_filename(folder, "messages.png", NULL);
    bool have_real = write_growth(results, "messages-", real);
    bool have_simulated = write_growth(results, "simulated-", simulated);
    GString *script = g_string_new("set title 'Messages per fault'; set logscale x 2\n"
                                   "set xlabel 'nodes'; set yrange [0:]; set grid; set key left\n"
                                   "plot ");

    if (have_real) {
        g_string_append_printf(script, "'%s' using 1:2 with linespoints lw 2 title 'measured'%s",
                               real, have_simulated ? ", " : "");
    }
    if (have_simulated) {
        g_string_append_printf(script, "'%s' using 1:2 with linespoints lw 2 title 'simulated'",
                               simulated);
    }
    if (have_real || have_simulated) {
        draw(gnuplot, png, script->str);
    }
    g_string_free(script, TRUE);
    g_free(png);
    g_free(simulated);
    g_free(real);
}

void report_charts(const GPtrArray *results, const char *folder)
{
    char *gnuplot = g_find_program_in_path("gnuplot");

    if (!gnuplot) {
        printf("no charts: gnuplot is not installed (Debian: gnuplot-nox)\n");
        return;
    }
    chart_goals(results, gnuplot, folder);
    chart_growth(results, gnuplot, folder);
    g_free(gnuplot);
}
