/*
 * A process whose parent has ended is adopted as it would be anywhere: not by the program's own parent.
 * It sees that by getppid(), and in its files below /proc; its first parent's parent sees no child.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include "guest.h"

static pid_t starter;

static int in_file(const char *path, const char *format)
{
    char text[4096];
    int fd = open(path, O_RDONLY), parent = -1;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    const char *at;

    CHECK(fd >= 0 && n > 0 && close(fd) == 0);
    text[n] = '\0';
    at = strchr(format, 'P') ? strstr(text, "PPid:") : strrchr(text, ')');
    CHECK(at && sscanf(at, format, &parent) == 1);
    return parent;
}

static void is_orphan(pid_t parent)
{
    while (getppid() == parent) {
        usleep(1000);
    }
    CHECK(getppid() != starter && getppid() > 0);
    CHECK(in_file("/proc/self/status", "PPid: %d") == getppid());
    CHECK(in_file("/proc/self/stat", ") %*c %d") == getppid());
}

static void *work(void *arg)
{
    int ends[2], status;
    char word = 0;
    pid_t child;

    CHECK(pipe(ends) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t parent = getpid();

        CHECK(getppid() != parent && (child = fork()) >= 0);
        if (child == 0) {
            is_orphan(parent);
            CHECK(write(ends[1], "o", 1) == 1);
        }
        _exit(0);
    }
    CHECK(close(ends[1]) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(read(ends[0], &word, 1) == 1 && word == 'o' && close(ends[0]) == 0);
    CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
    return arg;
}

int main(void)
{
    starter = getppid();
    CHECK(in_file("/proc/self/status", "PPid: %d") == starter);
    CHECK(in_file("/proc/self/stat", ") %*c %d") == starter);
    work(NULL);
    guest_elsewhere(work, NULL);
    work(NULL);
    puts("orphan: adopted");
}
