/*
 * A ring of pipes between threads: blocking reads and writes, more data than a pipe holds, end of
 * file, and EPIPE where nobody reads any more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=3 timeout=30 */
#include "guest.h"

enum { THREADS = 6, LAPS = 30, BULK = 300000 };

static int ring[THREADS][2];
static uint32_t sums[THREADS];

static void full_write(int fd, const void *data, size_t n)
{
    for (const char *p = data; n > 0;) {
        ssize_t got = write(fd, p, n);
        CHECK(got > 0);
        p += got;
        n -= got;
    }
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg, next = (me + 1) % THREADS;
    int token;

    for (int lap = 0; lap < LAPS; lap++) {
        if (me != 0 || lap > 0) {
            CHECK(read(ring[me][0], &token, sizeof(token)) == sizeof(token));
            CHECK(token == (me == 0 ? lap - 1 : lap) * THREADS + (me + THREADS - 1) % THREADS);
        }
        token = lap * THREADS + me;
        full_write(ring[next][1], &token, sizeof(token));
    }
    if (me == 0) {
        CHECK(read(ring[0][0], &token, sizeof(token)) == sizeof(token));
    }

    /* Bulk from even to odd threads. */
    unsigned char *bulk = malloc(BULK);
    CHECK(bulk);
    if (me % 2 == 0) {
        for (int i = 0; i < BULK; i++) {
            bulk[i] = i * (me + 1);
        }
        full_write(ring[next][1], bulk, BULK);
        CHECK(close(ring[next][1]) == 0);
    } else {
        size_t at = 0;
        ssize_t n;
        while ((n = read(ring[me][0], bulk + at, BULK - at)) > 0) {
            at += n;
        }
        CHECK(n == 0 && at == BULK);
        for (int i = 0; i < BULK; i++) {
            CHECK(bulk[i] == (unsigned char)(i * me));
            sums[me] += bulk[i];
        }
        CHECK(read(ring[me][0], bulk, 1) == 0);
        int broken[2];
        CHECK(pipe2(broken, O_NONBLOCK) == 0);
        CHECK(read(broken[0], bulk, 1) == -1 && errno == EAGAIN);
        CHECK(close(broken[0]) == 0);
        CHECK(write(broken[1], bulk, 1) == -1 && errno == EPIPE);
        CHECK(close(broken[1]) == 0);
    }
    free(bulk);
    return NULL;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pipe(ring[i]) == 0);
    }
    guest_run(THREADS, worker);
    printf("pipes: %d laps, sums %u %u %u\n", LAPS, sums[1], sums[3], sums[5]);
    return 0;
}
