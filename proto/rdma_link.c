/*
 * One proved peer over RDMA: packets out from any thread, packets in on the loop, its loss.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <endian.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/rdma.h"

#define HEAD sizeof(struct dq_rdma_head)
#define STRETCH_MOST (DQ_RDMA_PACKET - HEAD)

void dq_rdma_link_init(struct dq_rdma_link *l, struct dq_rdma *r, int node)
{
    l->r = r;
    l->node = node;
    pthread_mutex_init(&l->lock, NULL);
}

/* ---- out; all with the lock */

/* What announces a placed packet lies behind it in the staging area, if it is a message. */
static uint64_t tail_bytes(const struct dq_rdma *r)
{
    return r->iwarp ? HEAD + sizeof(struct dq_rdma_placed) : 0;
}

/* Work requests of packets that the queue still has room for. */
static bool queue_has_room(const struct dq_rdma_link *l)
{
    const struct dq_rdma_conn *c = l->conn;

    return c->posted - c->done + (l->r->iwarp ? 2 : 1) <= l->r->sends - DQ_RDMA_CONTROL &&
           l->sent_count - MIN(l->complete_count, l->credited_count) < l->r->sends;
}

static void broken(struct dq_rdma_link *l, int error)
{
    l->send_error = error ? error : EIO;
}

static void post(struct dq_rdma_link *l, struct ibv_send_wr *wr)
{
    struct ibv_send_wr *bad;
    int err = l->r->gone ? ENODEV : ibv_post_send(l->conn->qp, wr, &bad);

    if (err) {
        broken(l, err);
    }
}

/* One in a quarter of everything that can be under way asks for a completion. */
static int flags_for(struct dq_rdma_link *l, uint32_t length)
{
    struct dq_rdma_conn *c = l->conn;

    l->unflagged += length;
    if (c->posted - c->flagged < l->r->sends / 4 && l->unflagged < l->r->area / 4) {
        return 0;
    }
    c->flagged = c->posted;
    l->unflagged = 0;
    return IBV_SEND_SIGNALED;
}

static void post_message(struct dq_rdma_link *l, uint64_t at, uint32_t length)
{
    struct ibv_sge sge = {
        .addr = (uintptr_t)(l->staging + at),
        .length = length,
        .lkey = l->r->mr->lkey,
    };
    struct ibv_send_wr wr = {.sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND};

    l->conn->posted++;
    wr.wr_id = dq_rdma_send_id(l->conn, false);
    wr.send_flags = flags_for(l, length);
    if (length <= l->r->inline_bytes) {
        wr.send_flags |= IBV_SEND_INLINE;
    }
    post(l, &wr);
}

static void post_write(struct dq_rdma_link *l, uint64_t at, uint32_t length)
{
    struct ibv_sge sge = {
        .addr = (uintptr_t)(l->staging + at),
        .length = length,
        .lkey = l->r->mr->lkey,
    };
    struct ibv_send_wr wr = {
        .sg_list = &sge,
        .num_sge = 1,
        .opcode = l->r->iwarp ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_WRITE_WITH_IMM,
        .imm_data = htobe32(at / DQ_RING_ALIGN),
    };

    wr.wr.rdma.remote_addr = l->peer_address + at;
    wr.wr.rdma.rkey = l->peer_key;
    l->conn->posted++;
    wr.wr_id = dq_rdma_send_id(l->conn, false);
    wr.send_flags = flags_for(l, length);
    post(l, &wr);
}

static void announce(struct dq_rdma_link *l, uint64_t at, uint32_t length)
{
    struct {
        struct dq_rdma_head head;
        struct dq_rdma_placed placed;
    } m = {
        .head = {.length = sizeof(m.placed), .kind = DQ_RDMA_PLACED},
        .placed = {.place = at / DQ_RING_ALIGN},
    };

    memcpy(l->staging + at + length, &m, sizeof(m));
    post_message(l, at + length, sizeof(m));
}

