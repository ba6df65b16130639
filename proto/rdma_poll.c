/*
 * What the device has done: completions, and whom they concern.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <endian.h>
#include <errno.h>
#include <event2/event.h>
#include <time.h>

#include "proto/rdma.h"

/* Taken from the device at once. */
#define BATCH 16
/* Completions dealt with before other descriptors of the loop get their turn. */
#define TURN_MOST 256u
/* After the last completion the loop looks for the next this long at most: less than it costs to
 * sleep and be woken, and too little to be missed by others. */
#define SPIN_MOST_NS 8000u
#define SPIN_LEAST_NS 250u

/*
 * A work request's name: bit 63 a receive, bit 62 no packet; the connection's place (10 bits)
 * and serial (20), then the count of work requests or the buffer (32).
 */
#define RECEIVE (UINT64_C(1) << 63)
#define CONTROL (UINT64_C(1) << 62)

static uint64_t name_of(const struct dq_rdma_conn *c, uint32_t low)
{
    return (uint64_t)c->place << 52 | (uint64_t)c->serial << 32 | low;
}

uint64_t dq_rdma_send_id(const struct dq_rdma_conn *c, bool control)
{
    return name_of(c, c->posted) | (control ? CONTROL : 0);
}

uint64_t dq_rdma_receive_id(const struct dq_rdma_conn *c, unsigned slot)
{
    return RECEIVE | (c ? name_of(c, slot) : slot);
}

/* NULL: it is no more. */
static struct dq_rdma_conn *conn_of(struct dq_rdma *r, const struct ibv_wc *wc)
{
    struct dq_rdma_conn *c;

    if (wc->wr_id & RECEIVE && r->srq) {
        return g_hash_table_lookup(r->by_qp, GUINT_TO_POINTER(wc->qp_num));
    }
    c = r->conns[wc->wr_id >> 52 & 0x3ff];
    return c && c->serial == (wc->wr_id >> 32 & 0xfffff) ? c : NULL;
}

/* The first error says why; what is flushed because of it, or of the end, says nothing. */
static void note_failure(struct dq_rdma_conn *c, enum ibv_wc_status status)
{
    if (c->closed) {
        return;
    }
    if (!c->failed || c->status == IBV_WC_WR_FLUSH_ERR) {
        c->failed = true;
        c->status = status;
    }
}

static void received(struct dq_rdma *r, struct dq_rdma_conn *c, const struct ibv_wc *wc)
{
    uint32_t slot = (uint32_t)wc->wr_id;
    const uint8_t *bytes = r->slots + (size_t)slot * DQ_RDMA_SLOT;

    c->seen_in++;
    if (c->stage != DQ_RDMA_LINKED) {
        if (wc->opcode == IBV_WC_RECV) {
            dq_rdma_join_received(c, bytes, wc->byte_len);
        } else {
            dq_rdma_join_failed(c, "sent a malformed message during the handshake");
        }
    } else if (wc->opcode == IBV_WC_RECV_RDMA_WITH_IMM) {
        dq_rdma_link_landed(c->link, be32toh(wc->imm_data));
    } else {
        dq_rdma_link_received(c->link, bytes, wc->byte_len);
    }
}

static void completed(struct dq_rdma *r, const struct ibv_wc *wc)
{
    struct dq_rdma_conn *c = conn_of(r, wc);

    if (c && wc->status != IBV_WC_SUCCESS) {
        note_failure(c, wc->status);
    }
    if (wc->wr_id & RECEIVE) {
        if (c && wc->status == IBV_WC_SUCCESS) {
            received(r, c, wc);
            c = conn_of(r, wc); /* it may have come to its end by that */
        }
        if (r->srq || (c && !c->failed)) {
            dq_rdma_device_repost(r, c, (uint32_t)wc->wr_id);
        }
        return;
    }
    if (!c || wc->status != IBV_WC_SUCCESS) {
        return;
    }
    c->seen_in++;
    if (c->link && c->stage != DQ_RDMA_LEAVING) {
        dq_rdma_link_complete(c->link, (uint32_t)wc->wr_id, wc->wr_id & CONTROL);
        return;
    }
    c->done = (uint32_t)wc->wr_id;
    c->controls--;
    if (c->stage == DQ_RDMA_LEAVING && c->controls == 0) {
        dq_rdma_conn_free(c);
    }
}

