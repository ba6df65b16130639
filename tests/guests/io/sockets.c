/*
 * Sockets between threads: a TCP server with a thread per connection and its clients, a datagram
 * socket pair, descriptors and credentials passed as ancillary data, and scattered messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest.h"

enum { CLIENTS = 4, REQUESTS = 15, BODY = 6000 };

static struct sockaddr_in address;
static int listener;
static atomic_int served;

static void transfer(int fd, void *data, size_t n, bool out)
{
    for (char *p = data; n > 0;) {
        ssize_t got = out ? send(fd, p, n, MSG_NOSIGNAL) : recv(fd, p, n, 0);
        CHECK(got > 0);
        p += got;
        n -= got;
    }
}

static void *serve(void *arg)
{
    int fd = (intptr_t)arg;
    unsigned char body[BODY];

    for (int i = 0; i < REQUESTS; i++) {
        transfer(fd, body, BODY, false);
        for (int k = 0; k < BODY; k++) {
            body[k] ^= 0x5a;
        }
        transfer(fd, body, BODY, true);
    }
    CHECK(recv(fd, body, 1, 0) == 0);
    CHECK(close(fd) == 0);
    atomic_fetch_add(&served, 1);
    return NULL;
}

static void *worker(void *arg)
{
    intptr_t me = (intptr_t)arg;

    if (me == 0) {
        pthread_t threads[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
            struct sockaddr_in from;
            socklen_t length = sizeof(from);
            intptr_t fd = accept4(listener, (struct sockaddr *)&from, &length, SOCK_CLOEXEC);
            CHECK(fd >= 0 && length == sizeof(from) && from.sin_family == AF_INET);
            CHECK(pthread_create(&threads[i], NULL, serve, (void *)fd) == 0);
        }
        guest_join(threads, CLIENTS);
        return NULL;
    }
    unsigned char body[BODY];
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
    for (int i = 0; i < REQUESTS; i++) {
        for (int k = 0; k < BODY; k++) {
            body[k] = me * 3 + i + k;
        }
        transfer(fd, body, BODY, true);
        transfer(fd, body, BODY, false);
        for (int k = 0; k < BODY; k++) {
            CHECK(body[k] == (unsigned char)((me * 3 + i + k) ^ 0x5a));
        }
    }
    CHECK(shutdown(fd, SHUT_WR) == 0);
    CHECK(close(fd) == 0);
    return NULL;
}

/* Receives a message in two parts with a descriptor attached, and writes to that descriptor. */
static void *receive_fd(void *arg)
{
    int fd = (intptr_t)arg, passed;
    char a[4], b[40], control[CMSG_SPACE(sizeof(int))];
    struct iovec parts[] = {{a, sizeof(a)}, {b, sizeof(b)}};
    struct msghdr message = {
        .msg_iov = parts,
        .msg_iovlen = 2,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };

    CHECK(recvmsg(fd, &message, 0) == 11);
    CHECK(memcmp(a, "two ", 4) == 0 && memcmp(b, "halves.", 7) == 0);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    CHECK(c && c->cmsg_type == SCM_RIGHTS);
    memcpy(&passed, CMSG_DATA(c), sizeof(passed));
    CHECK(write(passed, "through", 7) == 7);
    CHECK(close(passed) == 0);
    return NULL;
}

static void ancillary(void)
{
    int pair[2], pipe_fds[2];
    pthread_t thread;
    char control[CMSG_SPACE(sizeof(int))] = {0}, text[8];
    struct iovec part = {"two halves.", 11};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };

    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && pipe(pipe_fds) == 0);
    CHECK(pthread_create(&thread, NULL, receive_fd, (void *)(intptr_t)pair[1]) == 0);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pipe_fds[1], sizeof(int));
    CHECK(sendmsg(pair[0], &message, 0) == 11);
    CHECK(close(pipe_fds[1]) == 0);
    CHECK(read(pipe_fds[0], text, 8) == 7 && memcmp(text, "through", 7) == 0);
    CHECK(read(pipe_fds[0], text, 8) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
    socklen_t length = sizeof(address);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0);
    CHECK(listen(listener, CLIENTS) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    guest_run(1 + CLIENTS, worker);
    ancillary();
    printf("sockets: %d clients served\n", served);
    return 0;
}
