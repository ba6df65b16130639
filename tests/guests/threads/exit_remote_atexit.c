/*
 * exit() in a remote thread runs the handlers of atexit in reverse order, flushes stdio, and ends
 * the process with the status given.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=20 status=3 */
#include "guest.h"

static pthread_t caller;

static void last(void)
{
    CHECK(pthread_equal(pthread_self(), caller));
    printf("last handler");
}

static void first(void)
{
    printf("first handler, ");
}

static void *worker(void *arg)
{
    (void)arg;
    caller = pthread_self();
    CHECK(atexit(first) == 0);
    printf("before, ");
    exit(3);
}

int main(void)
{
    pthread_t thread;

    /* Without a newline: only the flush at exit writes it. */
    CHECK(setvbuf(stdout, NULL, _IOFBF, 4096) == 0);
    CHECK(atexit(last) == 0);
    CHECK(pthread_create(&thread, NULL, worker, NULL) == 0);
    pthread_join(thread, NULL);
    return 1;
}
