/*
 * Private to the RDMA transport: what its parts share.
 *
 *     rdma.c         the table of operations
 *     rdma_device.c  the device: memory that it may use, queues, what happens to it
 *     rdma_join.c    listening, dialling, the handshake: until a peer is proved
 *     rdma_link.c    one proved peer: packets out, packets in, its loss
 *     rdma_poll.c    what the device has done: completions, and who they belong to
 *     rdma_contact.c which peers' machines still answer
 *     rdma_why.c     errors in words
 *     rdma_probe.c   has this machine a device for an address?
 *
 * A connection (struct dq_rdma_conn) exists from the first sign of it; when its peer is proved
 * it becomes that of a link (struct dq_rdma_link), of which there is one for each peer from the
 * start: it queues what is sent too early.
 *
 * Memory. Guest memory is never registered: the pager takes its pages away under the device's
 * feet, and registering costs more than a copy. For each peer there are two rings of equal size:
 * the landing area, which that peer writes into, and the staging area, from which this node
 * writes; a packet has the same place in a staging area and in the landing area behind it, so
 * that one allocator (proto/ring.h) rules both. A place is free again when the device has done
 * with it (completion) and the peer has, too (credit).
 *
 * Receive buffers are shared by all peers (SRQ): each peer has room for `room` packets and
 * DQ_CREDIT_RETURNS messages that return credits (proto/credit.h), and RESERVE are for the
 * handshakes of strangers. A stranger that floods is dropped at its first wrong message; until
 * then peers that find no buffer are told to try again, without end, by the hardware. iWARP
 * would break the connection instead: there each connection has buffers of its own.
 *
 * The send queue has room for all packets that credits allow, and for CONTROL messages beside
 * (handshake, returned credits, probes). Few work requests ask for a completion: one in a
 * quarter of the queue or of the staging area, so that what is awaited is never unannounced.
 *
 * Everything is the loop thread's, except what the link's lock guards. No lock is held while a
 * callback runs, and no two are ever held together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_RDMA_H
#define DQ_PROTO_RDMA_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "proto/credit.h"
#include "proto/rdma_wire.h"
#include "proto/ring.h"
#include "proto/sendq.h"
#include "proto/transport_common.h"

/* The longest packet: a message of DQ_MOST_PAGES pages, and small ones with it. */
#define DQ_RDMA_PACKET (72u * 1024)
/* A landing area: enough for what is under way in a round trip, and locked memory is dear. */
#define DQ_RDMA_AREA_LEAST (256u * 1024)
#define DQ_RDMA_AREA_MOST (1024u * 1024)
#define DQ_RDMA_AREAS (8u << 20) /* all of them together, if each has the least */
/* See proto/credit.h: no deadlock. */
static_assert(DQ_RDMA_AREA_LEAST / 4 + 2 * DQ_RDMA_PACKET <= DQ_RDMA_AREA_LEAST, "a packet fits");
static_assert(sizeof(struct dq_rdma_head) + sizeof(struct dq_frame) + sizeof(struct dq_msg_page) +
                      DQ_MOST_PAGES * DQ_PAGE_SIZE <=
                  DQ_RDMA_PACKET,
              "pages travel whole");

/* Messages of one connection that are no packets, and that the device has not yet sent. */
#define DQ_RDMA_CONTROL 8u
#define DQ_RDMA_CONTROL_BYTES 256u
static_assert(sizeof(struct dq_hello) <= DQ_RDMA_CONTROL_BYTES, "a handshake's step fits");
/* Buffers for one peer's messages that are no packets: handshake, set-up, returned credits. */
#define DQ_RDMA_EXTRA (DQ_CREDIT_RETURNS + 4)
/* Connections that are not proved, beside as many as there are peers. */
#define DQ_RDMA_STRANGERS 32u
/* What is not acknowledged the device sends again by itself, so often. Soft-RoCE takes 7 for ever. */
#define DQ_RDMA_RETRIES 7

struct event;

enum dq_rdma_stage {
    DQ_RDMA_CONNECTING, /* dialled: addresses are resolved, or the answer is awaited */
    DQ_RDMA_GREETING,   /* the handshake */
    DQ_RDMA_PROVED,     /* its set-up is awaited */
    DQ_RDMA_LINKED,
    DQ_RDMA_LEAVING, /* it came to nothing; waits for its last words to leave */
};

struct dq_rdma;
struct dq_rdma_link;

struct dq_rdma_conn {
    struct dq_rdma *r;
    unsigned place;  /* index in r->conns */
    unsigned serial; /* tells it from who had the place before */
    struct rdma_cm_id *id;
    struct ibv_qp *qp; /* NULL while there is none */
    enum dq_rdma_stage stage;
    bool dialled;
    int error; /* errno of the attempt to dial, told from the loop */
    struct dq_auth auth;
    struct event *deadline;
    struct event *nudge;       /* rdma_join.c; or NULL */
    unsigned nudge_ms;         /* until the next one */
    struct dq_rdma_link *link; /* from DQ_RDMA_PROVED on */
    char name[DQ_TRANSPORT_NAME];

