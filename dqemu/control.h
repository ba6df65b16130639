/*
 * The control channel: what a node and the launcher say to each other. The node's side.
 *
 * One inherited stream socket; one JSON object per line, each with a "type":
 *
 *  launcher -> node  config    version, node, nodes, secret (hex), bind, port, placement,
 *                              protect, verbose, transport ("tcp", which it is if left out, or
 *                              "rdma"), options {tunable: value}, processors [[first, count]] of
 *                              each node (dqemu/processors.h; may be left out), children [word] (the command
 *                              that runs programs which the guest starts; may be left out). The first
 *                              line.
 *  node -> launcher  listening address, port                 (more than one node only, as
 *  launcher -> node  peers     peers [{node, address, port}]  all down to "go")
 *  node -> launcher  ready     the handshakes with all peers are done
 *  launcher -> node  go        sent to all once all are ready
 *  node -> launcher  stats     node, each counter of dqemu/stats.inc, and pages: those homed here
 *                              that were asked for most (dqemu/hot.h), [{page, asked, writes,
 *                              nodes, split}] (the parts of a split page count as that page, at
 *                              their own home); the latest counts
 *  node -> launcher  memory    areas [[start, end, offset, name]]: what lies where in the guest's
 *                              memory, in bytes; node 0 only; such lines add up
 *  node -> launcher  error     status, text, at: the run is over; the first one is shown
 *  node -> launcher  lost      node, left (true: as a peer that leaves looks), text, at: that peer
 *                              is gone, the run is over
 *  node -> launcher  log       text, shown on stderr if the user asked for more words
 *
 * "at" is the time of the report in monotonic microseconds: one fault makes several nodes
 * report at almost the same time. The launcher sends nothing after "go". End of file from it means: die now.
 *
 * dq_control_open() to dq_control_wait_go() are called in that order by one thread, before
 * the loop runs; they block. The senders below them may be called by any thread at any
 * time, block only while the launcher does not read, and do nothing when there is no
 * control channel (not open, closed, or in a forked child). They report no failure: a
 * launcher that is gone is seen as end of file on dq_control_fd().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CONTROL_H
#define DQ_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dqemu/config.h"

struct dq_peer_addr; /* proto/transport.h */

#define DQ_CONTROL_VERSION 1

/*
 * Take over `fd` (close-on-exec from now on) and read the configuration. 0; -EPROTO or
 * -EPROTONOSUPPORT if it is not one (reported through the channel), or -errno. On an error
 * *cfg is unchanged.
 */
int dq_control_open(int fd, struct dq_config *cfg);

/* Can this node have the guest's addresses beyond 64 TiB? Told with the next. Without: no. */
void dq_control_offer_wide(bool can);

/* Tell where this node listens. 0 or -errno. */
int dq_control_listening(const char *address, uint16_t port);

/*
 * Wait for the addresses of all nodes: *out is an array of `nodes` entries, the caller's to
 * free(). 0; -EPROTO; -ECONNRESET if the launcher went away.
 */
int dq_control_peers(struct dq_peer_addr **out, int nodes);
/* After it: has every node offered wide addresses? */
bool dq_control_all_wide(void);

int dq_control_ready(void);   /* 0 or -errno */
int dq_control_wait_go(void); /* 0; -EPROTO; -ECONNRESET */

/* Send the counters as they are now, and the pages asked for most, so many of them. */
#define DQ_CONTROL_PAGES 10
void dq_control_stats(void);

/*
 * What lies where in the guest's memory, so that the user learns what those pages are: a file's
 * path and the place in it, or a word in brackets as in /proc/PID/maps. A few hundred areas at most.
 */
struct dq_control_area {
    uint64_t start, end, offset;
    const char *name;
};
void dq_control_memory(const struct dq_control_area *areas, size_t n);

/*
 * The run cannot go on. One line for the user: the thing, the cause, the remedy (no newline).
 * status: 125 a fault of ours, 126 the program cannot run here, 127 it is missing. The caller
 * then ends the process with that status; the launcher ends the rest. Without a control
 * channel the text goes to stderr as "dqemu: ...". Only the first call of a process counts.
 */
void dq_control_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The connection to peer `node` is lost, which ends the run; `why` is one clause, and `left` says
 * that a peer that leaves looks the same (the transport's lost(), not broken()). The launcher,
 * which sees how that process ended, tells the user. The caller then ends its process with
 * status 125. As dq_control_error() otherwise.
 */
void dq_control_lost(int node, bool left, const char *why);

/* A line for the verbose log. Costs nothing unless the user asked. */
void dq_control_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* To watch for end of file (readable: die now). -1 if there is no channel. */
int dq_control_fd(void);

/* In a forked child: the channel is the parent's; close it here and say nothing more. */
void dq_control_forked(void);

#endif
