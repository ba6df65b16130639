/*
 * The process has the descriptors that the program has opened, and no others: by its list of them,
 * read in large pieces and small, by name, by number, and when all are closed that are listed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "guest.h"

enum { MOST = 1024, HIGH = 900, STEP = 8 };

/*
 * All numbers in the folder but that of the folder itself, with so large a buffer. A run of one node, which
 * hides nothing, shows one more beyond all of the guest's: the channel to its launcher.
 */
static int list(const char *folder, size_t room, bool *open)
{
    char buffer[8192] __attribute__((aligned(8)));
    int fd = openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY), count = 0, beyond = 0;
    long n;

    CHECK(fd >= 0);
    memset(open, 0, MOST);
    while ((n = syscall(SYS_getdents64, fd, buffer, room)) > 0) {
        for (long at = 0; at < n; at += ((struct dirent64 *)(buffer + at))->d_reclen) {
            int number = atoi(((struct dirent64 *)(buffer + at))->d_name);

            if (number >= MOST) {
                CHECK(++beyond == 1);
            } else if (((struct dirent64 *)(buffer + at))->d_name[0] != '.' && number != fd) {
                CHECK(!open[number]);
                open[number] = true;
                count++;
            }
        }
    }
    CHECK(n == 0 && close(fd) == 0);
    return count;
}

static bool listed[MOST];

/* What can be used by its number is what is listed. */
static void is_all(int expected)
{
    for (int fd = 0; fd < MOST; fd++) {
        CHECK((fcntl(fd, F_GETFD) >= 0) == listed[fd]);
    }
    CHECK(listed[0] && listed[1] && listed[2]);
    CHECK(expected == 0 || listed[expected]);
}

static void is_not_there(int fd)
{
    char path[64], target[64];
    struct stat st;
    int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(readlink(path, target, sizeof(target)) < 0 && errno == ENOENT);
    CHECK(open(path, O_RDONLY) < 0 && errno == ENOENT);
    CHECK(lstat(path, &st) < 0 && errno == ENOENT);
    snprintf(path, sizeof(path), "%d", fd);
    CHECK(folder >= 0 && readlinkat(folder, path, target, sizeof(target)) < 0 && errno == ENOENT);
    CHECK(close(folder) == 0);
    CHECK(dup(fd) < 0 && errno == EBADF);
    CHECK(fstat(fd, &st) < 0 && errno == EBADF);
    CHECK(lseek(fd, 0, SEEK_CUR) < 0 && errno == EBADF);
    CHECK(read(fd, path, 1) < 0 && errno == EBADF);
    CHECK(close(fd) < 0 && errno == EBADF);
}

static void *look(void *arg)
{
    int high = (int)(intptr_t)arg;
    int count = list("/proc/self/fd", 8192, listed);

    is_all(high);
    CHECK(list("/proc/self/fd", 32, listed) == count); /* an entry or two at a time */
    CHECK(list("/proc/self/fdinfo", 8192, listed) == count);
    is_all(high);
    for (int fd = STEP; fd < MOST; fd += STEP) {
        if (!listed[fd]) {
            is_not_there(fd);
        }
    }
    return arg;
}

/* As programs do that close what they have inherited. */
static void *close_listed(void *arg)
{
    list("/proc/self/fd", 8192, listed);
    for (int fd = 3; fd < MOST; fd++) {
        CHECK(!listed[fd] || close(fd) == 0);
    }
    return arg;
}

int main(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max < HIGH + 1 ? limit.rlim_max : limit.rlim_cur;
    close_listed(NULL); /* what the harness has left open */
    look(NULL);
    guest_elsewhere(look, NULL);
    if (limit.rlim_cur > HIGH) {
        CHECK(dup2(1, HIGH) == HIGH);
        look((void *)HIGH);
        guest_elsewhere(look, (void *)HIGH);
    }
    guest_elsewhere(close_listed, NULL);
    CHECK(list("/proc/self/fd", 8192, listed) == 3);
    puts("own_descriptors: as many as there are");
}
