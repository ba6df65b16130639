/*
 * Which peers' machines still answer, over RDMA. Where a cable is cut or a machine has died no end
 * comes; some devices then try again for minutes, and soft-RoCE for ever. So the loop counts, as it
 * does over TCP (tcp_contact.c): at each tick, is a completion due, and has nothing come from the
 * peer since the last tick? Then the silence is a tick longer. A link from which nothing is due
 * gets a probe, which the peer's device answers without its process: a stopped process is no
 * loss, nor does a node that was stopped itself blame others when it goes on.
 *
 * What is lost on the way is sent again after a pause: on a link that works again that may still
 * have to come when the limit is reached, so a peer gets one more. The pause is chosen to
 * suit the limit, where it can be: a device gives up after some of them (DQ_RDMA_RETRIES), and must not do so
 * first. Under iWARP there is TCP, whose pauses double: a cut is forgiven that lasts up to the
 * limit, and one that stays is told after twice the limit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/rdma.h"

/* A probe and its answer lie between two ticks, another may just have missed one. */
#define SLACK_TICKS 2u
/* The standard's unit: the time-out is 4.096 us * 2^exponent, of five bits (InfiniBand 1.4, 9.9.2.1.2). */
#define ACK_UNIT_NS UINT64_C(4096)
#define ACK_MOST 31u

/* The shortest of which a device's attempts together exceed the limit by a quarter. */
static uint8_t ack_exponent(const struct dq_rdma *r)
{
    uint64_t each = UINT64_C(1250000) * r->common.cfg.contact_ms / (DQ_RDMA_RETRIES + 1);
    uint8_t e = 1;

    while (e < ACK_MOST && (ACK_UNIT_NS << e) < each) {
        e++;
    }
    return e;
}

void dq_rdma_contact_tune(const struct dq_rdma *r, struct rdma_cm_id *id)
{
    uint8_t e = ack_exponent(r);

    /* Where it cannot be chosen, the device's own choice must do. */
    if (r->common.cfg.contact_ms > 0 && !r->iwarp) {
        rdma_set_option(id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT, &e, sizeof(e));
    }
}

/* Ticks of silence that a peer has. */
static unsigned allowance(const struct dq_rdma *r)
{
    const unsigned tick = dq_transport_tick_ms(&r->common), limit = r->common.cfg.contact_ms / tick;
    const uint64_t pause_ms = (ACK_UNIT_NS << ack_exponent(r)) / 1000000;

    return limit + SLACK_TICKS + (r->iwarp ? limit : (unsigned)(pause_ms / tick) + 1);
}

/* One tick of a link: has the silence lasted too long? */
static bool is_silent(struct dq_rdma_link *l)
{
    bool silent = false;

    pthread_mutex_lock(&l->lock);
    if (l->state == DQ_RDMA_UP) {
        struct dq_rdma_conn *c = l->conn;

        if (c->seen_in) {
            c->silent = 0;
        } else if (c->flagged != c->done) {
            c->silent++;
        } else {
            c->silent = 0; /* nothing was due: no silence yet */
            dq_rdma_conn_probe(c);
        }
        c->seen_in = 0;
        silent = c->silent > allowance(l->r);
    }
    pthread_mutex_unlock(&l->lock);
    return silent;
}

static void look(struct dq_transport *t)
{
    struct dq_rdma *r = dq_rdma_of(t);
    char why[DQ_TRANSPORT_SILENCE];

    /* What has come while other things kept the loop is no silence. */
    dq_rdma_poll(r, UINT32_MAX);
    dq_transport_silence(t, why);
    for (int i = 0; i < t->cfg.nodes; i++) {
        if (is_silent(&r->links[i])) {
            dq_rdma_link_broken(&r->links[i], why);
        }
    }
}

void dq_rdma_contact_start(struct dq_rdma *r)
{
    dq_transport_watch(&r->common, look);
}
