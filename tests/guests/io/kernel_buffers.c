/*
 * Buffers of system calls wherever their pages are: owned by a thread of another node, not touched
 * yet, or half of them. Calls of many kinds find and fill them; what a call leaves alone in its buffer
 * stays as it was, also while another thread writes there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>

enum { PAGES = 8, LENGTH = PAGES * GUEST_PAGE, ROUNDS = 20, BESIDE = 2000 };

/* All that the calls get; another thread has written to its even pages last. */
static char *area;

static void *own_even_pages(void *arg)
{
    for (int p = 0; p < PAGES; p += 2) {
        memset(area + p * GUEST_PAGE, 'e', GUEST_PAGE);
    }
    return arg;
}

/* The odd pages are untouched. */
static void scatter(void)
{
    CHECK(madvise(area, LENGTH, MADV_DONTNEED) == 0);
    guest_elsewhere(own_even_pages, NULL);
}

static bool is_filled(const char *from, char with, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (from[i] != with) {
            return false;
        }
    }
    return true;
}

static void files(int fd)
{
    struct iovec in[3] = {{area + 100, GUEST_PAGE}, {area + 2 * GUEST_PAGE, 10}, {NULL, 0}};
    struct iovec out[2] = {{area, GUEST_PAGE + 1}, {area + 4 * GUEST_PAGE - 1, 2}};

    scatter();
    CHECK(pwrite(fd, area, LENGTH, 0) == LENGTH);
    CHECK(pread(fd, area + GUEST_PAGE, GUEST_PAGE, 1) == GUEST_PAGE);
    CHECK(is_filled(area + GUEST_PAGE, 'e', GUEST_PAGE - 1) && area[2 * GUEST_PAGE - 1] == 0);
    scatter();
    CHECK(pwritev(fd, out, 2, 0) == GUEST_PAGE + 3);
    CHECK(preadv(fd, in, 3, 0) == GUEST_PAGE + 10);
    CHECK(is_filled(area, 'e', GUEST_PAGE + 100) && area[GUEST_PAGE + 100] == 0);
    CHECK(area[2 * GUEST_PAGE] == 0 && area[2 * GUEST_PAGE + 1] == 0);
    CHECK(area[2 * GUEST_PAGE + 2] == 'e' && area[2 * GUEST_PAGE + 3] == 0);
    CHECK(is_filled(area + 2 * GUEST_PAGE + 10, 'e', GUEST_PAGE - 10));
    scatter();
    CHECK(lseek(fd, LENGTH - 5, SEEK_SET) == LENGTH - 5);
    CHECK(read(fd, area + GUEST_PAGE - 2, LENGTH - GUEST_PAGE) == 5);
    CHECK(is_filled(area + 2 * GUEST_PAGE, 'e', GUEST_PAGE));
}

static void sockets(int a, int b)
{
    struct iovec piece = {area + GUEST_PAGE - 8, 3 * GUEST_PAGE};
    struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1};
    struct sockaddr_storage *name = (void *)(area + 5 * GUEST_PAGE);
    socklen_t *size = (void *)(area + 6 * GUEST_PAGE);
    int *type = (void *)(area + 7 * GUEST_PAGE);

    scatter();
    CHECK(send(a, "0123456789abcdef", 16, 0) == 16);
    CHECK(recvmsg(b, &m, 0) == 16);
    CHECK(memcmp(area + GUEST_PAGE - 8, "0123456789abcdef", 16) == 0);
    CHECK(area[GUEST_PAGE - 9] == 'e' && area[GUEST_PAGE + 8] == 0);
    CHECK(is_filled(area + 2 * GUEST_PAGE, 'e', GUEST_PAGE));
    piece.iov_len = 16;
    CHECK(sendmsg(b, &m, 0) == 16);
    CHECK(recv(a, area + 4 * GUEST_PAGE, GUEST_PAGE, 0) == 16);
    CHECK(memcmp(area + 4 * GUEST_PAGE, "0123456789abcdefe", 17) == 0);
    *size = sizeof(*name);
    CHECK(getsockname(a, (struct sockaddr *)name, size) == 0 && name->ss_family == AF_UNIX);
    *size = sizeof(*type);
    CHECK(getsockopt(a, SOL_SOCKET, SO_TYPE, type, size) == 0 && *type == SOCK_STREAM);
}

