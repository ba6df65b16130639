/*
 * System calls whose buffers lie in shared pages, next to words that other threads write: files,
 * pipes, sockets, times and random bytes, in one part and in many; and a read that waits, while its
 * page is written by others, the one that it waits for among them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 splits=1 */
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "split.h"

enum { ROUNDS = 12, BUFFER = 96, WAITS = 6 };

/* What system calls of one thread read and write; not a multiple of a lane, so that the threads'
 * parts meet within lanes. */
struct mine {
    volatile uint64_t count;
    unsigned char in[BUFFER], out[BUFFER];
    struct iovec iov[3];
    struct timespec time;
    struct pollfd poll;
    struct stat stat;
    int pipe[2], pair[2];
    volatile uint64_t last;
};

static OWN_PAGE struct {
    struct mine mine[SPLIT_HALF];
    volatile uint64_t count[SPLIT_HALF];
    unsigned char spread[SPLIT_HALF][100];
    /* Begins on this page and ends on the next. */
    unsigned char across[SPLIT_HALF][GUEST_PAGE / 4 + 8];
    volatile uint64_t count_behind[SPLIT_HALF];
} pages;

static OWN_PAGE int file;

static void fill(unsigned char *at, size_t n, unsigned char from)
{
    for (size_t i = 0; i < n; i++) {
        at[i] = from + i;
    }
}

static void expect(const unsigned char *at, size_t n, unsigned char from)
{
    for (size_t i = 0; i < n; i++) {
        CHECK(at[i] == (unsigned char)(from + i));
    }
}

static void by_pipe(struct mine *m, int n)
{
    fill(m->out, BUFFER, n);
    CHECK(write(m->pipe[1], m->out, BUFFER) == BUFFER);
    m->poll = (struct pollfd){.fd = m->pipe[0], .events = POLLIN};
    CHECK(poll(&m->poll, 1, -1) == 1 && m->poll.revents == POLLIN);
    CHECK(read(m->pipe[0], m->in, BUFFER) == BUFFER);
    expect(m->in, BUFFER, n);
}

/* Parts of two pages, the list of them in one as well. */
static void by_parts(struct mine *m, int me, int n)
{
    unsigned char *spread = pages.spread[me];

    fill(m->out, BUFFER, n);
    fill(spread, 100, n + 1);
    m->iov[0] = (struct iovec){m->out, BUFFER};
    m->iov[1] = (struct iovec){spread, 100};
    m->iov[2] = (struct iovec){m->out + 5, 1};
    CHECK(writev(m->pipe[1], m->iov, 3) == BUFFER + 101);
    m->iov[0] = (struct iovec){spread, 100};
    m->iov[1] = (struct iovec){m->in, BUFFER};
    m->iov[2] = (struct iovec){pages.across[me], 1};
    CHECK(readv(m->pipe[0], m->iov, 3) == BUFFER + 101);
    expect(spread, BUFFER, n);
    expect(spread + BUFFER, 4, n + 1);
    expect(m->in, BUFFER, n + 5);
    CHECK(pages.across[me][0] == (unsigned char)(n + 5));
}

static void by_file(struct mine *m, int me, int n)
{
    off_t at = me * 1000 + n;

    fill(m->out, BUFFER, n);
    CHECK(pwrite(file, m->out, BUFFER, at) == BUFFER);
    memset(m->in, 0, BUFFER);
    CHECK(pread(file, m->in + 3, BUFFER - 3, at) == BUFFER - 3);
    expect(m->in + 3, BUFFER - 3, n);
    CHECK(fstat(file, &m->stat) == 0 && m->stat.st_size >= at + BUFFER);
}

static void by_socket(struct mine *m, int n)
{
    fill(m->out, BUFFER, n);
    CHECK(send(m->pair[0], m->out, BUFFER - 1, 0) == BUFFER - 1);
    CHECK(recv(m->pair[1], m->in, BUFFER, 0) == BUFFER - 1);
    expect(m->in, BUFFER - 1, n);
}

static void times_and_random(struct mine *m)
{
    int64_t before = guest_now_ns(CLOCK_MONOTONIC), now;
    int other = 0;

    CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &m->time) == 0);
    now = (int64_t)m->time.tv_sec * 1000000000 + m->time.tv_nsec;
    CHECK(before <= now && now <= guest_now_ns(CLOCK_MONOTONIC));
    m->time = (struct timespec){.tv_nsec = 1000};
    CHECK(nanosleep(&m->time, NULL) == 0);
    memset(m->in, 0, BUFFER);
    CHECK(getrandom(m->in, BUFFER, 0) == BUFFER);
    for (int i = 0; i < BUFFER; i++) {
        other += m->in[i] != 0;
    }
    CHECK(other > BUFFER / 2);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    if (me >= SPLIT_HALF) {
        split_count(&pages.count[me - SPLIT_HALF]);
        return NULL;
    }
    struct mine *m = &pages.mine[me];

    split_warm(&m->count);
    CHECK(pipe(m->pipe) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, m->pair) == 0);
    for (int n = 1; n <= ROUNDS; n++) {
        by_pipe(m, n);
        m->last = n;
        by_parts(m, me, n);
        by_file(m, me, n);
        by_socket(m, n);
        times_and_random(m);
        CHECK(m->count++ == (uint64_t)n - 1 && m->last == (uint64_t)n);
    }
    atomic_fetch_add(&split_done, 1);
    return NULL;
}

/* The second half: thread k reads into the page, thread k + SPLIT_HALF lets it wait, counts in the
 * same page meanwhile, and writes out of it. */
static void waits(int k, int n)
{
    struct mine *m = &pages.mine[k];

    CHECK(read(m->pipe[0], m->in, BUFFER) == BUFFER);
    expect(m->in, BUFFER, n + k);
    fill(m->out, BUFFER, ~n);
    CHECK(write(m->pair[0], m->out, BUFFER) == BUFFER);
}

static void keeps_waiting(int k, int n)
{
    struct mine *m = &pages.mine[k];
    int64_t end = guest_now_ns(CLOCK_MONOTONIC) + 5 * 1000000;

    do { /* at least once, however late it is */
        pages.count[k] = split_steps(&m->last, m->last);
        split_steps(&pages.count_behind[k], pages.count_behind[k]);
    } while (guest_now_ns(CLOCK_MONOTONIC) < end);
    fill(pages.across[k], BUFFER, n + k);
    CHECK(write(m->pipe[1], pages.across[k], BUFFER) == BUFFER);
    CHECK(read(m->pair[1], pages.across[k], BUFFER) == BUFFER);
    expect(pages.across[k], BUFFER, ~n);
    CHECK(pages.count[k] == m->last);
}

static void *waiter(void *arg)
{
    int me = (intptr_t)arg;

    for (int n = 1; n <= WAITS; n++) {
        if (me < SPLIT_HALF) {
            waits(me, n);
        } else {
            keeps_waiting(me - SPLIT_HALF, n);
        }
    }
    return NULL;
}

int main(void)
{
    file = guest_tmpfile();
    guest_run(SPLIT_THREADS, worker);
    guest_run(SPLIT_THREADS, waiter);
    printf("split_buffers: %d rounds, %d waits\n", ROUNDS, WAITS);
    return 0;
}
