/*
 * Flow control between two nodes by credits: who may send how many packets before the other
 * has room for them again. One struct at each end of a connection, for both directions.
 *
 * The receiver of packets announces how many it has room for (`most`): so many receive buffers
 * wait for this peer. A packet takes one credit; the receiver owes it from the moment that it
 * has dealt with the packet, and returns what it owes with its next packet. If it has none to
 * send, it returns them by a message of their own once it owes a quarter of them, or has dealt
 * with a quarter of the bytes that can lie in its landing area.
 *
 * No buffer is ever missing. A message that only returns credits takes none, so it needs
 * buffers beyond `most`. How many? Two such messages have at least a quarter of the packets, or
 * a quarter of the landing area, between them, which their receiver had sent. While it does
 * not read, it cannot have more than all of either under way. So at most four and four such
 * messages wait for it: DQ_CREDIT_RETURNS.
 *
 * No deadlock. Suppose A waits for credits (or space) of B. All that A has sent is either under
 * way, which B's loop will see and deal with, since dealing never waits for sending; or dealt
 * with. When B has dealt with all, what it still owes is less than a quarter of the packets
 * and of the bytes, or it returns them, which needs neither credit nor space. So A has three
 * quarters of its credits, and space for any packet as long as the landing area holds a quarter
 * of itself, one packet that was skipped at its end, and one more (asserted in proto/rdma.h).
 *
 * Pure: no threads, never blocks. The caller's lock guards it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_CREDIT_H
#define DQ_PROTO_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#define DQ_CREDIT_RETURNS 8u

struct dq_credit {
    uint32_t most;       /* packets that the peer has room for */
    uint32_t out;        /* sent, and not yet returned */
    uint32_t room;       /* packets that this end has room for */
    uint64_t bytes;      /* of this end's landing area */
    uint32_t owed;       /* packets dealt with, and not yet returned */
    uint64_t owed_bytes; /* what they took of the landing area */
};

/* room: at least 4. Nothing may be sent before dq_credit_granted(). */
void dq_credit_init(struct dq_credit *c, uint32_t room, uint64_t bytes);

/* The peer has room for so many packets. */
void dq_credit_granted(struct dq_credit *c, uint32_t most);

/* Takes a credit for one packet. False: there is none. */
bool dq_credit_take(struct dq_credit *c);

/* The peer returns so many. 0; -EPROTO: more than it had. */
int dq_credit_returned(struct dq_credit *c, uint32_t count);

/* A packet has been dealt with, which had so many bytes in the landing area. */
void dq_credit_owe(struct dq_credit *c, uint64_t bytes);

/* Must what is owed be returned by a message of its own, unless a packet leaves now? */
bool dq_credit_due(const struct dq_credit *c);

/* What to return with the packet or message that leaves now; from then on it is not owed. */
uint16_t dq_credit_give(struct dq_credit *c);

#endif
