/*
 * The TCP transport: its table of operations.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/tcp.h"

#include <errno.h>
#include <unistd.h>

static void links_called(struct dq_transport *t)
{
    for (int i = 0; i < t->cfg.nodes; i++) {
        dq_tcp_link_called(&dq_tcp_of(t)->links[i]);
    }
}

static struct dq_transport *tcp_create(struct event_base *base,
                                       const struct dq_transport_config *cfg,
                                       const struct dq_transport_events *events, void *ctx)
{
    struct dq_tcp *tcp = g_new0(struct dq_tcp, 1);
    int err = dq_transport_open(&tcp->common, base, cfg, events, ctx, links_called);

    if (err) {
        g_free(tcp);
        errno = -err;
        return NULL;
    }
    tcp->listen_fd = -1;
    tcp->links = g_new0(struct dq_tcp_link, cfg->nodes);
    for (int i = 0; i < cfg->nodes; i++) {
        dq_tcp_link_init(&tcp->links[i], &tcp->common, i);
    }
    g_queue_init(&tcp->dialled);
    g_queue_init(&tcp->strangers);
    dq_tcp_contact_start(&tcp->common);
    return &tcp->common;
}

static int tcp_connect(struct dq_transport *t, const struct dq_peer_addr *peers)
{
    return dq_transport_dial(t, peers, dq_tcp_join_dial);
}

static int tcp_send(struct dq_transport *t, int to, unsigned type, const void *body, size_t length,
                    const void *pages, unsigned count)
{
    struct dq_frame f;
    struct iovec iov[3];
    int pieces = dq_transport_frame(&f, iov, to, type, body, length, pages, count);

    if (to == t->cfg.node) {
        dq_transport_self_send(t, iov, pieces, sizeof(f) + f.length);
        return 0;
    }
    return dq_tcp_link_send(&dq_tcp_of(t)->links[to], iov, pieces, sizeof(f) + f.length);
}

static void flush_link(struct dq_transport *t, int node)
{
    dq_tcp_link_flush(&dq_tcp_of(t)->links[node]);
}

static bool tcp_flush(struct dq_transport *t)
{
    return dq_transport_turn_ends(t, flush_link);
}

static void tcp_destroy(struct dq_transport *t)
{
    struct dq_tcp *tcp = dq_tcp_of(t);

    dq_tcp_join_close(t);
    for (int i = 0; i < t->cfg.nodes; i++) {
        dq_tcp_link_close(&tcp->links[i]);
    }
    dq_transport_close(t);
    g_free(tcp->links);
    g_free(tcp);
}

static void tcp_forked(struct dq_transport *t)
{
    dq_tcp_join_forked(t);
    for (int i = 0; i < t->cfg.nodes; i++) {
        if (dq_tcp_of(t)->links[i].fd >= 0) {
            close(dq_tcp_of(t)->links[i].fd);
        }
    }
    dq_transport_forked(t);
}

const struct dq_transport_ops dq_transport_tcp = {
    .name = "tcp",
    .create = tcp_create,
    .listen = dq_tcp_join_listen,
    .connect = tcp_connect,
    .why = dq_transport_why,
    .send = tcp_send,
    .deliver = dq_transport_deliver,
    .flush = tcp_flush,
    .traffic = dq_transport_traffic,
    .destroy = tcp_destroy,
    .forked = tcp_forked,
};
