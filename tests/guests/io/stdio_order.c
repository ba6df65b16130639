/*
 * Standard output of many threads arrives whole and in the order in which it was written, by
 * stdio and by write(), and standard input is at its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=20 */
#include "guest.h"

enum { THREADS = 6, LAPS = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int holder;

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    char text[64], byte;

    for (int lap = 0; lap < LAPS; lap++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (holder != me) {
            CHECK(pthread_cond_wait(&turn, &lock) == 0);
        }
        if (lap % 2) {
            printf("lap %d, thread %d by stdio\n", lap, me);
            CHECK(fflush(stdout) == 0);
        } else {
            int n = snprintf(text, sizeof(text), "lap %d, thread %d by write\n", lap, me);
            CHECK(write(1, text, n) == n);
        }
        holder = (me + 1) % THREADS;
        CHECK(pthread_cond_broadcast(&turn) == 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    CHECK(read(0, &byte, 1) == 0);
    return NULL;
}

int main(void)
{
    guest_run(THREADS, worker);
    return 0;
}