    /* Work requests, by count; once there is a link its lock guards these. */
    uint32_t posted;
    uint32_t done;     /* known to be complete */
    uint32_t flagged;  /* `posted` when a completion was last asked for */
    unsigned controls; /* messages under way that are no packets */
    unsigned control_next;
    uint32_t seen_in; /* rdma_contact.c: signs of the peer's device since the last tick; */
    unsigned silent;  /* ticks without any, although one was due */
    bool closed;      /* by the other end: what fails from now on is no news */
    bool failed;      /* `status` is why the queue has failed, told when all else is read */
    enum ibv_wc_status status;
};

enum dq_rdma_state { DQ_RDMA_JOINING, DQ_RDMA_UP, DQ_RDMA_LOST };

/* A packet that is under way: both counts must pass it before its place is free. */
struct dq_rdma_sent {
    uint64_t mark;   /* of the ring */
    uint32_t posted; /* of the connection, after it */
};

struct dq_rdma_link {
    struct dq_rdma *r;
    int node;
    struct dq_rdma_conn *conn; /* or NULL */

    /* The landing area; the loop's. */
    uint8_t *landing;
    struct ibv_mr *landing_mr;
    uint8_t *part; /* a message that comes in several stretches, or NULL */
    size_t part_size;
    size_t part_have;

    pthread_mutex_t lock; /* guards the rest; the loop alone writes `state` */
    enum dq_rdma_state state;
    int send_error; /* errno of the first failed post: the link is as good as lost */
    struct dq_sendq queue;
    size_t queue_left; /* bytes of the message at its head whose beginning has been sent */
    struct dq_credit credit;
    struct dq_ring ring; /* of the staging area */
    uint8_t *staging;
    uint64_t peer_address; /* of the peer's landing area */
    uint32_t peer_key;
    bool open; /* a packet is being filled: its credit and its place in the queue are taken */
    uint64_t open_at;
    uint32_t open_length;
    uint64_t unflagged;        /* bytes sent since a completion was last asked for */
    struct dq_rdma_sent *sent; /* a ring of r->sends */
    uint64_t sent_count, complete_count, credited_count;
};

struct dq_rdma {
    struct dq_transport common; /* first */
    struct dq_rdma_link *links; /* cfg.nodes of them; the own one is unused */
    unsigned peers;

    struct rdma_event_channel *channel;
    struct event *cm_event;
    struct rdma_cm_id *listener;
    struct sockaddr_storage bound; /* where to dial from: the port is zero */
    bool gone;                     /* the device is */

    /* from listen on */
    struct ibv_context *verbs;
    struct ibv_pd *pd;
    struct ibv_comp_channel *completions;
    struct ibv_cq *cq;
    struct ibv_srq *srq; /* NULL: each connection has its own buffers */
    struct event *cq_event;
    struct event *async_event;
    bool iwarp;
    uint32_t room;  /* packets of each peer */
    uint32_t sends; /* work requests of each connection */
    uint32_t inline_bytes;
    uint32_t area;    /* bytes of a landing area */
    unsigned unacked; /* completion events */
    bool spins;       /* there is a processor to look for more before going to sleep */
    uint64_t spin_ns; /* ... for so long */
    bool failing;     /* some connection may have failed */
    uint64_t due;     /* a bit per link: may owe credits that must be returned */

    /* one region: receive buffers, controls of each connection, staging areas */
    uint8_t *memory;
    size_t memory_bytes;
    struct ibv_mr *mr;
    uint8_t *slots;
    unsigned slot_count;
    uint8_t *controls;
    uint8_t *landings;
    size_t landings_bytes;

    struct dq_rdma_conn **conns; /* by place */
    unsigned conn_most;
    unsigned serials;
    GHashTable *by_qp; /* number of a queue pair -> its connection */
    GQueue strangers;  /* accepted and not yet proved, or leaving; oldest first */
};

static inline struct dq_rdma *dq_rdma_of(struct dq_transport *t)
{
    return (struct dq_rdma *)t;
}

/* ---- rdma_device.c */

/* Everything below "from listen on", for the device of this id. 0 or -errno with common.why. */
int dq_rdma_device_open(struct dq_rdma *r, struct rdma_cm_id *id);
void dq_rdma_device_close(struct dq_rdma *r);
/* The connection's queue pair, with buffers if they are not shared. 0 or -errno. */
int dq_rdma_device_connect(struct dq_rdma *r, struct dq_rdma_conn *c);
/* Gives a receive buffer back to the device. */
void dq_rdma_device_repost(struct dq_rdma *r, struct dq_rdma_conn *c, unsigned slot);
/* May this thread give the device work? Never blocks. */
bool dq_rdma_device_lets_us(const struct dq_rdma *r);
/* The device is gone: every peer is lost. */
void dq_rdma_device_gone(struct dq_rdma *r, const char *how);

