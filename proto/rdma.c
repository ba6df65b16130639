/*
 * The RDMA transport: its table of operations.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/rdma.h"

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

/* How long leaving waits for the network to take the last words, in microseconds. */
#define LAST_WORDS_US (500 * 1000)
#define SPIN_START_NS 1000u
/* Completions looked at in a turn of the loop that has other things to do. */
#define GLANCE_MOST 16u

static void links_called(struct dq_transport *t)
{
    for (int i = 0; i < t->cfg.nodes; i++) {
        dq_rdma_link_called(&dq_rdma_of(t)->links[i]);
    }
}

static struct dq_transport *rdma_create(struct event_base *base,
                                        const struct dq_transport_config *cfg,
                                        const struct dq_transport_events *events, void *ctx)
{
    struct dq_rdma *r = g_new0(struct dq_rdma, 1);
    int err = dq_transport_open(&r->common, base, cfg, events, ctx, links_called);

    if (err) {
        g_free(r);
        errno = -err;
        return NULL;
    }
    /*
     * Before any device is opened: what the libraries share with it then is not the child's.
     * Kernels that need no help say so; without it our own memory is safe nevertheless.
     */
    (void)ibv_fork_init();
    r->peers = (unsigned)cfg->nodes - 1;
    r->conn_most = 2 * r->peers + DQ_RDMA_STRANGERS;
    r->conns = g_new0(struct dq_rdma_conn *, r->conn_most);
    r->by_qp = g_hash_table_new(NULL, NULL);
    r->spins = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    r->spin_ns = SPIN_START_NS;
    g_queue_init(&r->strangers);
    r->links = g_new0(struct dq_rdma_link, cfg->nodes);
    for (int i = 0; i < cfg->nodes; i++) {
        dq_rdma_link_init(&r->links[i], r, i);
    }
    return &r->common;
}

static int rdma_connect_all(struct dq_transport *t, const struct dq_peer_addr *peers)
{
    if (!dq_rdma_of(t)->cq_event) {
        return -ENOTCONN; /* dialling needs the device, which listening finds */
    }
    return dq_transport_dial(t, peers, dq_rdma_join_dial);
}

static int rdma_send(struct dq_transport *t, int to, unsigned type, const void *body, size_t length,
                     const void *pages, unsigned count)
{
    struct dq_frame f;
    struct iovec iov[3];
    int pieces = dq_transport_frame(&f, iov, to, type, body, length, pages, count);

    if (to == t->cfg.node) {
        dq_transport_self_send(t, iov, pieces, sizeof(f) + f.length);
        return 0;
    }
    return dq_rdma_link_send(&dq_rdma_of(t)->links[to], iov, pieces, sizeof(f) + f.length);
}

/* What has come is looked at, too: a loop that does not sleep need not be told. */
static bool rdma_deliver(struct dq_transport *t)
{
    dq_rdma_poll(dq_rdma_of(t), GLANCE_MOST);
    return dq_transport_deliver(t);
}

static void flush_link(struct dq_transport *t, int node)
{
    dq_rdma_link_flush(&dq_rdma_of(t)->links[node]);
}

static bool rdma_flush(struct dq_transport *t)
{
    return dq_transport_turn_ends(t, flush_link);
}

/* Completions are all that is looked for now: nothing is delivered any more. */
static void see_off(struct dq_rdma *r)
{
    gint64 end = g_get_monotonic_time() + LAST_WORDS_US;
    uint64_t waits;

    do {
        struct ibv_wc wc;

        waits = 0;
        while (!r->gone && r->cq && ibv_poll_cq(r->cq, 1, &wc) > 0) {
            dq_rdma_poll_leaving(r, &wc);
        }
        for (int i = 0; i < r->common.cfg.nodes; i++) {
            waits += dq_rdma_link_last_words(&r->links[i]);
        }
    } while (waits && !r->gone && g_get_monotonic_time() < end);
}

static void rdma_destroy(struct dq_transport *t)
{
    struct dq_rdma *r = dq_rdma_of(t);

    see_off(r);
    for (int i = 0; i < t->cfg.nodes; i++) {
        dq_rdma_link_close(&r->links[i]);
    }
    dq_rdma_join_close(r);
    dq_rdma_device_close(r);
    if (r->channel) {
        rdma_destroy_event_channel(r->channel);
    }
    g_hash_table_unref(r->by_qp);
    dq_transport_close(t);
    g_free(r->conns);
    g_free(r->links);
    g_free(r);
}

/*
 * The memory is not in the child, nor are the queues (MADV_DONTFORK); the libraries' own state
 * is a copy that nobody uses.
 */
static void rdma_forked(struct dq_transport *t)
{
    struct dq_rdma *r = dq_rdma_of(t);

    if (r->channel) {
        close(r->channel->fd);
    }
    if (r->completions) {
        close(r->completions->fd);
    }
    if (r->verbs) {
        close(r->verbs->async_fd);
        close(r->verbs->cmd_fd);
    }
    dq_transport_forked(t);
}

const struct dq_transport_ops dq_transport_rdma = {
    .name = "rdma",
    .caution = "what nodes send over RDMA is neither encrypted nor protected from changes",
    .create = rdma_create,
    .listen = dq_rdma_join_listen,
    .connect = rdma_connect_all,
    .why = dq_transport_why,
    .send = rdma_send,
    .deliver = rdma_deliver,
    .flush = rdma_flush,
    .traffic = dq_transport_traffic,
    .destroy = rdma_destroy,
    .forked = rdma_forked,
};
