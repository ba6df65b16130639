/*
 * A child stops its parent for a while: none of its threads goes on meanwhile, wherever it runs, and
 * all do afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=40 */
#include "stopping.h"

int main(void)
{
    pthread_t threads[THREADS];
    pid_t parent = getpid();
    int status;

    start_running(threads);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            CHECK(kill(parent, SIGSTOP) == 0);
            usleep(STOPPED_MS * 1000);
            CHECK(kill(parent, SIGCONT) == 0);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    check_all_stood_still(threads);
    puts("stopped: all threads");
}
