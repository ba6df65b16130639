/*
 * The program stops its whole process group, from any thread, and a child that has left the group lets it
 * go on after a while: none of its threads goes on meanwhile, whatever its node, and all do afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 machines=1 */
#include "stopping.h"

static bool is_stopped(pid_t pid)
{
    char path[32], line[512];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "r");
    CHECK(f && fgets(line, sizeof(line), f) && fclose(f) == 0 && strrchr(line, ')'));
    return strncmp(strrchr(line, ')'), ") T", 3) == 0;
}

static pid_t start_child(void)
{
    pid_t parent = getpid(), group = getpgrp(), child;
    int ends[2];
    char c;

    CHECK(pipe(ends) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setpgid(0, 0) == 0 && write(ends[1], "x", 1) == 1);
        while (!is_stopped(parent)) {
            usleep(10000);
        }
        usleep(STOPPED_MS * 1000);
        CHECK(kill(-group, SIGCONT) == 0);
        _exit(0);
    }
    CHECK(read(ends[0], &c, 1) == 1 && close(ends[0]) == 0 && close(ends[1]) == 0);
    return child;
}

static void *stop_group(void *arg)
{
    CHECK(kill(0, SIGSTOP) == 0);
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    int status;

    start_running(threads);
    for (int i = 0; i < 2; i++) {
        pid_t child = start_child();

        i ? guest_elsewhere(stop_group, NULL) : stop_group(NULL);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    check_all_stood_still(threads);
    puts("stopped_group: all threads");
}