/* ---- rdma_join.c */

int dq_rdma_join_listen(struct dq_transport *t, const char *address, uint16_t *port);
int dq_rdma_join_dial(struct dq_transport *t, int node, const struct dq_peer_addr *addr);
void dq_rdma_join_events(struct dq_rdma *r);
/* A message of the handshake, or the set-up. */
void dq_rdma_join_received(struct dq_rdma_conn *c, const uint8_t *bytes, size_t length);
/* The connection comes to nothing; `why` is a clause about the other end. */
void dq_rdma_join_failed(struct dq_rdma_conn *c, const char *why);
/* Frees a connection that nobody speaks of any more. */
void dq_rdma_conn_free(struct dq_rdma_conn *c);
/*
 * Sends something that is no packet; with the link's lock if there is a link. False: not now,
 * too much of the kind is under way; or the device refuses, which it tells by a completion.
 */
bool dq_rdma_conn_control(struct dq_rdma_conn *c, const void *bytes, size_t length);
/*
 * The same for a probe: an empty write, which the peer's device answers by itself; an empty read
 * under iWARP, where a write is complete before it has arrived.
 */
bool dq_rdma_conn_probe(struct dq_rdma_conn *c);
void dq_rdma_join_close(struct dq_rdma *r);

/* ---- rdma_poll.c */

/* How a work request is known again. */
uint64_t dq_rdma_send_id(const struct dq_rdma_conn *c, bool control);
uint64_t dq_rdma_receive_id(const struct dq_rdma_conn *c, unsigned slot); /* c NULL: shared */
/* Deals with up to `most` completions. True if there are more. */
bool dq_rdma_poll(struct dq_rdma *r, unsigned most);
/* Deals with all there are, failures last. */
void dq_rdma_poll_all(struct dq_rdma *r);
/* This node leaves: only what has been sent is of interest. */
void dq_rdma_poll_leaving(struct dq_rdma *r, const struct ibv_wc *wc);
/* libevent: the device has done something. */
void dq_rdma_poll_event(int fd, short what, void *rdma);

/* ---- rdma_contact.c */

/* For a connection that is not yet made: the device's patience, to suit contact_ms. */
void dq_rdma_contact_tune(const struct dq_rdma *r, struct rdma_cm_id *id);
/* Begins to watch the links. On the loop. */
void dq_rdma_contact_start(struct dq_rdma *r);

/* ---- rdma_link.c */

void dq_rdma_link_init(struct dq_rdma_link *l, struct dq_rdma *r, int node);
/* The peer is proved, and this is what it says about its landing area. 0 or -EPROTO. */
int dq_rdma_link_up(struct dq_rdma_link *l, const struct dq_rdma_setup *setup);
int dq_rdma_link_send(struct dq_rdma_link *l, struct iovec *iov, int count, size_t length);
/* On the loop: sends what is gathered and queued, as far as credits go. */
void dq_rdma_link_flush(struct dq_rdma_link *l);
/* On the loop: work requests up to that count are complete. */
void dq_rdma_link_complete(struct dq_rdma_link *l, uint32_t done, bool control);
/* On the loop: a packet has come, in a buffer or in the landing area. */
void dq_rdma_link_received(struct dq_rdma_link *l, const uint8_t *bytes, size_t length);
void dq_rdma_link_landed(struct dq_rdma_link *l, uint64_t place);
/* On the loop: returns credits if they are due. False: to be tried again. */
bool dq_rdma_link_return(struct dq_rdma_link *l);
/* What send could not do itself, on whatever thread. */
void dq_rdma_link_called(struct dq_rdma_link *l);
/* As the transport's lost() and broken(); nothing if that was told before. */
void dq_rdma_link_lost(struct dq_rdma_link *l, const char *why);
void dq_rdma_link_broken(struct dq_rdma_link *l, const char *why);
/* Offers the network what is queued; true: something is under way that a wait may see off. */
bool dq_rdma_link_last_words(struct dq_rdma_link *l);
void dq_rdma_link_close(struct dq_rdma_link *l);

/* ---- rdma_why.c */

/* A failed completion as a clause about the peer. Static text. */
const char *dq_rdma_why_status(enum ibv_wc_status status);
/* A failed attempt to connect: what came instead of ESTABLISHED. Static text. */
const char *dq_rdma_why_event(enum rdma_cm_event_type type, int status);
/* Why listening failed, as a clause with a remedy: err is positive. To common.why. */
void dq_rdma_why_listen(struct dq_rdma *r, const char *address, int err);
/* Registering `bytes` failed. To common.why. */
void dq_rdma_why_memory(struct dq_rdma *r, size_t bytes, int err);

#endif
