/*
 * What RDMA nodes say to each other around the messages of proto/wire.h; little-endian.
 *
 * After the handshake (proto/auth.h: each of its steps is one SEND) both ends send a struct
 * dq_rdma_setup. From then on a connection carries packets: a struct dq_rdma_head, and a
 * stretch of the stream of messages, each with its frame and padded to 8 bytes. A stretch holds
 * whole messages, but for a message longer than a packet, which takes the stretches of several.
 *
 *     SEND                 head (FRAMES), stretch: what fits into DQ_RDMA_SLOT
 *     RDMA WRITE           head (FRAMES), stretch, into the landing area; announced by its
 *                          immediate value, the place in units of DQ_RING_ALIGN (big-endian, as
 *                          verbs have it); where the network knows no such value (iWARP), by a
 *     SEND                 head (PLACED, length 8), struct dq_rdma_placed
 *     SEND                 head (CREDIT, length 0): returns credits (proto/credit.h), takes none
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_RDMA_WIRE_H
#define DQ_PROTO_RDMA_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The longest SEND: any message without trailing bytes. */
#define DQ_RDMA_SLOT 512u

enum dq_rdma_kind { DQ_RDMA_FRAMES = 1, DQ_RDMA_PLACED, DQ_RDMA_CREDIT, DQ_RDMA_SETUP };

struct dq_rdma_head {
    uint32_t length;  /* bytes that follow this header */
    uint16_t credits; /* returned with it */
    uint16_t kind;    /* enum dq_rdma_kind */
};
static_assert(sizeof(struct dq_rdma_head) == 8, "dq_rdma_head");

struct dq_rdma_placed {
    uint32_t place; /* in the landing area, in units of DQ_RING_ALIGN */
    uint32_t zero;
};
static_assert(sizeof(struct dq_rdma_placed) == 8, "dq_rdma_placed");

struct dq_rdma_setup {
    struct dq_rdma_head head; /* SETUP */
    uint64_t address;         /* of the sender's landing area for this peer */
    uint32_t key;             /* to write there */
    uint32_t size;            /* bytes */
    uint32_t room;            /* packets that the sender has room for */
    uint32_t zero;
};
static_assert(sizeof(struct dq_rdma_setup) == 32, "dq_rdma_setup");

#endif
