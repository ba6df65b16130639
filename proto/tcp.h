/*
 * Private to the TCP transport (tcp.c, tcp_join.c, tcp_link.c): what its parts share.
 *
 *     tcp.c       the table of operations
 *     tcp_join.c  listening, dialling, the handshake: until a peer is proved
 *     tcp_link.c  one proved peer: frames out, frames in, its loss
 *     tcp_contact.c  which peers' machines still answer
 *
 * Everything is the loop thread's, except what a lock below guards and the atomics. No lock
 * is held while a callback runs, and no two are ever held together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_TCP_H
#define DQ_PROTO_TCP_H

#include "proto/sendq.h"
#include "proto/tls.h"
#include "proto/transport_common.h"

struct event;

enum dq_tcp_state { DQ_TCP_JOINING, DQ_TCP_UP, DQ_TCP_LOST };

/* tcp_contact.c's, about one link. */
struct dq_tcp_contact {
    unsigned silent; /* ticks in which an answer was due and nothing came */
    uint32_t heard;  /* segments received, at the latest tick */
    uint32_t said;   /* segments sent, when the silence had lasted for contact_ms */
};

struct dq_tcp_link {
    struct dq_transport *t;
    int node;

    pthread_mutex_t lock; /* guards the next eight; the loop alone writes state, fd and tls */
    enum dq_tcp_state state;
    int fd;
    struct dq_sendq queue;  /* frames */
    struct dq_tls *tls;     /* NULL: they go as they are (DQ_PROTECT_NONE) */
    struct dq_sendq sealed; /* with tls: records, of the frames before those in the queue */
    bool blocked;           /* the socket was full: the rest waits until it can be written */
    bool want_write;        /* ... and the loop has not been told yet */
    int send_error;         /* errno of the first failed send: the link is as good as lost */

    struct event *readable;
    struct event *writable;
    uint8_t *in; /* aligned as malloc does */
    size_t in_size;
    size_t in_start; /* first byte not yet delivered */
    size_t in_end;   /* past the last byte received */

    struct dq_tcp_contact contact;
};

struct dq_tcp {
    struct dq_transport common; /* first */

    struct dq_tcp_link *links; /* cfg.nodes of them; the own one is unused */

    int listen_fd;
    struct event *acceptable;
    struct event *accept_again; /* timer, after descriptors ran out */
    GQueue dialled;             /* struct dq_tcp_join, of known peers: dialled, or proved */
    GQueue strangers;           /* struct dq_tcp_join, accepted and not yet proved; oldest first */
};

static inline struct dq_tcp *dq_tcp_of(struct dq_transport *t)
{
    return (struct dq_tcp *)t;
}

/* tcp_join.c */
int dq_tcp_join_listen(struct dq_transport *t, const char *address, uint16_t *port);
int dq_tcp_join_dial(struct dq_transport *t, int node, const struct dq_peer_addr *addr);
void dq_tcp_join_close(struct dq_transport *t);
void dq_tcp_join_forked(struct dq_transport *t);

/* tcp_link.c */
void dq_tcp_link_init(struct dq_tcp_link *l, struct dq_transport *t, int node);
/* The peer is proved; takes over the descriptor and the record layer (NULL: none). */
void dq_tcp_link_up(struct dq_tcp_link *l, int fd, struct dq_tls *tls);
int dq_tcp_link_send(struct dq_tcp_link *l, struct iovec *iov, int count, size_t length);
/* On the loop: sends what is queued, and comes back for what the socket does not take. */
void dq_tcp_link_flush(struct dq_tcp_link *l);
/* The loop's share of what send could not do itself. */
void dq_tcp_link_called(struct dq_tcp_link *l);
void dq_tcp_link_lost(struct dq_tcp_link *l, const char *why);
void dq_tcp_link_broken(struct dq_tcp_link *l, const char *why);
void dq_tcp_link_close(struct dq_tcp_link *l);

/* tcp_contact.c: prepares a socket; begins to watch the links. On the loop. */
void dq_tcp_contact_tune(const struct dq_transport *t, int fd);
void dq_tcp_contact_start(struct dq_transport *t);

#endif
