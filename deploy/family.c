/*
 * The processes that come of a run, found by their parents in /proc.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/family.h"

#include <dirent.h>
#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    char state;
    unsigned long long started; /* tells a process from a later one with its pid */
    bool ours;
};

static bool opened;
static GArray *strangers; /* struct process: the children that were here before */

static bool read_process(const char *pid, struct process *p)
{
    char *path = g_strdup_printf("/proc/%s/stat", pid);
    char *text = NULL, *after = NULL;

    *p = (struct process){.pid = atoi(pid)};
    if (g_file_get_contents(path, &text, NULL, NULL)) {
        after = strrchr(text, ')'); /* of the name, which may hold anything */
    }
    /* state, parent, then 17 fields up to the time of the start */
    bool right = after && sscanf(after,
                                 ") %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                                 "%*s %*s %*s %*s %llu",
                                 &p->state, &p->parent, &p->started) == 3;
    g_free(text);
    g_free(path);
    return right;
}

static GArray *read_processes(void)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(struct process));
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    struct process p;

    while (folder && (entry = readdir(folder))) {
        if (g_ascii_isdigit(entry->d_name[0]) && read_process(entry->d_name, &p)) {
            g_array_append_val(all, p);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return all;
}

static struct process *at(GArray *all, guint i)
{
    return &g_array_index(all, struct process, i);
}

static bool is_stranger(const struct process *p)
{
    for (guint i = 0; i < strangers->len; i++) {
        const struct process *s = at(strangers, i);
        if (s->pid == p->pid && s->started == p->started) {
            return true;
        }
    }
    return false;
}

static bool is_parent_ours(GArray *all, const struct process *child)
{
    if (child->parent == getpid()) {
        return !is_stranger(child);
    }
    for (guint i = 0; i < all->len; i++) {
        if (at(all, i)->pid == child->parent) {
            return at(all, i)->ours;
        }
    }
    return false;
}

static void mark_ours(GArray *all)
{
    bool changed;

    do {
        changed = false;
        for (guint i = 0; i < all->len; i++) {
            struct process *p = at(all, i);
            if (!p->ours && is_parent_ours(all, p)) {
                p->ours = changed = true;
            }
        }
    } while (changed);
}

void dq_family_open(void)
{
    GArray *all = read_processes();

    strangers = g_array_new(FALSE, FALSE, sizeof(struct process));
    for (guint i = 0; i < all->len; i++) {
        if (at(all, i)->parent == getpid()) {
            g_array_append_val(strangers, *at(all, i));
        }
    }
    g_array_free(all, TRUE);
    opened = prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

int dq_family_kill(void)
{
    int alive = 0;

    if (!opened) {
        return 0;
    }
    GArray *all = read_processes();
    mark_ours(all);
    for (guint i = 0; i < all->len; i++) {
        const struct process *p = at(all, i);
        if (p->ours && p->state != 'Z' && p->state != 'X') {
            kill(p->pid, SIGKILL);
            alive++;
        }
    }
    g_array_free(all, TRUE);
    return alive;
}
