/*
 * How TCP peers meet: listening, dialling, and the handshake, until a connection becomes a
 * link or is dropped. The higher-numbered node of a pair connects to the lower-numbered one,
 * so that all can join a master which can reach none of them by itself.
 *
 * A stranger costs one descriptor and one struct for at most handshake_ms, and at most
 * MAX_STRANGERS of them exist.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <event2/event.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* All peers of the largest cluster at once, and as many who are none. */
#define MAX_STRANGERS (2 * DQ_MAX_NODES)
/* Accepted in one turn of the loop. */
#define ACCEPT_ROUNDS 16
/* How long to leave the listener alone when there are no descriptors left. */
static const struct timeval accept_pause = {0, 200 * 1000};

struct dq_tcp_join {
    struct dq_transport *t;
    GQueue *home; /* dialled or strangers */
    int fd;
    int error;       /* errno of connect() itself, told from the loop */
    bool connecting; /* the connection is not yet there */
    struct dq_auth auth;
    struct dq_tls *tls; /* the peer is proved; its record layer is being set up */
    struct event *io;
    struct event *deadline;
    char name[DQ_TRANSPORT_NAME]; /* the other end's address, for people */
};

/* ---- one connection */

static void tune(const struct dq_transport *t, int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    dq_tcp_contact_tune(t, fd);
}

/* Frees the join; its descriptor and record layer too, unless they were taken out before. */
static void join_free(struct dq_tcp_join *j)
{
    g_queue_remove(j->home, j);
    if (j->io) {
        event_free(j->io);
    }
    if (j->deadline) {
        event_free(j->deadline);
    }
    dq_tls_free(j->tls);
    if (j->fd >= 0) {
        close(j->fd);
    }
    g_free(j);
}

/* The connection comes to nothing; `why` is a clause about the other end. */
static void join_failed(struct dq_tcp_join *j, bool proved, const char *why)
{
    struct dq_transport *t = j->t;
    struct dq_tcp_link *l = NULL;
    char text[384];

    snprintf(text, sizeof(text), "%s", why);
    if (proved || j->home == &dq_tcp_of(t)->dialled) {
        l = &dq_tcp_of(t)->links[dq_auth_node(&j->auth)];
    } else {
        dq_transport_note(t, "dropped a connection from %s: %s", j->name, text);
    }
    join_free(j);
    if (l) {
        dq_tcp_link_lost(l, text);
    }
}

static void join_done(struct dq_tcp_join *j)
{
    struct dq_transport *t = j->t;
    struct dq_tcp_link *l = &dq_tcp_of(t)->links[dq_auth_node(&j->auth)];
    struct dq_tls *tls = j->tls;
    int fd = j->fd;

    j->fd = -1;
    j->tls = NULL;
    join_free(j);
    t->taken |= UINT64_C(1) << l->node;
    t->up++;
    dq_tcp_link_up(l, fd, tls);
    dq_transport_maybe_ready(t);
}

