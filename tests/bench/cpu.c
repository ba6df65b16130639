/*
 * Processor time of each node.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "cpu.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERY_NS 100000000

struct sample {
    int64_t at_ns;
    uint64_t *ticks; /* per node */
};

struct cpu {
    int nodes;
    char *dir;
    GArray *samples; /* struct sample */
};

struct cpu *cpu_open(int nodes, const char *node_dir)
{
    struct cpu *c = g_new(struct cpu, 1);

    *c = (struct cpu){nodes, g_strdup(node_dir), g_array_new(FALSE, FALSE, sizeof(struct sample))};
    return c;
}

pid_t cpu_node_pid(const char *node_dir, int node)
{
    char *path = g_strdup_printf("%s/%d", node_dir, node), *text = NULL;
    pid_t pid = 0;

    if (g_file_get_contents(path, &text, NULL, NULL)) {
        pid = atoi(text);
    }
    g_free(text);
    g_free(path);
    return pid;
}

/* utime + stime of /proc/PID/stat: the 12th and 13th field after the name in brackets. */
static uint64_t ticks_of(pid_t pid)
{
    char path[64], *text = NULL, *after;
    unsigned long user = 0, system = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (g_file_get_contents(path, &text, NULL, NULL) && (after = strrchr(text, ')'))) {
        sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    }
    g_free(text);
    return user + system;
}

static const struct sample *at(const struct cpu *c, guint i)
{
    return &g_array_index(c->samples, struct sample, i);
}

void cpu_tick(struct cpu *c)
{
    struct sample s = {.at_ns = g_get_monotonic_time() * 1000};

    if (c->samples->len && s.at_ns - at(c, c->samples->len - 1)->at_ns < EVERY_NS) {
        return;
    }
    s.ticks = g_new0(uint64_t, (gsize)c->nodes);
    for (int k = 0; k < c->nodes; k++) {
        pid_t pid = cpu_node_pid(c->dir, k);

        s.ticks[k] = pid ? ticks_of(pid) : 0;
    }
    g_array_append_val(c->samples, s);
}

bool cpu_shares(const struct cpu *c, int64_t from_ns, int64_t to_ns, double *percent)
{
    const struct sample *first = NULL, *last = NULL;
    double seconds;

    for (guint i = 0; i < c->samples->len; i++) {
        if (at(c, i)->at_ns >= from_ns && at(c, i)->at_ns <= to_ns) {
            first = first ? first : at(c, i);
            last = at(c, i);
        }
    }
    if (!first || first == last) {
        return false;
    }
    seconds = (double)(last->at_ns - first->at_ns) / 1e9;
    for (int k = 0; k < c->nodes; k++) {
        percent[k] = 100 * (double)(last->ticks[k] - first->ticks[k]) /
                     (double)sysconf(_SC_CLK_TCK) / seconds;
    }
    return true;
}

void cpu_close(struct cpu *c)
{
    for (guint i = 0; i < c->samples->len; i++) {
        g_free(at(c, i)->ticks);
    }
    g_array_free(c->samples, TRUE);
    g_free(c->dir);
    g_free(c);
}
