/*
 * Slow motion.
 *
 * Which threads of a node are the guest's: on node 0 the main thread (the others are proxies, the
 * runtime's and the emulator's), elsewhere those of that name. A thread has its creator's name at
 * first, so a thread that was placed is looked at again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu.h"

#define ROOT "/sys/fs/cgroup/cpu"
#define SLICE "/proc/sys/kernel/sched_cfs_bandwidth_slice_us"
#define SLICE_US "200" /* so that a quota of 1 ms is given out in parts */

/* Looked at often while threads come, rarely after that: looking costs processor time as well. */
#define OFTEN_NS 20000000
#define RARELY_NS 200000000
#define SETTLED_NS 400000000

struct slow {
    int nodes;
    bool copies;
    char *dir, *group;  /* of the nodes' pids; our cgroup */
    char *slice;        /* the value to restore */
    GHashTable *placed; /* tid -> whether under the quota, plus 1 */
    bool *has_guest;
    int64_t looked, last_new;
};

unsigned slow_period_us(int nodes)
{
    return nodes <= 8 ? 8000 : (unsigned)nodes * 1000;
}

static bool put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

    if (fd >= 0) {
        close(fd);
    }
    return n == (ssize_t)strlen(text);
}

static bool put_in(const char *dir, const char *file, unsigned value)
{
    char *path = g_build_filename(dir, file, NULL), text[16];
    bool good;

    snprintf(text, sizeof(text), "%u", value);
    good = put(path, text);
    g_free(path);
    return good;
}

static char *node_group(const struct slow *s, int node)
{
    return g_strdup_printf("%s/node%d", s->group, node);
}

static bool make_groups(struct slow *s, unsigned period_us)
{
    bool good = mkdir(s->group, 0755) == 0;

    for (int k = 0; good && k < s->nodes; k++) {
        char *dir = node_group(s, k);

        good = mkdir(dir, 0755) == 0 && put_in(dir, "cpu.cfs_period_us", period_us) &&
               put_in(dir, "cpu.cfs_quota_us", SLOW_QUOTA_US);
        g_free(dir);
    }
    return good;
}

struct slow *slow_open(int nodes, unsigned period_us, bool copies, const char *node_dir, char **why)
{
    struct slow *s;

    if (access(ROOT "/cpu.cfs_quota_us", F_OK) != 0) {
        *why = g_strdup("slow motion needs the cgroup v1 cpu controller at " ROOT);
        return NULL;
    }
    s = g_new0(struct slow, 1);
    s->nodes = nodes;
    s->copies = copies;
    s->dir = g_strdup(node_dir);
    s->group = g_strdup_printf(ROOT "/dqemu-bench-%d", (int)getpid());
    s->placed = g_hash_table_new(NULL, NULL);
    s->has_guest = g_new0(bool, (gsize)nodes);
    if (!make_groups(s, period_us)) {
        *why = g_strdup_printf("no CPU quota: %s: %s", s->group, g_strerror(errno));
        slow_close(s);
        return NULL;
    }
    if (g_file_get_contents(SLICE, &s->slice, NULL, NULL)) {
        put(SLICE, SLICE_US);
    }
    return s;
}

static bool is_guest(const struct slow *s, int node, pid_t pid, pid_t tid)
{
    char path[64], *name = NULL;
    bool is;

    if (node == 0 || s->copies) {
        return pid == tid;
    }
    snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
    is = g_file_get_contents(path, &name, NULL, NULL) && strcmp(name, "dqemu-guest\n") == 0;
    g_free(name);
    return is;
}

static void place(struct slow *s, int node, pid_t tid, bool guest)
{
    gpointer is = GINT_TO_POINTER(1 + guest), was;
    char *dir;

    was = g_hash_table_lookup(s->placed, GINT_TO_POINTER(tid));
    if (was == is) {
        return;
    }
    g_hash_table_insert(s->placed, GINT_TO_POINTER(tid), is);
    s->last_new = s->looked;
    if (!guest && !was) {
        return; /* where it belongs */
    }
    dir = guest ? node_group(s, node) : g_strdup(ROOT);
    if (put_in(dir, "tasks", (unsigned)tid) && guest) {
        s->has_guest[node] = true;
    }
    g_free(dir);
}

static void look_at_node(struct slow *s, int node)
{
    pid_t pid = cpu_node_pid(s->dir, node);
    char path[64];
    struct dirent *entry;
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    if (!pid || !(tasks = opendir(path))) {
        return;
    }
    while ((entry = readdir(tasks))) {
        pid_t tid = atoi(entry->d_name);

        if (tid > 0) {
            place(s, node, tid, is_guest(s, node, pid, tid));
        }
    }
    closedir(tasks);
}

void slow_tick(struct slow *s)
{
    int64_t now = g_get_monotonic_time() * 1000;
    bool settled = s->last_new && now - s->last_new > SETTLED_NS;

    if (now - s->looked < (settled ? RARELY_NS : OFTEN_NS)) {
        return;
    }
    s->looked = now;
    for (int k = 0; k < s->nodes; k++) {
        look_at_node(s, k);
    }
}

int slow_nodes(const struct slow *s)
{
    int n = 0;

    for (int k = 0; k < s->nodes; k++) {
        n += s->has_guest[k];
    }
    return n;
}

/* A group can be removed once its last thread is gone, which may be a moment after the run. */
static void remove_group(const char *dir)
{
    for (int i = 0; i < 200 && rmdir(dir) != 0 && errno == EBUSY; i++) {
        g_usleep(10000);
    }
}

void slow_close(struct slow *s)
{
    for (int k = 0; k < s->nodes; k++) {
        char *dir = node_group(s, k);

        remove_group(dir);
        g_free(dir);
    }
    remove_group(s->group);
    if (s->slice) {
        put(SLICE, s->slice);
    }
    g_hash_table_destroy(s->placed);
    g_free(s->has_guest);
    g_free(s->slice);
    g_free(s->group);
    g_free(s->dir);
    g_free(s);
}
