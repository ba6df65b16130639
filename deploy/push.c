/*
 * dqemu's programs on another host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/push.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HASH_BYTES 32
/* Of files that are coming in, or were, when their writer was killed. */
#define NEW_PREFIX "new."

/* ---- hashes ---- */

static int hash_descriptor(int fd, char hex[DQ_PUSH_HASH_SIZE], size_t *size)
{
    static uint8_t bytes[256 * 1024];
    uint8_t digest[HASH_BYTES];
    gnutls_hash_hd_t hash;
    ssize_t n;

    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256)) {
        return -EIO;
    }
    *size = 0;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
        gnutls_hash(hash, bytes, (size_t)n);
        *size += (size_t)n;
    }
    int rc = n < 0 ? -errno : 0;
    gnutls_hash_deinit(hash, digest);
    for (int i = 0; i < HASH_BYTES; i++) {
        g_snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    return rc;
}

int dq_push_describe(struct dq_push_file *file, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    int rc = hash_descriptor(fd, file->hash, &file->size);
    close(fd);
    file->path = path;
    return rc;
}

/* ---- the start on a host ---- */

/* In double quotes for a shell. */
static char *quote(const char *text)
{
    GString *out = g_string_new("\"");

    for (; *text; text++) {
        if (strchr("\"\\$`", *text)) {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, *text);
    }
    g_string_append_c(out, '"');
    return g_string_free(out, FALSE);
}

static char *installed_script(const char *installed)
{
    char *path = quote(installed);
    char *script = g_strdup_printf("for f in %s \"$(command -v dqemu-launch)\"; do "
                                   "[ -x \"$f\" ] && exec \"$f\" --agent; done; "
                                   "echo dqemu-agent absent",
                                   path);
    g_free(path);
    return script;
}

/* The hash is checked at each use: who has altered the file in the cache gets it replaced. */
static char *pushed_script(const struct dq_push_file *launcher)
{
    return g_strdup_printf(
        "d=\"${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/dqemu/%s\"; f=\"$d/dqemu-launch\"; umask 077; "
        "right() { [ \"$(sha256sum <\"$1\" | cut -c 1-64)\" = %s ]; }; "
        "if ! { [ -x \"$f\" ] && right \"$f\"; }; then "
        "mkdir -p \"$d\" && t=$(mktemp \"$d/" NEW_PREFIX "XXXXXX\") || exit 1; "
        "trap \"rm -f \\\"$t\\\"\" EXIT; "
        "echo dqemu-agent wants %zu; "
        "e=$(head -c %zu 2>&1 >\"$t\") && right \"$t\" && chmod 700 \"$t\" && mv \"$t\" \"$f\" || "
        "{ echo \"cannot keep dqemu-launch in $d: ${e:-it was altered on the way}; %s\" >&2; "
        "exit 1; }; fi; "
        "touch \"$f\" 2>/dev/null; exec \"$f\" --agent",
        launcher->hash, launcher->hash, launcher->size, launcher->size, DQ_PUSH_REMEDY);
}

char *dq_push_script(const char *installed, const struct dq_push_file *launcher)
{
    return launcher ? pushed_script(launcher) : installed_script(installed);
}

/* ---- the cache ---- */

char *dq_push_cached(const char *hash, const char *name)
{
    return g_build_filename(g_get_user_cache_dir(), "dqemu", hash, name, NULL);
}

bool dq_push_is_cached(const char *path, const char *hash)
{
    struct dq_push_file file;
    bool is = access(path, X_OK) == 0 && dq_push_describe(&file, path) == 0 &&
              strcmp(file.hash, hash) == 0;

    if (is) {
        utimensat(AT_FDCWD, path, NULL, 0); /* in use: sweep() */
    }
    return is;
}

/* What nobody will use: other builds after a while, and files whose writer was killed. */
static bool is_litter(const struct stat *st, const char *name)
{
    time_t age = time(NULL) - st->st_mtime;

    return S_ISREG(st->st_mode) &&
           age > (g_str_has_prefix(name, NEW_PREFIX) ? DQ_PUSH_NEW_AGE : DQ_PUSH_AGE);
}

static void for_each_in(const char *folder, void (*fn)(const char *path, const char *name))
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        char *path = g_build_filename(folder, name, NULL);

        fn(path, name);
        g_free(path);
    }
    if (dir) {
        g_dir_close(dir);
    }
}

/* The folder goes with the last of it; one that somebody has just made is not touched. */
static void sweep_file(const char *path, const char *name)
{
    struct stat st;

    if (lstat(path, &st) == 0 && is_litter(&st, name) && unlink(path) == 0) {
        char *folder = g_path_get_dirname(path);

        rmdir(folder);
        g_free(folder);
    }
}

/* Before something is added to the cache. What cannot be removed stays. */
static void sweep(const char *path, const char *name)
{
    if (strlen(name) == DQ_PUSH_HASH_SIZE - 1) {
        for_each_in(path, sweep_file);
    }
}

static void store_failed(struct dq_push_store *s, int error)
{
    s->error = s->error ? s->error : error;
    if (s->fd >= 0) {
        close(s->fd);
        unlink(s->temporary);
        s->fd = -1;
    }
}

void dq_push_store_open(struct dq_push_store *s, const char *path, size_t size)
{
    char *folder = g_path_get_dirname(path);
    char *cache = g_path_get_dirname(folder);

    for_each_in(cache, sweep);
    *s = (struct dq_push_store){.fd = -1, .left = size, .path = g_strdup(path)};
    s->temporary = g_build_filename(folder, NEW_PREFIX "XXXXXX", NULL);
    if (g_mkdir_with_parents(folder, 0700) < 0) {
        s->error = errno;
    } else {
        s->fd = g_mkstemp_full(s->temporary, O_RDWR | O_CLOEXEC, 0700);
        s->error = s->fd < 0 ? errno : 0;
    }
    g_free(cache);
    g_free(folder);
}

void dq_push_store_write(struct dq_push_store *s, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    s->left -= size;
    while (s->fd >= 0 && size > 0) {
        ssize_t n = write(s->fd, at, size);
        if (n < 0 && errno != EINTR) {
            store_failed(s, errno);
            return;
        }
        at += MAX(n, 0);
        size -= (size_t)MAX(n, 0);
    }
}

int dq_push_store_close(struct dq_push_store *s, const char *hash)
{
    char is[DQ_PUSH_HASH_SIZE];
    size_t size;

    if (s->fd >= 0) {
        int rc = lseek(s->fd, 0, SEEK_SET) < 0 ? -errno : hash_descriptor(s->fd, is, &size);
        if (rc == 0 && strcmp(is, hash) != 0) {
            rc = -EBADMSG;
        } else if (rc == 0 && rename(s->temporary, s->path) < 0) {
            rc = -errno;
        }
        if (rc < 0) {
            store_failed(s, -rc);
        } else {
            close(s->fd);
        }
    }
    int error = s->error;
    g_free(s->path);
    g_free(s->temporary);
    *s = (struct dq_push_store){.fd = -1};
    return -error;
}
