/*
 * vfork and exec of another program from remote threads: its output and status come through, and
 * the thread goes on once the child has left its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4, ROUNDS = 3 };

static void *worker(void *arg)
{
    char word[16], text[16] = {0};
    int fds[2], status;

    for (volatile int i = 0; i < ROUNDS; i++) {
        snprintf(word, sizeof(word), "word%d.%d", (int)(intptr_t)arg, i);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        pid_t pid = vfork();
        if (pid == 0) {
            dup2(fds[1], 1);
            execl("/bin/echo", "echo", "-n", word, (char *)NULL);
            _exit(127);
        }
        CHECK(pid > 0 && close(fds[1]) == 0);
        size_t at = 0;
        ssize_t n;
        while ((n = read(fds[0], text + at, sizeof(text) - at)) > 0) {
            at += n;
        }
        CHECK(n == 0 && at == strlen(word) && memcmp(text, word, at) == 0);
        CHECK(close(fds[0]) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);

        pid = vfork();
        if (pid == 0) {
            execl("/nonexistent/program", "program", (char *)NULL);
            _exit(errno == ENOENT ? 33 : 34);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 33);
    }
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    worker((void *)9);
    printf("vfork_exec: %d programs\n", (THREADS + 1) * ROUNDS);
    return 0;
}
