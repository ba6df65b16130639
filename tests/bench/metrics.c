/*
 * Named numbers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "metrics.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

metrics *metrics_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void metrics_set(metrics *m, const char *name, double value)
{
    g_hash_table_replace(m, g_strdup(name), g_memdup2(&value, sizeof(value)));
}

bool metrics_get(metrics *m, const char *name, double *value)
{
    double *found = g_hash_table_lookup(m, name);

    if (found) {
        *value = *found;
    }
    return found != NULL;
}

static void add_to(metrics *m, const char *name, double value)
{
    double before = 0;

    metrics_get(m, name, &before);
    metrics_set(m, name, before + value);
}

void metrics_add_lines(metrics *m, const char *text)
{
    char **lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        char name[64], unit[64];
        double value;

        if (sscanf(*line, "%63s %lf %63s", name, &value, unit) == 3) {
            metrics_set(m, name, value);
        }
    }
    g_strfreev(lines);
}

bool metrics_add_json(metrics *m, const char *text)
{
    json_t *object = json_loads(text, 0, NULL), *value;
    const char *name;

    if (!json_is_object(object)) {
        json_decref(object);
        return false;
    }
    json_object_foreach(object, name, value)
    {
        if (json_is_number(value)) {
            metrics_set(m, name, json_number_value(value));
        }
    }
    json_decref(object);
    return true;
}

static void add_node(metrics *m, int k, json_t *node)
{
    const char *counter;
    json_t *value;

    json_object_foreach(node, counter, value)
    {
        char *one = g_strdup_printf("node%d.%s", k, counter);
        char *sum = g_strconcat("sum.", counter, NULL);

        if (json_is_number(value)) {
            metrics_set(m, one, json_number_value(value));
            add_to(m, sum, json_number_value(value));
        }
        g_free(one);
        g_free(sum);
    }
}

static void add_derived(metrics *m)
{
    double messages, reads, writes, ahead, local, asked, shadow;

    /* a page that was asked for ahead costs what a fault costs, and is none */
    if (metrics_get(m, "sum.messages_out", &messages) &&
        metrics_get(m, "sum.faults_read", &reads) && metrics_get(m, "sum.faults_write", &writes) &&
        metrics_get(m, "sum.forwarded", &ahead) && reads + writes > 0) {
        metrics_set(m, "messages_per_fault", messages / (reads + writes + ahead));
    }
    if (metrics_get(m, "node1.futex_local", &local) &&
        metrics_get(m, "node1.futex_remote", &asked) && local + asked > 0) {
        metrics_set(m, "futex_asked_share", asked / (local + asked));
        metrics_set(m, "futex_share_of_all", 1);
    }
    if (metrics_get(m, "sum.shadow_pages", &shadow)) {
        metrics_set(m, "shadow_pages", shadow);
    }
}

bool metrics_add_stats(metrics *m, const char *path, int nodes)
{
    json_t *report = json_load_file(path, 0, NULL);
    json_t *list = json_object_get(report, "nodes");
    bool good = json_is_array(list) && json_array_size(list) == (size_t)nodes;

    for (int k = 0; good && k < nodes; k++) {
        add_node(m, k, json_array_get(list, (size_t)k));
    }
    add_derived(m);
    json_decref(report);
    return good;
}

void metrics_add_scale(metrics *m, const char *text)
{
    char **lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        char pattern[32], *name;
        double messages, hops;
        long faults;
        int nodes;

        if (sscanf(*line, "%31s %d %ld %lf %lf", pattern, &nodes, &faults, &messages, &hops) != 5) {
            continue;
        }
        name = g_strdup_printf("%s_%d_messages", pattern, nodes);
        metrics_set(m, name, messages);
        g_free(name);
        name = g_strdup_printf("%s_%d_hops", pattern, nodes);
        metrics_set(m, name, hops);
        g_free(name);
    }
    g_strfreev(lines);
}
