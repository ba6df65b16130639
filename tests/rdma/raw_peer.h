/*
 * Test help: one end of an RDMA connection that says whatever the test wants, by blocking calls.
 * Not a module: included by the one file of a test program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_TESTS_RAW_PEER_H
#define DQ_TESTS_RAW_PEER_H

#include <arpa/inet.h>
#include <endian.h>
#include <glib.h>
#include <netinet/in.h>
#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>
#include <string.h>

#include "proto/auth.h"
#include "proto/rdma_wire.h"

#define RAW_BUFFERS 512
#define RAW_BYTES 1024
#define RAW_AREA (1024u * 1024)

struct raw_peer {
    struct rdma_cm_id *id;
    struct ibv_mr *mr, *landing_mr;
    uint8_t *out;     /* RAW_BYTES to send from */
    uint8_t *in;      /* RAW_BUFFERS of RAW_BYTES */
    uint8_t *landing; /* RAW_AREA */
    bool iwarp;
    struct dq_rdma_setup theirs; /* after raw_join() */
};

/* A connection to that port of this machine; false: it was refused. */
static G_GNUC_UNUSED bool raw_connect_rdma(struct raw_peer *p, const char *address, uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct rdma_conn_param param = {
        .responder_resources = 1, .initiator_depth = 1, .retry_count = 7, .rnr_retry_count = 7};
    struct ibv_qp_init_attr attr = {
        .cap = {.max_send_wr = 64,
                .max_recv_wr = RAW_BUFFERS,
                .max_send_sge = 1,
                .max_recv_sge = 1},
        .qp_type = IBV_QPT_RC,
        .sq_sig_all = 1,
    };

    memset(p, 0, sizeof(*p));
    g_assert_cmpint(inet_pton(AF_INET, address, &sa.sin_addr), ==, 1);
    /* Without a channel of ours every call waits for its outcome. */
    g_assert_cmpint(rdma_create_id(NULL, &p->id, NULL, RDMA_PS_TCP), ==, 0);
    g_assert_cmpint(rdma_resolve_addr(p->id, NULL, (struct sockaddr *)&sa, 5000), ==, 0);
    g_assert_cmpint(rdma_resolve_route(p->id, 5000), ==, 0);
    g_assert_cmpint(rdma_create_qp(p->id, NULL, &attr), ==, 0);
    p->iwarp = p->id->verbs->device->transport_type == IBV_TRANSPORT_IWARP;
    p->out = g_malloc0(RAW_BYTES * (RAW_BUFFERS + 1));
    p->in = p->out + RAW_BYTES;
    p->mr = rdma_reg_msgs(p->id, p->out, RAW_BYTES * (RAW_BUFFERS + 1));
    p->landing = g_malloc0(RAW_AREA);
    p->landing_mr = rdma_reg_write(p->id, p->landing, RAW_AREA);
    g_assert_nonnull(p->mr);
    g_assert_nonnull(p->landing_mr);
    for (uintptr_t i = 0; i < RAW_BUFFERS; i++) {
        uint8_t *buffer = p->in + i * RAW_BYTES;

        g_assert_cmpint(rdma_post_recv(p->id, buffer, buffer, RAW_BYTES, p->mr), ==, 0);
    }
    return rdma_connect(p->id, &param) == 0;
}

static G_GNUC_UNUSED void raw_say(struct raw_peer *p, const void *bytes, size_t length)
{
    struct ibv_wc wc;

    memcpy(p->out, bytes, length);
    if (rdma_post_send(p->id, NULL, p->out, length, p->mr, 0) == 0) {
        rdma_get_send_comp(p->id, &wc); /* failed or not */
    }
}

/* The next message; its length in *length, which is 0 if there was none: the end. */
static G_GNUC_UNUSED const uint8_t *raw_hear(struct raw_peer *p, size_t *length)
{
    struct ibv_wc wc;

    *length = 0;
    if (rdma_get_recv_comp(p->id, &wc) == 1 && wc.status == IBV_WC_SUCCESS) {
        *length = wc.byte_len;
    }
    return (const uint8_t *)(uintptr_t)wc.wr_id;
}

/* Waits until the other end has closed. */
static G_GNUC_UNUSED void raw_wait_closed(struct raw_peer *p)
{
    struct rdma_cm_event *e;
    bool closed = false;

    while (!closed && rdma_get_cm_event(p->id->channel, &e) == 0) {
        closed = e->event == RDMA_CM_EVENT_DISCONNECTED;
        rdma_ack_cm_event(e);
    }
    g_assert_true(closed);
}

/* Closes: to destroy the queue tells the other end. */
static G_GNUC_UNUSED void raw_free(struct raw_peer *p)
{
    rdma_dereg_mr(p->mr);
    rdma_dereg_mr(p->landing_mr);
    rdma_destroy_qp(p->id);
    rdma_destroy_id(p->id);
    g_free(p->out);
    g_free(p->landing);
}

/* The handshake; true: this end has no objection. */
static G_GNUC_UNUSED bool raw_greet(struct raw_peer *p, const struct dq_auth_config *cfg)
{
    enum dq_auth_result result = DQ_AUTH_MORE;
    struct dq_auth a;
    const void *out;
    size_t length;

    g_assert_cmpint(dq_auth_open(&a, cfg), ==, 0);
    while (result == DQ_AUTH_MORE) {
        const uint8_t *in;

        length = dq_auth_take(&a, &out);
        if (length) {
            raw_say(p, out, length);
        }
        in = raw_hear(p, &length);
        g_assert_cmpuint(length, >, 0);
        result = dq_auth_feed(&a, in, length);
    }
    return result == DQ_AUTH_DONE;
}

/* The set-up, both ways: this end has room for so many packets. */
static G_GNUC_UNUSED void raw_join(struct raw_peer *p, uint32_t room)
{
    struct dq_rdma_setup mine = {
        .head = {.length = sizeof(mine) - sizeof(mine.head), .kind = DQ_RDMA_SETUP},
        .address = (uintptr_t)p->landing,
        .key = p->landing_mr->rkey,
        .size = RAW_AREA,
        .room = room,
    };
    size_t length;
    const uint8_t *in = raw_hear(p, &length);

    g_assert_cmpuint(length, ==, sizeof(p->theirs));
    memcpy(&p->theirs, in, sizeof(p->theirs));
    g_assert_cmpint(p->theirs.head.kind, ==, DQ_RDMA_SETUP);
    raw_say(p, &mine, sizeof(mine));
}

#endif
