/*
 * The record layer of one connection: what is between the frames and the socket when the nodes
 * are on several machines. TLS 1.2 by GnuTLS, keyed by the handshake of the nodes (proto/auth.h),
 * which comes first and decides who may take part; here no certificate and no name counts.
 *
 *     DQ_PROTECT_INTEGRITY   PSK, AES-128-GCM: cheaper than a bare MAC (proto/README.md)
 *     DQ_PROTECT_ENCRYPT     PSK, AES-256-GCM
 *
 * Any node. Threads: dq_tls_shake() alone on its session; after it returned 0, one thread at a
 * time may seal (the caller's lock sees to that) while one other, the loop, reads. GnuTLS allows
 * one sender beside one receiver as long as neither changes keys. That is why it is TLS 1.2: its
 * keys change in a new handshake only, which is refused here; TLS 1.3 sends key updates and
 * tickets by itself, and a receiver answers them. One pair of keys serves for a whole run: what
 * 100 TB on one connection leave of AES-GCM's security is a chance of 2^-44 to tell it from noise.
 *
 * No call blocks. Nothing is sent but by dq_tls_shake(): sealed bytes are the caller's to send,
 * so a full socket never leaves a record half given to GnuTLS. The socket stays the caller's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_TLS_H
#define DQ_PROTO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/auth.h"

struct dq_sendq;
struct dq_tls;

/* The connector is TLS's client. The key is copied. NULL: GnuTLS has not got what it takes. */
struct dq_tls *dq_tls_new(enum dq_role role, enum dq_protect protect,
                          const uint8_t key[DQ_AUTH_KEY_SIZE], int fd);
void dq_tls_free(struct dq_tls *s);

/*
 * TLS's handshake, as far as it goes with what has arrived. 0: done; -EAGAIN: call again when
 * the socket can be read; -ECONNRESET: the other end has closed; -EPROTO: see dq_tls_why().
 */
int dq_tls_shake(struct dq_tls *s);

/* After an -EPROTO or -EBADMSG: GnuTLS's words for it. */
const char *dq_tls_why(const struct dq_tls *s);

/*
 * Moves bytes from `plain` to `sealed`, as few records, until `plain` is empty or `sealed` holds
 * `most` bytes. 0 or -EIO.
 */
int dq_tls_seal(struct dq_tls *s, struct dq_sendq *plain, struct dq_sendq *sealed, size_t most);

/* One read from the socket: how many bytes came, as recv() says it. *full: perhaps more wait. */
ssize_t dq_tls_receive(struct dq_tls *s, bool *full);

/*
 * What those bytes said, at most one record a call. More than 0: so many bytes; -EAGAIN: all
 * whole records are read; -EBADMSG: they are not what the other end sent (dq_tls_why()).
 */
ssize_t dq_tls_read(struct dq_tls *s, void *to, size_t room);

#endif