/* Sends the packet that is being filled. */
static void post_open(struct dq_rdma_link *l)
{
    struct dq_rdma_head head = {.kind = DQ_RDMA_FRAMES};
    uint32_t length = l->open_length;
    uint64_t at = l->open_at;

    if (!l->open || l->send_error) {
        return;
    }
    l->open = false;
    head.length = length - HEAD;
    head.credits = dq_credit_give(&l->credit);
    memcpy(l->staging + at, &head, sizeof(head));
    if (length <= DQ_RDMA_SLOT) {
        post_message(l, at, length);
        if (length <= l->r->inline_bytes) {
            dq_ring_untake(&l->ring);
        }
    } else {
        post_write(l, at, length);
        if (l->r->iwarp && !l->send_error) {
            announce(l, at, length);
        }
    }
    l->sent[l->sent_count++ % l->r->sends] =
        (struct dq_rdma_sent){dq_ring_mark(&l->ring), l->conn->posted};
    atomic_fetch_add_explicit(&l->r->common.bytes_out, length, memory_order_relaxed);
}

/* Room for `length` bytes more, in the packet that is being filled or a new one; NULL: not now. */
static uint8_t *make_room(struct dq_rdma_link *l, size_t length)
{
    if (l->open && l->open_length + length <= DQ_RDMA_PACKET && dq_ring_extend(&l->ring, length)) {
        l->open_length += length;
        return l->staging + l->open_at + l->open_length - length;
    }
    post_open(l);
    if (l->send_error || !queue_has_room(l) ||
        !dq_ring_take(&l->ring, HEAD + length + tail_bytes(l->r), &l->open_at)) {
        return NULL;
    }
    if (!dq_credit_take(&l->credit)) {
        dq_ring_untake(&l->ring);
        return NULL;
    }
    l->open = true;
    l->open_length = HEAD + length;
    return l->staging + l->open_at + HEAD;
}

/* A message that fits into a packet goes there from the caller's memory. False: not now. */
static bool put(struct dq_rdma_link *l, const struct iovec *iov, int count, size_t length)
{
    size_t whole = dq_transport_padded(length);
    uint8_t *to = whole <= STRETCH_MOST ? make_room(l, whole) : NULL;

    if (!to) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len) {
            memcpy(to, iov[i].iov_base, iov[i].iov_len);
            to += iov[i].iov_len;
        }
    }
    memset(to, 0, whole - length);
    return true;
}

/* Copies the first bytes of the queue. */
static void peek(const struct dq_sendq *q, void *to, size_t length)
{
    struct iovec iov[4];
    int n = dq_sendq_peek(q, iov, 4);

    for (int i = 0; i < n && length > 0; i++) {
        size_t part = MIN(length, iov[i].iov_len);

        memcpy(to, iov[i].iov_base, part);
        to = (uint8_t *)to + part;
        length -= part;
    }
}

/* What is queued goes out as far as there is room; only messages that must be are cut. */
static void drain(struct dq_rdma_link *l)
{
    while (l->queue.bytes > 0) {
        struct dq_frame f;
        size_t n;
        uint8_t *to;

        if (l->queue_left == 0) {
            peek(&l->queue, &f, sizeof(f));
            l->queue_left = dq_transport_padded(sizeof(f) + f.length);
        }
        n = MIN(l->queue_left, STRETCH_MOST);
        to = make_room(l, n);
        if (!to) {
            return;
        }
        peek(&l->queue, to, n);
        dq_sendq_drop(&l->queue, n);
        l->queue_left -= n;
    }
}

static void push(struct dq_rdma_link *l, struct iovec *iov, int count, size_t length)
{
    static const uint8_t zeroes[8];
    struct iovec pad = {(void *)zeroes, dq_transport_padded(length) - length};

    dq_sendq_push(&l->queue, iov, count, 0);
    dq_sendq_push(&l->queue, &pad, 1, 0);
}

/* ---- out */

