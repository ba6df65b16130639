/*
 * The logs of a run on several hosts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/logs.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deploy/say.h"

static struct {
    char *folder; /* NULL: no logs */
    bool temporary, told;
    GHashTable *files; /* path -> FILE */
} logs;

static void close_file(void *file)
{
    fclose(file);
}

int dq_logs_open(const char *dir)
{
    if (dir) {
        if (g_mkdir_with_parents(dir, 0700) < 0) {
            return -errno;
        }
        logs.folder = g_strdup(dir);
    } else {
        logs.folder = g_build_filename(g_get_tmp_dir(), "dqemu-XXXXXX", NULL);
        if (!g_mkdtemp(logs.folder)) {
            int rc = -errno;
            g_free(logs.folder);
            logs.folder = NULL;
            return rc;
        }
    }
    logs.temporary = !dir;
    logs.files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_file);
    return 0;
}

static void tell_once(const char *path)
{
    if (!logs.told) {
        logs.told = true;
        dq_say("%s: %s; the run goes on without its logs", path, g_strerror(errno));
    }
}

/* Takes over the path. */
static void add_line(char *path, const char *text)
{
    FILE *file = g_hash_table_lookup(logs.files, path);
    GDateTime *now = g_date_time_new_now_local();
    char *time = g_date_time_format(now, "%H:%M:%S");

    g_date_time_unref(now);
    if (!file && (file = fopen(path, "we"))) {
        setvbuf(file, NULL, _IOLBF, 0);
        g_hash_table_insert(logs.files, g_strdup(path), file);
    }
    if (!file || fprintf(file, "%s %s\n", time, text) < 0) {
        tell_once(path);
    }
    g_free(time);
    g_free(path);
}

/* A host's name may hold what a file's may not. */
static char *path_of(const char *name)
{
    char *clean = g_strdelimit(g_strdup(name), "/", '_');
    char *path = g_strconcat(logs.folder, "/", clean, ".log", NULL);

    g_free(clean);
    return path;
}

void dq_logs_node(int node, const char *host, const char *text)
{
    if (logs.folder) {
        char *name = g_strdup_printf("node-%d.%s", node, host);
        add_line(path_of(name), text);
        g_free(name);
    }
}

void dq_logs_host(const char *host, const char *text)
{
    if (logs.folder) {
        char *name = g_strconcat("host.", host, NULL);
        add_line(path_of(name), text);
        g_free(name);
    }
}

const char *dq_logs_folder(void)
{
    return logs.folder;
}

bool dq_logs_close(bool keep)
{
    GHashTableIter i;
    void *path;

    if (!logs.folder) {
        return false;
    }
    bool any = g_hash_table_size(logs.files) > 0;
    g_hash_table_iter_init(&i, logs.files);
    while (logs.temporary && !keep && g_hash_table_iter_next(&i, &path, NULL)) {
        unlink(path);
    }
    g_hash_table_unref(logs.files);
    logs.files = NULL;
    if (logs.temporary && !(keep && any)) {
        rmdir(logs.folder);
        g_free(logs.folder);
        logs.folder = NULL;
        return false;
    }
    return any;
}
