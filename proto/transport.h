/*
 * The transport: how messages get from node to node. One table of operations, behind which
 * stand TCP and RDMA.
 *
 * Promises to the layers above: messages from one node to another arrive once, in the order
 * sent, whole (dq_frame_check() has passed); nothing is promised between different pairs of
 * nodes. A node may send to itself: such a message is delivered from the loop, never from
 * within send, in order.
 *
 * Threads: create, listen, connect and destroy on the loop's thread (or before the loop
 * runs); send and traffic on any thread, they never block (what the peer cannot take yet is
 * copied and queued). Callbacks come on the loop's thread only, must not block and must not
 * call destroy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_TRANSPORT_H
#define DQ_PROTO_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

struct event_base;
struct dq_transport;

struct dq_transport_config {
    int node;                /* this node */
    int nodes;               /* how many there are */
    uint8_t secret[32];      /* of this run; never sent */
    const char *build_id;    /* compared in the handshake; shorter than DQ_BUILD_ID_SIZE */
    unsigned handshake_ms;   /* an unauthenticated connection lives this long */
    enum dq_protect protect; /* the same on all nodes; what frames on their way are safe from */
    unsigned contact_ms;     /* a peer whose machine answers nothing so long is lost; 0: never */
};

struct dq_peer_addr {
    char address[64]; /* numeric */
    uint16_t port;
};

struct dq_transport_events {
    /* All peers are connected and have proved who they are. Called once. */
    void (*ready)(void *ctx);
    /*
     * A message. body: `length` bytes as in the frame, valid during the call only. For a
     * message with pages, they are the last bytes of the body.
     */
    void (*message)(void *ctx, int from, unsigned type, const void *body, size_t length);
    /* A peer is gone; `why` is one clause for the user. Called once per peer. */
    void (*lost)(void *ctx, int node, const char *why);
    /* Something worth a line in a verbose log (refused strangers, ...). */
    void (*note)(void *ctx, const char *text);
    /*
     * In place of lost() where it is given: the peer is there no more, or not to be worked with,
     * and cannot have meant it so: silence, altered data, a malformed message. Not for a
     * connection that was closed or reset, as at the end of a run.
     */
    void (*broken)(void *ctx, int node, const char *why);
};

struct dq_transport_ops {
    const char *name;
    /* What its users should know before they trust it with their data; NULL: nothing. */
    const char *caution;
    /* NULL with errno: EINVAL for a configuration that cannot be, or want of descriptors. */
    struct dq_transport *(*create)(struct event_base *base, const struct dq_transport_config *cfg,
                                   const struct dq_transport_events *events, void *ctx);
    /* Bind; *port 0: any, set on return. 0 or -errno. */
    int (*listen)(struct dq_transport *t, const char *address, uint16_t *port);
    /* Start connecting to all peers (an array of cfg.nodes, own entry unused). 0 or -errno. */
    int (*connect)(struct dq_transport *t, const struct dq_peer_addr *peers);
    /* After one of them failed: why, as a clause with its remedy; NULL: the errno says it all. */
    const char *(*why)(struct dq_transport *t);
    /*
     * body: the fixed body, then any trailing bytes but pages. pages: `count` pages of
     * DQ_PAGE_SIZE bytes to place at the end. Any thread. 0, or -ENOTCONN once the peer is lost.
     * A message to a peer that is still connecting waits for it. A frame that dq_frame_check()
     * would refuse is the caller's bug and aborts the process.
     */
    int (*send)(struct dq_transport *t, int to, unsigned type, const void *body, size_t length,
                const void *pages, unsigned count);
    /*
     * Delivers what this node has sent to itself; what is sent meanwhile waits for the next
     * call. On the loop, in each of its turns. True: there was something. Messages of peers may
     * be delivered as well, if they can be seen without asking the kernel.
     */
    bool (*deliver)(struct dq_transport *t);
    /*
     * The end of a turn of the loop. From the first call on, what the loop's thread sends is
     * gathered and leaves here, all for one peer together; so each turn must end with it. True:
     * there is something for deliver(), do not sleep.
     */
    bool (*flush)(struct dq_transport *t);
    /* Bytes sent and received since the start, all peers together. */
    void (*traffic)(struct dq_transport *t, uint64_t *bytes_in, uint64_t *bytes_out);
    /*
     * Offers the network what is still queued, once, then closes. Who needs its last words to
     * arrive waits for the peer to close first. No other thread may be in send.
     */
    void (*destroy)(struct dq_transport *t);
    /*
     * In a forked child, in place of destroy: closes the descriptors and nothing else. Takes no
     * lock and leaves the event base alone, whose epoll instance is the parent's too.
     */
    void (*forked)(struct dq_transport *t);
};

extern const struct dq_transport_ops dq_transport_tcp;
extern const struct dq_transport_ops dq_transport_rdma;

/*
 * Can the RDMA transport listen at this numeric address of this machine? 0, or -errno (-ENODEV:
 * no device has it). One clause in `text`: which device, or why not. Any thread; asks the kernel,
 * and leaves the device open, which is of no use to a forked child: it must execute a program
 * before it uses RDMA itself.
 */
int dq_rdma_probe(const char *address, char *text, size_t size);

#endif
