/*
 * The descriptors that are ours, and where they lie: at and above the guest's limit of open files, but
 * below the hard one. The guest gets none of these numbers, and has all below. Only when it raises its
 * limit afterwards, or had no room above it from the start, do ours lie among its own, where they are
 * hidden (dq_node_owns_fd()).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dqemu/node.h"
#include "dqemu/runtime.h"

/* More than a node of the largest run needs: 20, and two for each peer. */
#define ROOM 256

/* The kernel's table has 8 bytes for each number up to the last, and is copied at each fork. */
#define MOST_FIRST 65536

/* What is opened between begin and end is found below `first` + LISTED. */
#define LISTED 4096

/* A bit each; atomic, since guest threads look while a file is opened for us. */
#define MOST_OWN (MOST_FIRST + LISTED)
static uint64_t own[MOST_OWN / 64];

/* Since dq_node_fds_begin(). */
static struct {
    bool active;
    struct rlimit limit; /* the guest's */
    int first;           /* the least number for ours */
    int *taken;          /* numbers below it that were free; -1 ends them */
    uint64_t before[LISTED / 64];
} span;

/* ---- which are ours ---- */

bool dq_node_owns_fd(int fd)
{
    return fd >= 0 && fd < MOST_OWN &&
           __atomic_load_n(&own[fd / 64], __ATOMIC_ACQUIRE) >> fd % 64 & 1;
}

int dq_node_next_own_fd(unsigned from)
{
    for (unsigned word = from / 64; word < MOST_OWN / 64; word++) {
        uint64_t bits = __atomic_load_n(&own[word], __ATOMIC_ACQUIRE);

        if (word == from / 64) {
            bits &= UINT64_MAX << from % 64;
        }
        if (bits) {
            return (int)(word * 64) + __builtin_ctzll(bits);
        }
    }
    return -1;
}

static void own_descriptor(int fd)
{
    if (fd >= 0 && fd < MOST_OWN) {
        __atomic_fetch_or(&own[fd / 64], UINT64_C(1) << fd % 64, __ATOMIC_RELEASE);
    }
}

void dq_node_fds_forked(void)
{
    memset(own, 0, sizeof(own));
}

/* ---- where they lie ---- */

/* Where there is too little room above the guest's limit, the upper end of what there is. */
static int least_descriptor(const struct rlimit *limit)
{
    rlim_t hard = limit->rlim_max, first = limit->rlim_cur;

    if (hard - first < ROOM) {
        first = MAX(hard / 2, hard - MIN(hard, ROOM));
    }
    return (int)MAX((rlim_t)3, MIN(first, (rlim_t)MOST_FIRST));
}

/* Make numbers from `first` on possible for a while. */
static void raise_limit(const struct rlimit *limit, int first)
{
    struct rlimit raised = *limit;

    raised.rlim_cur = MIN(limit->rlim_max, MAX(limit->rlim_cur, (rlim_t)first + LISTED));
    setrlimit(RLIMIT_NOFILE, &raised);
}

static int move_above(int fd, int first)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, first);

    if (high >= 0) {
        close(fd);
        return high;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

int dq_node_high_fd(int fd)
{
    struct rlimit limit;

    if (fd < 0) {
        return fd;
    }
    if (span.active) {
        fd = move_above(fd, span.first);
    } else if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        int first = least_descriptor(&limit);

        raise_limit(&limit, first);
        fd = move_above(fd, first);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    own_descriptor(fd);
    return fd;
}

/* ---- libraries ---- */

/* The descriptors from span.first on that are open. */
static void list_descriptors(uint64_t *open)
{
    memset(open, 0, LISTED / 8);
    for (int i = 0; i < LISTED; i++) {
        if (fcntl(span.first + i, F_GETFD) >= 0) {
            open[i / 64] |= UINT64_C(1) << i % 64;
        }
    }
}

/* While the low numbers are taken, what libraries open is high. */
static int *occupy_low(int least)
{
    int n = 0;
    int *taken = g_new(int, least + 1);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && fd < least) {
        taken[n++] = fd;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    taken[n] = -1;
    return taken;
}

static void release_low(int *taken)
{
    for (int *fd = taken; *fd >= 0; fd++) {
        close(*fd);
    }
    g_free(taken);
}

void dq_node_fds_begin(bool guest)
{
    if (getrlimit(RLIMIT_NOFILE, &span.limit) < 0) {
        return;
    }
    span.first = guest ? least_descriptor(&span.limit) : 3;
    span.active = true;
    raise_limit(&span.limit, span.first);
    list_descriptors(span.before);
    span.taken = occupy_low(span.first);
}

void dq_node_fds_end(void)
{
    uint64_t now[LISTED / 64];

    if (!span.active) {
        return;
    }
    release_low(span.taken);
    list_descriptors(now);
    for (int i = 0; i < LISTED; i++) {
        if ((now[i / 64] & ~span.before[i / 64]) >> i % 64 & 1) {
            own_descriptor(span.first + i);
        }
    }
    setrlimit(RLIMIT_NOFILE, &span.limit);
    span.active = false;
}
