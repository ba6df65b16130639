/*
 * Bytes that wait to be sent: a queue of large chunks, handed to writev() as they are.
 *
 * Not locked: its owner's lock guards it. Owns its memory; a zeroed struct is an empty queue.
 * Never blocks, never fails (GLib ends the process when memory runs out).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_SENDQ_H
#define DQ_PROTO_SENDQ_H

#include <stddef.h>
#include <sys/uio.h>

struct dq_sendq_chunk;

struct dq_sendq {
    struct dq_sendq_chunk *head;
    struct dq_sendq_chunk *tail;
    struct dq_sendq_chunk *spare; /* a few kept, so that a steady flow allocates nothing */
    unsigned spares;
    size_t bytes; /* in the queue */
};

/* Copies the bytes to the end of the queue, leaving out the first `skip` of them. */
void dq_sendq_push(struct dq_sendq *q, const struct iovec *iov, int count, size_t skip);

/* The first bytes of the queue, in up to `max` pieces: how many pieces. */
int dq_sendq_peek(const struct dq_sendq *q, struct iovec *iov, int max);

/* The first `length` bytes are sent. */
void dq_sendq_drop(struct dq_sendq *q, size_t length);

/* Forgets everything, spare included. */
void dq_sendq_clear(struct dq_sendq *q);

#endif
