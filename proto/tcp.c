/*
 * The TCP transport: its table of operations, the wake-up of the loop, messages to oneself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/tcp.h"

#include <errno.h>
#include <event2/event.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/frame.h"

/* A queue to oneself that has grown beyond this gives its memory back when it is empty. */
#define SELF_KEEP (1u << 20)

/* The transport that this thread is the loop of, once it has had a turn. */
static _Thread_local const struct dq_transport *turning;

bool dq_tcp_gathers(const struct dq_transport *t)
{
    return turning == t;
}

/* ---- the loop's attention */

void dq_tcp_wake(struct dq_transport *t)
{
    uint64_t one = 1;

    /* An eventfd holds 2^64 - 2: with one write per wake-up it never refuses. */
    if (!atomic_exchange(&t->woken, true) && write(t->wake_fd, &one, sizeof(one)) < 0) {
        perror("dqemu: eventfd");
        abort();
    }
}

void dq_tcp_maybe_ready(struct dq_transport *t)
{
    if (t->connecting && !t->ready && t->up == t->cfg.nodes - 1) {
        t->ready = true;
        t->events.ready(t->ctx);
    }
}

static size_t padded(size_t length)
{
    return (length + 7) & ~(size_t)7;
}

static void self_send(struct dq_transport *t, const struct iovec *iov, int count, size_t length)
{
    static const uint8_t zeroes[8];

    pthread_mutex_lock(&t->self_lock);
    for (int i = 0; i < count; i++) {
        g_byte_array_append(t->self_in, iov[i].iov_base, iov[i].iov_len);
    }
    g_byte_array_append(t->self_in, zeroes, padded(length) - length);
    pthread_mutex_unlock(&t->self_lock);
    if (!dq_tcp_gathers(t)) {
        dq_tcp_wake(t);
    }
}

/* What is sent while this runs waits for the next turn of the loop: sockets get theirs too. */
static bool self_deliver(struct dq_transport *t)
{
    GByteArray *todo;
    bool any;

    pthread_mutex_lock(&t->self_lock);
    todo = t->self_in;
    t->self_in = t->self_out;
    pthread_mutex_unlock(&t->self_lock);

    any = todo->len > 0;
    for (size_t at = 0; at < todo->len;) {
        struct dq_frame f;

        memcpy(&f, todo->data + at, sizeof(f));
        t->events.message(t->ctx, t->cfg.node, f.type, todo->data + at + sizeof(f), f.length);
        at += padded(sizeof(f) + f.length);
    }
    if (todo->len > SELF_KEEP) {
        g_byte_array_unref(todo);
        todo = g_byte_array_new();
    }
    g_byte_array_set_size(todo, 0);
    t->self_out = todo;
    return any;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct dq_transport *t = arg;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) < 0) {
        return;
    }
    /* From here on a new call writes again: nothing that comes after the looks below is missed. */
    atomic_store(&t->woken, false);
    if (atomic_exchange(&t->links_call, false)) {
        for (int i = 0; i < t->cfg.nodes; i++) {
            dq_tcp_link_called(&t->links[i]);
        }
    }
    self_deliver(t);
    dq_tcp_maybe_ready(t);
}

/* ---- the operations */

static struct dq_transport *tcp_create(struct event_base *base,
                                       const struct dq_transport_config *cfg,
                                       const struct dq_transport_events *events, void *ctx)
{
    struct dq_transport *t;
    int fd;

    if (cfg->nodes < 1 || cfg->nodes > DQ_MAX_NODES || cfg->node < 0 || cfg->node >= cfg->nodes ||
        strlen(cfg->build_id) >= DQ_BUILD_ID_SIZE || cfg->protect >= DQ_PROTECT_COUNT) {
        errno = EINVAL;
        return NULL;
    }
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return NULL;
    }
    t = g_new0(struct dq_transport, 1);
    t->cfg = *cfg;
    t->cfg.build_id = t->build_id = g_strdup(cfg->build_id);
    t->events = *events;
    t->ctx = ctx;
    t->base = base;
    t->listen_fd = -1;
    /* Only higher numbers connect to this node. */
    t->taken = (UINT64_C(2) << cfg->node) - 1;
    t->links = g_new0(struct dq_tcp_link, cfg->nodes);
    for (int i = 0; i < cfg->nodes; i++) {
        dq_tcp_link_init(&t->links[i], t, i);
    }
    pthread_mutex_init(&t->self_lock, NULL);
    t->self_in = g_byte_array_new();
    t->self_out = g_byte_array_new();
    g_queue_init(&t->dialled);
    g_queue_init(&t->strangers);
    t->wake_fd = fd;
    t->wake = event_new(base, fd, EV_READ | EV_PERSIST, on_wake, t);
    event_add(t->wake, NULL);
    dq_tcp_contact_start(t);
    return t;
}