/* What the handshake has to say fits into the buffer of any new socket: no queue. */
static bool send_due(struct dq_tcp_join *j)
{
    const void *bytes;
    size_t length = dq_auth_take(&j->auth, &bytes);

    return length == 0 || send(j->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static void on_connected(struct dq_tcp_join *j)
{
    socklen_t length = sizeof(j->error);
    char why[256];

    if (!j->error) {
        getsockopt(j->fd, SOL_SOCKET, SO_ERROR, &j->error, &length);
    }
    if (j->error) {
        snprintf(why, sizeof(why), "cannot be reached at %s: %s", j->name, g_strerror(j->error));
        join_failed(j, false, why);
        return;
    }
    j->connecting = false;
    if (!send_due(j)) {
        join_failed(j, false, "closed the connection during the handshake");
    }
}

/* The record layer's handshake. False: the join is no more. */
static bool shake(struct dq_tcp_join *j)
{
    char why[256];

    switch (dq_tls_shake(j->tls)) {
    case 0:
        join_done(j);
        return false;
    case -EAGAIN:
        return true;
    case -ECONNRESET:
        join_failed(j, true, "closed the connection during the handshake");
        return false;
    default:
        snprintf(why, sizeof(why), "cannot agree on a protected connection: %s",
                 dq_tls_why(j->tls));
        join_failed(j, true, why);
        return false;
    }
}

/*
 * The peer is proved: no stranger to be pushed out any more, nor its number anybody else's, and
 * what goes wrong from here is its loss. False: the join is no more.
 */
static bool join_proved(struct dq_tcp_join *j)
{
    struct dq_transport *t = j->t;
    uint8_t key[DQ_AUTH_KEY_SIZE];

    if (t->cfg.protect == DQ_PROTECT_NONE) {
        join_done(j);
        return false;
    }
    g_queue_remove(j->home, j);
    j->home = &dq_tcp_of(t)->dialled;
    g_queue_push_tail(j->home, j);
    t->taken |= UINT64_C(1) << dq_auth_node(&j->auth);
    if (dq_auth_key(&j->auth, key) == 0) {
        j->tls = dq_tls_new(j->auth.cfg.role, t->cfg.protect, key, j->fd);
    }
    gnutls_memset(key, 0, sizeof(key));
    if (!j->tls) {
        join_failed(j, true, "cannot be reached safely: no TLS 1.2 with AES-GCM in this GnuTLS");
        return false;
    }
    return shake(j);
}

/* Feeds what has arrived. False: the join is no more. */
static bool receive(struct dq_tcp_join *j)
{
    uint8_t bytes[sizeof(struct dq_hello)];
    ssize_t n = recv(j->fd, bytes, dq_auth_wants(&j->auth), MSG_DONTWAIT);
    enum dq_auth_result result;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (n <= 0) {
        join_failed(j, false, "closed the connection during the handshake");
        return false;
    }
    result = dq_auth_feed(&j->auth, bytes, n);
    if (!send_due(j)) {
        join_failed(j, false, "closed the connection during the handshake");
        return false;
    }
    switch (result) {
    case DQ_AUTH_MORE:
        return true;
    case DQ_AUTH_DONE:
        return join_proved(j);
    case DQ_AUTH_STRANGER:
    case DQ_AUTH_REFUSED:
        join_failed(j, result == DQ_AUTH_REFUSED, dq_auth_why(&j->auth));
        return false;
    }
    return true;
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct dq_tcp_join *j = arg;

    (void)fd, (void)what;
    if (j->tls) {
        shake(j);
        return;
    }
    if (!j->connecting) {
        receive(j);
        return;
    }
    event_free(j->io);
    j->io = event_new(j->t->base, j->fd, EV_READ | EV_PERSIST, on_io, j);
    event_add(j->io, NULL);
    on_connected(j);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct dq_tcp_join *j = arg;
    char why[256];

    (void)fd, (void)what;
    if (j->error) {
        on_connected(j);
    } else if (j->connecting) {
        snprintf(why, sizeof(why), "cannot be reached at %s: no answer within %u ms", j->name,
                 j->t->cfg.handshake_ms);
        join_failed(j, false, why);
    } else {
        snprintf(why, sizeof(why), "did not finish the handshake within %u ms",
                 j->t->cfg.handshake_ms);
        join_failed(j, false, why);
    }
}

/* Takes over `fd`. `error`: it cannot connect; to be told from the loop, soon. NULL: no random. */
static struct dq_tcp_join *join_new(struct dq_transport *t, int fd, int peer,
                                    const struct sockaddr *sa, socklen_t length, int error)
{
    bool dialled = peer >= 0;
    struct dq_tcp_join *j = g_new0(struct dq_tcp_join, 1);
    struct timeval limit = {t->cfg.handshake_ms / 1000, t->cfg.handshake_ms % 1000 * 1000};
    struct timeval at_once = {0, 0};
    struct dq_auth_config cfg = dq_transport_auth(t, peer);

    j->t = t;
    j->home = dialled ? &dq_tcp_of(t)->dialled : &dq_tcp_of(t)->strangers;
    j->fd = fd;
    j->error = error;
    j->connecting = dialled;
    g_queue_push_tail(j->home, j);
    dq_transport_name(j->name, sa, length);
    if (dq_auth_open(&j->auth, &cfg)) {
        join_free(j);
        return NULL;
    }
    tune(t, fd);
    j->deadline = evtimer_new(t->base, on_deadline, j);
    evtimer_add(j->deadline, error ? &at_once : &limit);
    if (!error) {
        j->io = event_new(t->base, fd, dialled ? EV_WRITE : EV_READ | EV_PERSIST, on_io, j);
        event_add(j->io, NULL);
    }
    return j;
}

/* ---- dialling */

int dq_tcp_join_dial(struct dq_transport *t, int node, const struct dq_peer_addr *addr)
{
    struct sockaddr_storage sa;
    socklen_t length;
    int err = dq_address_read(addr->address, addr->port, &sa, &length);
    int fd, refused = 0;

    if (err) {
        return err;
    }
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (struct sockaddr *)&sa, length) && errno != EINPROGRESS) {
        refused = errno;
    }
    return join_new(t, fd, node, (struct sockaddr *)&sa, length, refused) ? 0 : -EIO;
}

