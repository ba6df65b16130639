/*
 * system() and popen() from remote threads: output in order, exit statuses, input.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

static void *first(void *arg)
{
    char line[32];

    CHECK(write(1, "one\n", 4) == 4);
    CHECK(system("echo two") == 0);
    CHECK(write(1, "three\n", 6) == 6);
    int status = system("exit 9");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    status = system("kill -TERM $$");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);

    FILE *in = popen("echo four; exit 4", "r");
    CHECK(in && fgets(line, sizeof(line), in) && strcmp(line, "four\n") == 0);
    CHECK(WEXITSTATUS(pclose(in)) == 4);
    FILE *out = popen("cat", "w");
    CHECK(out && fputs("five\n", out) >= 0 && pclose(out) == 0);
    return arg;
}

static void *quiet(void *arg)
{
    for (int i = 0; i < 3; i++) {
        int status = system("exit 3");
        CHECK(WEXITSTATUS(status) == 3);
    }
    return arg;
}

int main(void)
{
    guest_elsewhere(first, NULL);
    guest_run(4, quiet);
    CHECK(system(NULL) != 0);
    CHECK(system("echo six") == 0);
    return 0;
}
