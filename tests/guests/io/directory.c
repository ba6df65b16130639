/*
 * File names from many threads: each makes a tree of its own, lists it, renames, links, stats and
 * removes; names on the stacks of remote threads reach the kernel right.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include <dirent.h>
#include <sys/stat.h>

#include "guest.h"

enum { THREADS = 6, FILES = 12 };

static char top[64];

static void *worker(void *arg)
{
    int me = (intptr_t)arg, seen = 0;
    char dir[128], a[160], b[160], target[160];
    struct stat st;

    snprintf(dir, sizeof(dir), "%s/thread%d", top, me);
    CHECK(mkdir(dir, 0700) == 0);
    for (int i = 0; i < FILES; i++) {
        snprintf(a, sizeof(a), "%s/file%d", dir, i);
        int fd = open(a, O_CREAT | O_EXCL | O_WRONLY, 0600);
        CHECK(fd >= 0 && write(fd, a, i) == i && close(fd) == 0);
    }
    DIR *d = opendir(dir);
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));) {
        seen += strncmp(e->d_name, "file", 4) == 0;
    }
    CHECK(closedir(d) == 0 && seen == FILES);

    snprintf(a, sizeof(a), "%s/file3", dir);
    snprintf(b, sizeof(b), "%s/renamed", dir);
    CHECK(rename(a, b) == 0 && stat(a, &st) == -1 && errno == ENOENT);
    CHECK(stat(b, &st) == 0 && st.st_size == 3 && S_ISREG(st.st_mode));
    CHECK(symlink(b, a) == 0);
    ssize_t n = readlink(a, target, sizeof(target));
    CHECK(n == (ssize_t)strlen(b) && memcmp(target, b, n) == 0);
    CHECK(lstat(a, &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(unlink(a) == 0 && rename(b, a) == 0);
    CHECK(truncate(a, 1000) == 0 && stat(a, &st) == 0 && st.st_size == 1000);
    for (int i = 0; i < FILES; i++) {
        snprintf(a, sizeof(a), "%s/file%d", dir, i);
        CHECK(unlink(a) == 0);
    }
    CHECK(rmdir(dir) == 0);
    return NULL;
}

int main(void)
{
    snprintf(top, sizeof(top), "/tmp/dqemu-guest-XXXXXX");
    CHECK(mkdtemp(top));
    guest_run(THREADS, worker);
    CHECK(rmdir(top) == 0);
    printf("directory: %d trees\n", THREADS);
    return 0;
}
