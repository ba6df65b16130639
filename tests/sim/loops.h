/*
 * The loops of many nodes and the network between them, in a simple model of time.
 *
 * A message takes its sender's loop some time, then travels, then takes its receiver's loop some
 * time. A loop does one thing at a time, in the order in which messages arrive. The network is never
 * full, channels are in order, messages to oneself cost nothing. Who handles a packet calls
 * loops_send() for what follows from it before the next loops_next().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SIM_LOOPS_H
#define SIM_LOOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

/* Nanoseconds for each message. */
struct loops_cost {
    uint64_t send, receive, travel;
};

struct packet {
    int from, to;
    unsigned type;
    unsigned hops; /* across the network, since loops_settle() */
    struct dq_msg_page m;
};

struct loops;

struct loops *loops_new(int nodes, const struct loops_cost *cost);
void loops_free(struct loops *l);

/* hops: those of the packet that this one follows from; 0: of none. m: NULL, if of no interest. */
void loops_send(struct loops *l, int from, int to, unsigned type, unsigned hops,
                const struct dq_msg_page *m);
/* The same from another thread of the node, whose time it takes: the loop can receive meanwhile. */
void loops_send_beside(struct loops *l, int from, int to, unsigned type);

/* The packet that arrives next, handled from now on. False: there is none. */
bool loops_next(struct loops *l, struct packet *p);

/* The time at the node: when it has done all that it was given so far. */
uint64_t loops_time(const struct loops *l, int node);

/* All nodes have done all; what follows begins at that time, which is returned. */
uint64_t loops_settle(struct loops *l);

/* Messages that crossed the network since loops_forget(): all, and the busiest node's. */
uint64_t loops_messages(const struct loops *l);
uint64_t loops_busiest(const struct loops *l);
void loops_forget(struct loops *l);

/* The nodes with which this one has ever exchanged a message, or would have to: loops_meet(). */
void loops_meet(struct loops *l, int a, int b);
int loops_peers(const struct loops *l, int node);

#endif