/* ---- listening */

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
    struct dq_transport *t = arg;

    (void)fd, (void)what;
    event_add(dq_tcp_of(t)->acceptable, NULL);
}

static void drop_oldest_stranger(struct dq_transport *t)
{
    join_failed(g_queue_peek_head(&dq_tcp_of(t)->strangers), false,
                "too many connections have not proved themselves, this one for longest");
}

/*
 * Descriptors of low numbers are the guest's to expect free: a stranger's goes beyond the
 * listener's, which the node keeps out of the way.
 */
static int moved_beyond(int fd, int listen_fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, listen_fd);

    if (high < 0) {
        return fd;
    }
    close(fd);
    return high;
}

static void on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
    struct dq_transport *t = arg;

    (void)what;
    for (int i = 0; i < ACCEPT_ROUNDS; i++) {
        struct sockaddr_storage sa;
        socklen_t length = sizeof(sa);
        int fd = accept4(listen_fd, (struct sockaddr *)&sa, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                dq_transport_note(t, "cannot accept a connection: %s; trying again",
                                  g_strerror(errno));
                event_del(dq_tcp_of(t)->acceptable);
                evtimer_add(dq_tcp_of(t)->accept_again, &accept_pause);
            }
            return;
        }
        fd = moved_beyond(fd, listen_fd);
        if (g_queue_get_length(&dq_tcp_of(t)->strangers) >= MAX_STRANGERS) {
            drop_oldest_stranger(t);
        }
        if (!join_new(t, fd, -1, (struct sockaddr *)&sa, length, 0)) {
            dq_transport_note(t, "dropped a connection: no random numbers from GnuTLS");
        }
    }
}

static int bind_and_listen(int fd, struct sockaddr_storage *sa, socklen_t *length, bool any_port)
{
    int on = 1;

    /*
     * A fixed port must not be refused because connections of an earlier run linger in
     * TIME_WAIT. For a port of the kernel's choice the option would allow one that another
     * process has bound and not yet listened on.
     */
    if (!any_port && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))) {
        return -errno;
    }
    if (bind(fd, (struct sockaddr *)sa, *length) || listen(fd, DQ_MAX_NODES) ||
        getsockname(fd, (struct sockaddr *)sa, length)) {
        return -errno;
    }
    return 0;
}

int dq_tcp_join_listen(struct dq_transport *t, const char *address, uint16_t *port)
{
    struct sockaddr_storage sa;
    socklen_t length;
    int err = dq_address_read(address, *port, &sa, &length);
    int fd;

    if (err) {
        return err;
    }
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    err = bind_and_listen(fd, &sa, &length, *port == 0);
    if (err) {
        close(fd);
        return err;
    }
    dq_tcp_of(t)->listen_fd = fd;
    dq_tcp_of(t)->acceptable = event_new(t->base, fd, EV_READ | EV_PERSIST, on_acceptable, t);
    dq_tcp_of(t)->accept_again = evtimer_new(t->base, on_accept_again, t);
    event_add(dq_tcp_of(t)->acceptable, NULL);
    *port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                           : ((struct sockaddr_in *)&sa)->sin_port);
    return 0;
}

/* ---- the end */

void dq_tcp_join_close(struct dq_transport *t)
{
    while (!g_queue_is_empty(&dq_tcp_of(t)->dialled)) {
        join_free(g_queue_peek_head(&dq_tcp_of(t)->dialled));
    }
    while (!g_queue_is_empty(&dq_tcp_of(t)->strangers)) {
        join_free(g_queue_peek_head(&dq_tcp_of(t)->strangers));
    }
    if (dq_tcp_of(t)->listen_fd >= 0) {
        event_free(dq_tcp_of(t)->acceptable);
        event_free(dq_tcp_of(t)->accept_again);
        close(dq_tcp_of(t)->listen_fd);
    }
}

static void close_fd(gpointer join, gpointer unused)
{
    (void)unused;
    close(((struct dq_tcp_join *)join)->fd);
}

void dq_tcp_join_forked(struct dq_transport *t)
{
    g_queue_foreach(&dq_tcp_of(t)->dialled, close_fd, NULL);
    g_queue_foreach(&dq_tcp_of(t)->strangers, close_fd, NULL);
    if (dq_tcp_of(t)->listen_fd >= 0) {
        close(dq_tcp_of(t)->listen_fd);
    }
}