int dq_rdma_link_send(struct dq_rdma_link *l, struct iovec *iov, int count, size_t length)
{
    bool gathers = dq_transport_gathers(&l->r->common), call = false;
    int err = 0;

    pthread_mutex_lock(&l->lock);
    if (l->state == DQ_RDMA_LOST || l->send_error) {
        err = -ENOTCONN;
    } else if (l->state == DQ_RDMA_JOINING) {
        push(l, iov, count, length);
    } else if (!gathers && !dq_rdma_device_lets_us(l->r)) {
        push(l, iov, count, length);
        call = true;
    } else {
        if (l->queue.bytes > 0 || !put(l, iov, count, length)) {
            push(l, iov, count, length);
            drain(l);
        }
        if (!gathers) {
            post_open(l);
        }
    }
    if (!err && l->send_error) {
        call = true;
        err = -ENOTCONN;
    }
    pthread_mutex_unlock(&l->lock);
    if (gathers) {
        l->r->common.gathered |= UINT64_C(1) << l->node;
    }
    if (call) {
        dq_transport_call(&l->r->common);
    }
    return err;
}

void dq_rdma_link_flush(struct dq_rdma_link *l)
{
    bool call;

    pthread_mutex_lock(&l->lock);
    if (l->state == DQ_RDMA_UP && !l->send_error) {
        drain(l);
        post_open(l);
    }
    call = l->state == DQ_RDMA_UP && l->send_error;
    pthread_mutex_unlock(&l->lock);
    if (call) {
        dq_transport_call(&l->r->common);
    }
}

/* With the lock. What both the device and the peer have done with is free. */
static void reclaim(struct dq_rdma_link *l, uint64_t before)
{
    uint64_t now = MIN(l->complete_count, l->credited_count);

    if (now > before) {
        dq_ring_release(&l->ring, l->sent[(now - 1) % l->r->sends].mark);
    }
}

void dq_rdma_link_complete(struct dq_rdma_link *l, uint32_t done, bool control)
{
    uint64_t before;
    bool waits;

    pthread_mutex_lock(&l->lock);
    before = MIN(l->complete_count, l->credited_count);
    l->conn->done = done;
    l->conn->controls -= control;
    while (l->complete_count < l->sent_count &&
           (int32_t)(l->sent[l->complete_count % l->r->sends].posted - done) <= 0) {
        l->complete_count++;
    }
    reclaim(l, before);
    waits = l->queue.bytes > 0;
    pthread_mutex_unlock(&l->lock);
    if (waits) {
        dq_rdma_link_flush(l);
    }
}