/* What peers are owed and did not get with an answer. */
static void return_credits(struct dq_rdma *r)
{
    for (uint64_t left = r->due; left; left &= left - 1) {
        int i = __builtin_ctzll(left);

        if (dq_rdma_link_return(&r->links[i])) {
            r->due &= ~(UINT64_C(1) << i);
        }
    }
}

static void tell_failure(struct dq_rdma_conn *c)
{
    const char *why = dq_rdma_why_status(c->status);

    if (c->stage == DQ_RDMA_LINKED && c->status != IBV_WC_WR_FLUSH_ERR) {
        dq_rdma_link_broken(c->link, why);
    } else {
        dq_rdma_join_failed(c, why);
    }
}

/* Connections whose queues have failed, once all that they brought is read. */
static void tell_failures(struct dq_rdma *r)
{
    for (unsigned i = 0; i < r->conn_most; i++) {
        struct dq_rdma_conn *c = r->conns[i];

        if (c && c->failed && c->status == IBV_WC_WR_FLUSH_ERR) {
            dq_rdma_join_events(r); /* is it because the other end has closed? */
            c = r->conns[i];
        }
        if (c && c->failed) {
            tell_failure(c);
        }
    }
}

bool dq_rdma_poll(struct dq_rdma *r, unsigned most)
{
    struct ibv_wc wc[BATCH];
    bool failures = false;
    unsigned total = 0;
    int n;

    if (!r->cq) {
        return false;
    }
    do {
        n = r->gone ? 0 : ibv_poll_cq(r->cq, BATCH, wc);
        for (int i = 0; i < n && !r->gone; i++) {
            failures |= wc[i].status != IBV_WC_SUCCESS;
            completed(r, &wc[i]);
        }
        total += n > 0 ? (unsigned)n : 0;
    } while (n == BATCH && total < most);
    r->failing |= failures;
    return_credits(r);
    if (n < BATCH && r->failing) {
        r->failing = false;
        tell_failures(r);
    }
    return n == BATCH;
}

void dq_rdma_poll_all(struct dq_rdma *r)
{
    r->failing = true;
    while (dq_rdma_poll(r, UINT32_MAX)) {
    }
}

void dq_rdma_poll_leaving(struct dq_rdma *r, const struct ibv_wc *wc)
{
    struct dq_rdma_conn *c = conn_of(r, wc);

    if (!c || !c->link || c->link->conn != c) {
        return;
    }
    if (wc->status != IBV_WC_SUCCESS) {
        note_failure(c, wc->status);
    } else if (!(wc->wr_id & RECEIVE)) {
        dq_rdma_link_complete(c->link, (uint32_t)wc->wr_id, wc->wr_id & CONTROL);
    }
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/*
 * Looks a little longer before it sleeps, as long as that finds something: the time doubles
 * when it did and halves when it did not.
 */
static bool look_longer(struct dq_rdma *r)
{
    uint64_t end = now_ns() + r->spin_ns;
    struct ibv_wc wc;
    bool found = false;

    while (!found && now_ns() < end) {
        found = ibv_poll_cq(r->cq, 1, &wc) > 0;
    }
    if (found) {
        r->failing |= wc.status != IBV_WC_SUCCESS;
        completed(r, &wc);
        return_credits(r);
        r->spin_ns = MIN(r->spin_ns * 2, SPIN_MOST_NS);
    } else {
        r->spin_ns = MAX(r->spin_ns / 2, SPIN_LEAST_NS);
    }
    return found;
}

void dq_rdma_poll_event(int fd, short what, void *rdma)
{
    struct dq_rdma *r = rdma;
    struct ibv_cq *cq;
    void *ctx;

    (void)fd, (void)what;
    if (ibv_get_cq_event(r->completions, &cq, &ctx) == 0) {
        r->unacked++;
    } else if (errno != EAGAIN && errno != EINTR) {
        dq_rdma_device_gone(r, "is gone");
        return;
    }
    if (dq_rdma_poll(r, TURN_MOST) || (r->spins && look_longer(r))) {
        /* More than a turn's share: the loop comes back, and the device need not tell. */
        event_active(r->cq_event, EV_READ, 0);
        return;
    }
    /* What comes after this is told; what came before is still to be seen. */
    if (!r->gone && ibv_req_notify_cq(r->cq, 0) == 0 && dq_rdma_poll(r, TURN_MOST)) {
        event_active(r->cq_event, EV_READ, 0);
    }
}
