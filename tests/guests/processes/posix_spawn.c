/*
 * posix_spawn with file actions and attributes, from several remote threads at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include <spawn.h>

#include "guest.h"

enum { THREADS = 6, ROUNDS = 3 };

extern char **environ;

static void *worker(void *arg)
{
    char name[32], text[32];
    int fds[2], status;
    pid_t pid;

    for (int i = 0; i < ROUNDS; i++) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        snprintf(name, sizeof(name), "echo $((%d * %d))", (int)(intptr_t)arg + 2, i + 7);
        char *argv[] = {"sh", "-c", name, NULL};

        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHECK(posix_spawn_file_actions_init(&actions) == 0);
        CHECK(posix_spawn_file_actions_adddup2(&actions, fds[1], 1) == 0);
        CHECK(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0);
        CHECK(posix_spawnattr_init(&attributes) == 0);
        sigemptyset(&none);
        CHECK(posix_spawnattr_setsigmask(&attributes, &none) == 0);
        CHECK(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK) == 0);
        CHECK(posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv, environ) == 0);
        CHECK(close(fds[1]) == 0);
        ssize_t n = read(fds[0], text, sizeof(text) - 1);
        CHECK(n > 1);
        text[n] = '\0';
        CHECK(atoi(text) == ((int)(intptr_t)arg + 2) * (i + 7));
        CHECK(close(fds[0]) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(posix_spawnattr_destroy(&attributes) == 0);
        CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
    }
    /* Where vfork is a fork, the child cannot tell the caller why it failed; it exits with 127. */
    int rc = posix_spawn(&pid, "/nonexistent", NULL, NULL, (char *[]){"x", NULL}, environ);
    if (rc == 0) {
        CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 127);
    } else {
        CHECK(rc == ENOENT);
    }
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    printf("posix_spawn: %d programs\n", THREADS * ROUNDS);
    return 0;
}