bool dq_rdma_link_return(struct dq_rdma_link *l)
{
    bool done = true;

    pthread_mutex_lock(&l->lock);
    /* A packet that is being filled leaves soon, and takes them along. */
    if (l->state == DQ_RDMA_UP && !l->open && !l->send_error && dq_credit_due(&l->credit)) {
        struct dq_credit as_it_was = l->credit;
        struct dq_rdma_head head = {.kind = DQ_RDMA_CREDIT};

        head.credits = dq_credit_give(&l->credit);
        done = dq_rdma_conn_control(l->conn, &head, sizeof(head));
        if (!done) {
            l->credit = as_it_was;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return done;
}

/* ---- in */

static void malformed(struct dq_rdma_link *l)
{
    dq_rdma_link_broken(l, "sent a malformed packet");
}

static void malformed_message(struct dq_rdma_link *l, const struct dq_frame *f)
{
    char why[96];

    snprintf(why, sizeof(why), "sent a malformed message (type %u, %u bytes)", (unsigned)f->type,
             (unsigned)f->length);
    dq_rdma_link_broken(l, why);
}

static void deliver(struct dq_rdma_link *l, const struct dq_frame *f, const uint8_t *body)
{
    struct dq_transport *t = &l->r->common;

    t->events.message(t->ctx, l->node, f->type, body, f->length);
}

/* More of a message that comes in several stretches: how many of these bytes belong to it. */
static size_t add_part(struct dq_rdma_link *l, const uint8_t *bytes, size_t length)
{
    size_t n = MIN(length, l->part_size - l->part_have);

    memcpy(l->part + l->part_have, bytes, n);
    l->part_have += n;
    if (l->part_have == l->part_size) {
        uint8_t *whole = g_steal_pointer(&l->part);
        struct dq_frame f;

        memcpy(&f, whole, sizeof(f));
        deliver(l, &f, whole + sizeof(f));
        g_free(whole);
    }
    return n;
}

/* Delivers what has come whole, in place. False if the link was lost. */
static bool take_stretch(struct dq_rdma_link *l, const uint8_t *bytes, size_t length)
{
    while (length > 0 && l->state == DQ_RDMA_UP) {
        struct dq_frame f;
        size_t n;

        if (l->part) {
            n = add_part(l, bytes, length);
        } else {
            memcpy(&f, bytes, sizeof(f)); /* a copy: the peer can change what lies there */
            if (dq_frame_check(&f)) {
                malformed_message(l, &f);
                return false;
            }
            n = dq_transport_padded(sizeof(f) + f.length);
            if (n <= length) {
                deliver(l, &f, bytes + sizeof(f));
            } else {
                l->part = g_malloc(n);
                l->part_size = n;
                l->part_have = 0;
                memcpy(l->part, &f, sizeof(f));
                l->part_have = sizeof(f);
                n = sizeof(f);
            }
        }
        bytes += n;
        length -= n;
    }
    return l->state == DQ_RDMA_UP;
}

/* Credits that came with a packet. False: the link was lost by it. */
static bool take_credits(struct dq_rdma_link *l, uint32_t credits)
{
    uint64_t before;
    bool waits;
    int err;

    if (credits == 0) {
        return true;
    }
    pthread_mutex_lock(&l->lock);
    err = dq_credit_returned(&l->credit, credits);
    if (err == 0 && l->credited_count + credits > l->sent_count) {
        err = -EPROTO; /* of the packet that is being filled */
    }
    if (err == 0) {
        before = MIN(l->complete_count, l->credited_count);
        l->credited_count += credits;
        reclaim(l, before);
    }
    waits = l->queue.bytes > 0;
    pthread_mutex_unlock(&l->lock);
    if (err) {
        malformed(l);
    } else if (waits) {
        dq_rdma_link_flush(l);
    }
    return err == 0;
}

static void owe(struct dq_rdma_link *l, uint64_t bytes)
{
    pthread_mutex_lock(&l->lock);
    dq_credit_owe(&l->credit, bytes);
    if (dq_credit_due(&l->credit)) {
        l->r->due |= UINT64_C(1) << l->node;
    }
    pthread_mutex_unlock(&l->lock);
}

/* A packet of whole stretch in a buffer (landed 0) or at its place in the landing area. */
static void take_packet(struct dq_rdma_link *l, const struct dq_rdma_head *head,
                        const uint8_t *bytes, uint64_t landed)
{
    atomic_fetch_add_explicit(&l->r->common.bytes_in, HEAD + head->length, memory_order_relaxed);
    if (take_credits(l, head->credits) && take_stretch(l, bytes, head->length)) {
        owe(l, landed);
    }
}

void dq_rdma_link_landed(struct dq_rdma_link *l, uint64_t place)
{
    uint64_t at = place * DQ_RING_ALIGN;
    struct dq_rdma_head head;

    if (at + HEAD > l->r->area) {
        malformed(l);
        return;
    }
    memcpy(&head, l->landing + at, sizeof(head));
    if (head.kind != DQ_RDMA_FRAMES || head.length % 8 || head.length > STRETCH_MOST ||
        at + HEAD + head.length > l->r->area) {
        malformed(l);
        return;
    }
    take_packet(l, &head, l->landing + at + HEAD, HEAD + head.length);
}

void dq_rdma_link_received(struct dq_rdma_link *l, const uint8_t *bytes, size_t length)
{
    struct dq_rdma_head head;
    struct dq_rdma_placed placed;

    if (length < HEAD || length > DQ_RDMA_SLOT) {
        malformed(l);
        return;
    }
    memcpy(&head, bytes, sizeof(head));
    if (head.length != length - HEAD || head.length % 8) {
        malformed(l);
    } else if (head.kind == DQ_RDMA_FRAMES) {
        take_packet(l, &head, bytes + HEAD, 0);
    } else if (head.kind == DQ_RDMA_CREDIT && head.length == 0) {
        take_credits(l, head.credits);
    } else if (head.kind == DQ_RDMA_PLACED && head.length == sizeof(placed)) {
        memcpy(&placed, bytes + HEAD, sizeof(placed));
        dq_rdma_link_landed(l, placed.place);
    } else {
        malformed(l);
    }
}

/* ---- life */

int dq_rdma_link_up(struct dq_rdma_link *l, const struct dq_rdma_setup *setup)
{
    struct dq_rdma *r = l->r;

    if (setup->head.kind != DQ_RDMA_SETUP || setup->head.length != sizeof(*setup) - HEAD ||
        setup->size != r->area || setup->room < 4 || setup->room > UINT16_MAX) {
        return -EPROTO;
    }
    pthread_mutex_lock(&l->lock);
    l->peer_address = setup->address;
    l->peer_key = setup->key;
    l->sent = g_new(struct dq_rdma_sent, r->sends);
    dq_ring_init(&l->ring, r->area);
    dq_credit_init(&l->credit, r->room, r->area);
    dq_credit_granted(&l->credit, setup->room);
    l->state = DQ_RDMA_UP;
    pthread_mutex_unlock(&l->lock);
    dq_rdma_link_flush(l);
    return 0;
}

/* Everything but the lock, which a late sender may still take. */
static void release(struct dq_rdma_link *l)
{
    struct dq_rdma_conn *c;

    pthread_mutex_lock(&l->lock);
    l->state = DQ_RDMA_LOST;
    c = g_steal_pointer(&l->conn);
    dq_sendq_clear(&l->queue);
    g_clear_pointer(&l->sent, g_free);
    pthread_mutex_unlock(&l->lock);
    if (c) {
        dq_rdma_conn_free(c);
    }
    g_clear_pointer(&l->part, g_free);
}

/* A release frees the connection, and `why` may be of it. */
static void lose(struct dq_rdma_link *l, dq_transport_loss *tell, const char *why)
{
    char text[384];

    if (l->state == DQ_RDMA_LOST) {
        return;
    }
    g_strlcpy(text, why, sizeof(text));
    release(l);
    tell(&l->r->common, l->node, text);
}

void dq_rdma_link_lost(struct dq_rdma_link *l, const char *why)
{
    lose(l, dq_transport_lost, why);
}

void dq_rdma_link_broken(struct dq_rdma_link *l, const char *why)
{
    lose(l, dq_transport_broken, why);
}

void dq_rdma_link_called(struct dq_rdma_link *l)
{
    char why[96];
    int error;

    pthread_mutex_lock(&l->lock);
    error = l->state == DQ_RDMA_UP ? l->send_error : 0;
    pthread_mutex_unlock(&l->lock);
    if (!error) {
        dq_rdma_link_flush(l); /* of a thread that may not */
        return;
    }
    /* What the peer said is heard first, and the device may know the cause better. */
    dq_rdma_poll_all(l->r);
    snprintf(why, sizeof(why), "connection failed: %s", g_strerror(error));
    dq_rdma_link_broken(l, why);
}

bool dq_rdma_link_last_words(struct dq_rdma_link *l)
{
    bool waits = false;

    dq_rdma_link_flush(l);
    pthread_mutex_lock(&l->lock);
    if (l->state == DQ_RDMA_UP && !l->send_error && !l->conn->failed) {
        struct dq_rdma_conn *c = l->conn;

        /* The completion of a probe says that all before it has arrived. */
        if (c->posted != c->flagged) {
            dq_rdma_conn_probe(c);
        }
        waits = c->posted != c->done;
    }
    pthread_mutex_unlock(&l->lock);
    return waits;
}

void dq_rdma_link_close(struct dq_rdma_link *l)
{
    release(l);
    pthread_mutex_destroy(&l->lock);
}