static int tcp_connect(struct dq_transport *t, const struct dq_peer_addr *peers)
{
    t->connecting = true;
    for (int i = 0; i < t->cfg.node; i++) {
        int err = dq_tcp_join_dial(t, i, &peers[i]);

        if (err) {
            return err;
        }
    }
    /* All may have come already, or there are none: ready() is called from the loop. */
    dq_tcp_wake(t);
    return 0;
}

static int tcp_send(struct dq_transport *t, int to, unsigned type, const void *body, size_t length,
                    const void *pages, unsigned count)
{
    const size_t more = (size_t)count * DQ_PAGE_SIZE;
    struct dq_frame f = {.length = length + more, .type = type};
    struct iovec iov[] = {
        {&f, sizeof(f)},
        {(void *)body, length},
        {(void *)pages, more},
    };

    if (length > DQ_MAX_BODY || type > UINT16_MAX || dq_frame_check(&f)) {
        fprintf(stderr, "dqemu: bug: message %s (%u) with %zu bytes and %u pages to node %d\n",
                dq_msg_name(type), type, length, count, to);
        abort();
    }
    if (to == t->cfg.node) {
        self_send(t, iov, count ? 3 : 2, sizeof(f) + f.length);
        return 0;
    }
    return dq_tcp_link_send(&t->links[to], iov, count ? 3 : 2, sizeof(f) + f.length);
}

static bool tcp_flush(struct dq_transport *t)
{
    bool more;

    turning = t;
    for (uint64_t left = t->gathered; left; left &= left - 1) {
        dq_tcp_link_flush(&t->links[__builtin_ctzll(left)]);
    }
    t->gathered = 0;
    pthread_mutex_lock(&t->self_lock);
    more = t->self_in->len > 0;
    pthread_mutex_unlock(&t->self_lock);
    return more;
}

static void tcp_traffic(struct dq_transport *t, uint64_t *bytes_in, uint64_t *bytes_out)
{
    *bytes_in = atomic_load_explicit(&t->bytes_in, memory_order_relaxed);
    *bytes_out = atomic_load_explicit(&t->bytes_out, memory_order_relaxed);
}

static void tcp_destroy(struct dq_transport *t)
{
    dq_tcp_join_close(t);
    for (int i = 0; i < t->cfg.nodes; i++) {
        dq_tcp_link_close(&t->links[i]);
    }
    dq_tcp_contact_stop(t);
    event_free(t->wake);
    close(t->wake_fd);
    pthread_mutex_destroy(&t->self_lock);
    g_byte_array_unref(t->self_in);
    g_byte_array_unref(t->self_out);
    gnutls_memset(t->cfg.secret, 0, sizeof(t->cfg.secret));
    g_free(t->links);
    g_free(t->build_id);
    g_free(t);
}

static void tcp_forked(struct dq_transport *t)
{
    dq_tcp_join_forked(t);
    for (int i = 0; i < t->cfg.nodes; i++) {
        if (t->links[i].fd >= 0) {
            close(t->links[i].fd);
        }
    }
    close(t->wake_fd);
}

const struct dq_transport_ops dq_transport_tcp = {
    .name = "tcp",
    .create = tcp_create,
    .listen = dq_tcp_join_listen,
    .connect = tcp_connect,
    .send = tcp_send,
    .deliver = self_deliver,
    .flush = tcp_flush,
    .traffic = tcp_traffic,
    .destroy = tcp_destroy,
    .forked = tcp_forked,
};
