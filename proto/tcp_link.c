/*
 * One proved peer over TCP: frames out from any thread, frames in on the loop, its loss.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/tcp.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"

/* Room for 30 pages with their frames: a burst is read with one system call. */
#define IN_BYTES (128u * 1024)
/* Less room than this behind a half-received frame is not worth a system call: move it down. */
#define IN_LEAST (16u * 1024)
/* Full buffers read before the other descriptors of the loop get their turn. */
#define IN_ROUNDS 4
/* Pieces in one writev: as much as a socket buffer takes at once. */
#define OUT_PIECES 32
/* The loop sends this much without waiting for the end of its turn: the peer has work then. */
#define GATHER_MOST (128u * 1024)

void dq_tcp_link_init(struct dq_tcp_link *l, struct dq_transport *t, int node)
{
    l->t = t;
    l->node = node;
    l->fd = -1;
    pthread_mutex_init(&l->lock, NULL);
}

/* ---- out */

static ssize_t send_some(int fd, struct iovec *iov, int count)
{
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;

    do {
        n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 && errno == EAGAIN ? 0 : n;
}

static void call_loop(struct dq_tcp_link *l)
{
    dq_transport_call(l->t);
}

/* With the lock. What the socket takes of `q`. Bytes, or -1. */
static ssize_t drain(struct dq_tcp_link *l, struct dq_sendq *q)
{
    struct iovec iov[OUT_PIECES];
    ssize_t sent = 0, n = 0;

    while (q->bytes > 0) {
        size_t want = 0;
        int count = dq_sendq_peek(q, iov, OUT_PIECES);

        for (int i = 0; i < count; i++) {
            want += iov[i].iov_len;
        }
        n = send_some(l->fd, iov, count);
        if (n < 0) {
            l->send_error = errno;
            return -1;
        }
        dq_sendq_drop(q, n);
        sent += n;
        if ((size_t)n < want) {
            break;
        }
    }
    return sent;
}

/*
 * With the lock, as send_queued(). Frames become records when the socket may take them, not
 * before: what has gathered until then goes into few large ones.
 */
static ssize_t send_sealed(struct dq_tcp_link *l)
{
    ssize_t sent = 0, n;

    do {
        if (dq_tls_seal(l->tls, &l->queue, &l->sealed, GATHER_MOST)) {
            l->send_error = EIO;
            return -1;
        }
        n = drain(l, &l->sealed);
        if (n < 0) {
            return -1;
        }
        sent += n;
        l->blocked = l->sealed.bytes > 0;
    } while (!l->blocked && l->queue.bytes > 0);
    return sent;
}

/* With the lock. What the socket takes of the queue; the rest waits for it. Bytes, or -1. */
static ssize_t send_queued(struct dq_tcp_link *l)
{
    ssize_t n;

    if (l->tls) {
        return send_sealed(l);
    }
    n = drain(l, &l->queue);
    l->blocked = l->queue.bytes > 0;
    return n;
}

/* With the lock, on a thread that wants it sent now. Bytes, or -1; the loop is told of a rest. */
static ssize_t send_now(struct dq_tcp_link *l, struct iovec *iov, int count, size_t length)
{
    ssize_t n = 0;

    if (l->queue.bytes == 0 && !l->tls) {
        n = send_some(l->fd, iov, count);
        if (n < 0) {
            l->send_error = errno;
        } else if ((size_t)n < length) {
            dq_sendq_push(&l->queue, iov, count, n);
            l->blocked = true;
        }
    } else {
        /* the loop may have gathered something: it goes first, and need not wait */
        dq_sendq_push(&l->queue, iov, count, 0);
        n = send_queued(l);
    }
    l->want_write |= l->blocked;
    return n;
}

int dq_tcp_link_send(struct dq_tcp_link *l, struct iovec *iov, int count, size_t length)
{
    bool gathers = dq_transport_gathers(l->t), call = false, flush = false;
    ssize_t n = 0;
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (l->state == DQ_TCP_LOST || l->send_error) {
        err = -ENOTCONN;
    } else if (l->state == DQ_TCP_UP && !l->blocked && !gathers) {
        n = send_now(l, iov, count, length);
        err = n < 0 ? -ENOTCONN : 0;
        call = n < 0 || l->want_write;
    } else {
        dq_sendq_push(&l->queue, iov, count, 0);
        flush = !l->blocked && l->queue.bytes >= GATHER_MOST;
    }
    pthread_mutex_unlock(&l->lock);
    if (n > 0) {
        atomic_fetch_add_explicit(&l->t->bytes_out, n, memory_order_relaxed);
    }
    if (gathers && flush) {
        dq_tcp_link_flush(l);
    } else if (gathers) {
        l->t->gathered |= UINT64_C(1) << l->node;
    }
    if (call) {
        call_loop(l);
    }
    return err;
}

void dq_tcp_link_flush(struct dq_tcp_link *l)
{
    ssize_t n = 0;

    pthread_mutex_lock(&l->lock);
    if (l->state == DQ_TCP_UP && !l->send_error) {
        n = send_queued(l);
        if (l->blocked) {
            event_add(l->writable, NULL);
        }
    }
    pthread_mutex_unlock(&l->lock);
    if (n > 0) {
        atomic_fetch_add_explicit(&l->t->bytes_out, n, memory_order_relaxed);
    } else if (n < 0) {
        call_loop(l);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    dq_tcp_link_flush(arg);
}

/* ---- in */

/* Bytes that the frame at in_start takes, as far as can be told yet. */
static size_t frame_bytes(const struct dq_tcp_link *l)
{
    struct dq_frame f;

    if (l->in_end - l->in_start < sizeof(f)) {
        return sizeof(f);
    }
    memcpy(&f, l->in + l->in_start, sizeof(f));
    return sizeof(f) + f.length;
}

static void move_down(struct dq_tcp_link *l)
{
    memmove(l->in, l->in + l->in_start, l->in_end - l->in_start);
    l->in_end -= l->in_start;
    l->in_start = 0;
}

/* Delivers the whole frames in the buffer. False if the link was lost. */
static bool deliver(struct dq_tcp_link *l)
{
    struct dq_transport *t = l->t;
    struct dq_frame f;
    char why[96];

    while (l->in_end - l->in_start >= sizeof(f)) {
        memcpy(&f, l->in + l->in_start, sizeof(f));
        if (dq_frame_check(&f)) {
            snprintf(why, sizeof(why), "sent a malformed message (type %u, %u bytes)",
                     (unsigned)f.type, (unsigned)f.length);
            dq_tcp_link_broken(l, why);
            return false;
        }
        if (l->in_end - l->in_start < sizeof(f) + f.length) {
            break;
        }
        if (l->in_start % 8) {
            /* Bodies are read as structs: they need their alignment. Odd lengths are rare. */
            move_down(l);
        }
        t->events.message(t->ctx, l->node, f.type, l->in + l->in_start + sizeof(f), f.length);
        l->in_start += sizeof(f) + f.length;
    }
    return true;
}

/* Frames seen so far are delivered; makes room for what comes, in whole and aligned. */
static void make_room(struct dq_tcp_link *l)
{
    size_t need = frame_bytes(l);

    if (l->in_start == l->in_end) {
        l->in_start = l->in_end = 0;
        if (l->in_size > IN_BYTES) {
            l->in = g_realloc(l->in, IN_BYTES);
            l->in_size = IN_BYTES;
        }
    }
    if (l->in_start > 0 && (l->in_start + need > l->in_size || l->in_size - l->in_end < IN_LEAST)) {
        move_down(l);
    }
    if (need > l->in_size) {
        l->in = g_realloc(l->in, need);
        l->in_size = need;
    }
}

/* Locked, because send on another thread may be the one that notices. */
static int send_error(struct dq_tcp_link *l)
{
    pthread_mutex_lock(&l->lock);
    int e = l->send_error;
    pthread_mutex_unlock(&l->lock);
    return e;
}

static void lost_by(struct dq_tcp_link *l, int error)
{
    char why[96];

    if (error == 0) {
        dq_tcp_link_lost(l, l->in_start == l->in_end
                                ? "connection closed"
                                : "connection closed in the middle of a message");
    } else if (error == ECONNRESET || error == EPIPE) {
        dq_tcp_link_lost(l, "connection reset");
    } else {
        snprintf(why, sizeof(why), "connection failed: %s", g_strerror(error));
        dq_tcp_link_broken(l, why);
    }
}

/* The records that have arrived. False if the link was lost. */
static bool read_records(struct dq_tcp_link *l)
{
    char why[192];
    ssize_t n;

    do {
        make_room(l);
        n = dq_tls_read(l->tls, l->in + l->in_end, l->in_size - l->in_end);
        if (n == -EAGAIN) {
            return true;
        }
        if (n < 0) {
            snprintf(why, sizeof(why), "its data was altered on the way (%s)", dq_tls_why(l->tls));
            dq_tcp_link_broken(l, why);
            return false;
        }
        l->in_end += n;
    } while (deliver(l));
    return false;
}

/* One read. True if there is probably more. */
static bool receive(struct dq_tcp_link *l)
{
    ssize_t n;
    bool full;

    if (l->tls) {
        n = dq_tls_receive(l->tls, &full);
    } else {
        size_t room;

        make_room(l);
        room = l->in_size - l->in_end;
        n = recv(l->fd, l->in + l->in_end, room, MSG_DONTWAIT);
        full = n > 0 && (size_t)n == room;
    }
    if (n > 0) {
        atomic_fetch_add_explicit(&l->t->bytes_in, n, memory_order_relaxed);
        if (l->tls) {
            return read_records(l) && full;
        }
        l->in_end += n;
        return deliver(l) && full;
    }
    if (n == 0) {
        /* A send that met the reset has eaten its error; what is left looks like an end. */
        lost_by(l, send_error(l));
    } else if (errno == EINTR) {
        return true;
    } else if (errno != EAGAIN) {
        lost_by(l, errno);
    }
    return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    for (int i = 0; i < IN_ROUNDS && receive(arg); i++) {
    }
}

/* ---- life */

void dq_tcp_link_up(struct dq_tcp_link *l, int fd, struct dq_tls *tls)
{
    l->in = g_malloc(IN_BYTES);
    l->in_size = IN_BYTES;
    l->readable = event_new(l->t->base, fd, EV_READ | EV_PERSIST, on_readable, l);
    l->writable = event_new(l->t->base, fd, EV_WRITE, on_writable, l);
    event_add(l->readable, NULL);
    pthread_mutex_lock(&l->lock);
    l->fd = fd;
    l->tls = tls;
    l->state = DQ_TCP_UP;
    pthread_mutex_unlock(&l->lock);
    dq_tcp_link_flush(l);
}

/* Everything but the lock, which a late sender may still take. */
static void release(struct dq_tcp_link *l)
{
    if (l->readable) {
        event_free(l->readable);
        event_free(l->writable);
        l->readable = l->writable = NULL;
    }
    pthread_mutex_lock(&l->lock);
    l->state = DQ_TCP_LOST;
    if (l->fd >= 0) {
        close(l->fd);
        l->fd = -1;
    }
    dq_sendq_clear(&l->queue);
    dq_sendq_clear(&l->sealed);
    g_clear_pointer(&l->tls, dq_tls_free);
    pthread_mutex_unlock(&l->lock);
    g_clear_pointer(&l->in, g_free);
    l->in_start = l->in_end = 0;
}

static void lose(struct dq_tcp_link *l, dq_transport_loss *tell, const char *why)
{
    if (l->state == DQ_TCP_LOST) {
        return;
    }
    release(l);
    tell(l->t, l->node, why);
}

void dq_tcp_link_lost(struct dq_tcp_link *l, const char *why)
{
    lose(l, dq_transport_lost, why);
}

void dq_tcp_link_broken(struct dq_tcp_link *l, const char *why)
{
    lose(l, dq_transport_broken, why);
}

/* A send has failed, perhaps on another thread: reads what the peer still said, then ends it. */
static void end_if_broken(struct dq_tcp_link *l)
{
    int error = send_error(l);

    if (!error) {
        return;
    }
    while (l->state == DQ_TCP_UP && receive(l)) {
    }
    lost_by(l, error);
}

void dq_tcp_link_called(struct dq_tcp_link *l)
{
    bool write;

    pthread_mutex_lock(&l->lock);
    write = l->want_write;
    l->want_write = false;
    pthread_mutex_unlock(&l->lock);
    if (l->state != DQ_TCP_UP) {
        return;
    }
    if (write) {
        dq_tcp_link_flush(l);
    }
    end_if_broken(l);
}

void dq_tcp_link_close(struct dq_tcp_link *l)
{
    if (l->state == DQ_TCP_UP) {
        dq_tcp_link_flush(l);
    }
    release(l);
    pthread_mutex_destroy(&l->lock);
}