static void waiting(int a, int b)
{
    struct pollfd *p = (void *)(area + GUEST_PAGE - sizeof(*p));
    struct epoll_event *e = (void *)(area + 3 * GUEST_PAGE);
    fd_set *set = (void *)(area + 4 * GUEST_PAGE);
    struct timeval *tv = (void *)(area + 5 * GUEST_PAGE);
    int epoll = epoll_create1(0), *n = (void *)(area + 6 * GUEST_PAGE + 4);

    scatter();
    p[0] = (struct pollfd){.fd = a, .events = POLLIN};
    p[1] = (struct pollfd){.fd = b, .events = POLLIN};
    CHECK(write(a, "x", 1) == 1);
    CHECK(poll(p, 2, -1) == 1 && p[0].revents == 0 && p[1].revents == POLLIN);
    e[0] = (struct epoll_event){.events = EPOLLIN, .data.u32 = 4711};
    CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, b, &e[0]) == 0);
    CHECK(epoll_wait(epoll, &e[1], 5, -1) == 1 && e[1].data.u32 == 4711);
    CHECK(close(epoll) == 0);
    FD_ZERO(set);
    FD_SET(b, set);
    *tv = (struct timeval){.tv_sec = 10};
    CHECK(select(b + 1, set, NULL, NULL, tv) == 1 && FD_ISSET(b, set));
    CHECK(ioctl(b, FIONREAD, n) == 0 && *n == 1);
    CHECK(read(b, n, 1) == 1);
}

static void questions(int fd)
{
    struct stat *st = (void *)(area + GUEST_PAGE - 16);
    struct utsname *u = (void *)(area + 3 * GUEST_PAGE - 100);
    struct rlimit *limit = (void *)(area + 4 * GUEST_PAGE);
    char *name = area + 5 * GUEST_PAGE - 4;

    scatter();
    CHECK(fstat(fd, st) == 0 && st->st_size == LENGTH);
    CHECK(uname(u) == 0 && strcmp(u->sysname, "Linux") == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, limit) == 0 && limit->rlim_cur > 0);
    strcpy(name, "/dev/null");
    fd = open(name, O_RDWR);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK(readlink("/proc/self/cwd", area + 6 * GUEST_PAGE - 3, GUEST_PAGE) > 0);
    CHECK(is_filled(area + 7 * GUEST_PAGE - 3, 'e', 3));
    CHECK(getcwd(area + 6 * GUEST_PAGE - 1, GUEST_PAGE) && area[6 * GUEST_PAGE - 1] == '/');
}

static void spliced(void)
{
    struct iovec piece = {area + GUEST_PAGE - 4, 8};
    int ends[2];
    char got[8];

    scatter();
    CHECK(pipe(ends) == 0);
    CHECK(vmsplice(ends[1], &piece, 1, 0) == 8);
    CHECK(read(ends[0], got, 8) == 8 && memcmp(got, "eeee\0\0\0\0", 8) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void *try_all(void *arg)
{
    int fd = guest_tmpfile(), ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    files(fd);
    sockets(ends[0], ends[1]);
    waiting(ends[0], ends[1]);
    questions(fd);
    spliced();
    CHECK(close(fd) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
    return arg;
}

/* ---- beside what another thread writes */

static OWN_PAGE struct {
    char bytes[64];
    atomic_int counter;
} shared;
static int ends[2];

static void *count(void *arg)
{
    for (int i = 0; i < BESIDE; i++) {
        atomic_fetch_add(&shared.counter, 1);
    }
    return arg;
}

static void *receive(void *arg)
{
    struct iovec pieces[2] = {{shared.bytes, 4}, {shared.bytes + 4, sizeof(shared) - 4}};

    for (int i = 0; i < BESIDE / 10; i++) {
        CHECK(write(ends[1], "abcdefgh", 8) == 8);
        CHECK((i % 2 ? recv(ends[0], &shared, sizeof(shared), 0) : readv(ends[0], pieces, 2)) == 8);
    }
    return arg;
}

static void *receive_or_count(void *arg)
{
    return (intptr_t)arg % 2 ? receive(arg) : count(arg);
}

int main(void)
{
    area = guest_map(LENGTH, PROT_READ | PROT_WRITE);
    try_all(NULL);
    for (int i = 0; i < ROUNDS; i++) {
        guest_elsewhere(try_all, NULL);
        try_all(NULL);
    }
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    guest_run(2, receive_or_count);
    CHECK(atomic_load(&shared.counter) == BESIDE && memcmp(shared.bytes, "abcdefgh", 8) == 0);
    guest_elsewhere(count, NULL);
    receive(NULL);
    CHECK(atomic_load(&shared.counter) == 2 * BESIDE);
    puts("all buffers were found and filled");
}
