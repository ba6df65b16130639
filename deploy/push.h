/*
 * dqemu's programs on another host: where an installed one is looked for, and how this launcher's
 * own is sent there (--push) and kept by the hash of its content, so that versions never mix.
 *
 * The cache on a host is ${XDG_CACHE_HOME:-~/.cache}/dqemu/HASH/, one folder for each file that was
 * ever sent; a file comes there under another name first, and is renamed once it is whole. When a
 * node's program is added, what has not been used for DQ_PUSH_AGE goes, and what a killed agent left.
 *
 * One thread; blocks for the disk.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PUSH_H
#define DQ_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds: a month; and for a file that is coming in, since it last grew, an hour. */
#define DQ_PUSH_AGE (30 * 24 * 3600)
#define DQ_PUSH_NEW_AGE 3600
#define DQ_PUSH_HASH_SIZE 65 /* SHA-256 in hex, with its NUL */

/* For the user, when a file cannot be kept on a host. */
#define DQ_PUSH_REMEDY "free some space there, or set XDG_CACHE_HOME there"

/* A file that is to be there on a host. */
struct dq_push_file {
    const char *path; /* on this machine */
    char hash[DQ_PUSH_HASH_SIZE];
    size_t size;
};

/* 0 or -errno. */
int dq_push_describe(struct dq_push_file *file, const char *path);

/*
 * The words of /bin/sh that become an agent on a host, the caller's to g_free(); the host's login
 * shell may be any, so they come as one line without a single quote. What it prints first:
 *   dqemu-agent absent         there is none: `installed` (a path) is not there, nor in PATH
 *   dqemu-agent wants SIZE     (launcher not NULL) that many bytes, the launcher, are to follow
 * and else the agent's own lines.
 */
char *dq_push_script(const char *installed, const struct dq_push_file *launcher);

/* Where a file of that hash and name is kept on this host; the caller's to g_free(). */
char *dq_push_cached(const char *hash, const char *name);

/* Is it there, whole? Then it counts as used. */
bool dq_push_is_cached(const char *path, const char *hash);

/* A file that is coming in. */
struct dq_push_store {
    int fd; /* -1: it has failed, or is over */
    char *path, *temporary;
    size_t left;
    int error; /* errno of the first failure */
};

/* Failures are kept and told at the end. */
void dq_push_store_open(struct dq_push_store *s, const char *path, size_t size);
void dq_push_store_write(struct dq_push_store *s, const void *bytes, size_t size);
/* 0 or -errno; -EBADMSG: its hash is another. Forgets the rest. */
int dq_push_store_close(struct dq_push_store *s, const char *hash);

#endif
