/*
 * The handshake of two nodes: each proves that it knows the secret of the run, and that it
 * is who it says, without sending the secret.
 *
 *     connector                                   acceptor
 *         hello (version, numbers, build, nonce) ->
 *                                              <- hello
 *         proof  = MAC("connector", both hellos) ->
 *                                              <- verdict, MAC("acceptor", both hellos, code)
 *
 * MAC is HMAC-SHA256 under the secret. Both nonces are in both MACs (no replay), the label
 * differs (no reflection), and all that the hellos say is covered. Differences of version,
 * build or numbers are judged only after the proof, so that a stranger cannot end the run by
 * claiming them, and a node of the run is refused with its reason. The same goes for how the
 * two protect what follows (enum dq_protect).
 *
 * A pure state machine without sockets or time: one struct dq_auth per connection, fed with
 * what arrived. Any node; one thread at a time; never blocks. The caller owns all memory;
 * what the configuration points to must outlive the struct.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_AUTH_H
#define DQ_PROTO_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

enum dq_auth_result {
    DQ_AUTH_MORE,     /* feed more */
    DQ_AUTH_DONE,     /* dq_auth_node() is at the other end; frames follow */
    DQ_AUTH_STRANGER, /* acceptor: nobody whom this run waits for; drop it */
    DQ_AUTH_REFUSED,  /* dq_auth_node() is at the other end, and cannot take part */
};

struct dq_auth_config {
    enum dq_role role;
    int node;
    int nodes;
    const uint8_t *secret; /* 32 bytes */
    const char *build_id;  /* shorter than DQ_BUILD_ID_SIZE */
    int peer;              /* connector: whom it dialled */
    enum dq_protect protect;
    const uint64_t *taken; /* acceptor: bit k is set if node k is not expected, or no longer */
};

/* Private to auth.c, here for its size. */
struct dq_auth {
    struct dq_auth_config cfg;
    struct dq_hello mine;
    struct dq_hello theirs;
    enum { DQ_AUTH_HELLO, DQ_AUTH_PROOF, DQ_AUTH_VERDICT, DQ_AUTH_OVER } wait;
    uint8_t in[sizeof(struct dq_hello)];
    size_t in_length;
    uint8_t out[sizeof(struct dq_hello)];
    size_t out_length;
    char why[256];
};

/* 0; -EINVAL: numbers out of range or a build id too long; -EIO: no random numbers. */
int dq_auth_open(struct dq_auth *a, const struct dq_auth_config *cfg);

/* How many bytes may be read from the other end now: what follows them may be a frame. */
size_t dq_auth_wants(const struct dq_auth *a);

/*
 * `length` bytes have arrived, at most dq_auth_wants(). After anything but DQ_AUTH_MORE the
 * machine is over. Output may be due after any result.
 */
enum dq_auth_result dq_auth_feed(struct dq_auth *a, const void *bytes, size_t length);

/*
 * Bytes to send now, and forgotten by this call: *bytes is valid until the next call
 * on `a`. 0: nothing.
 */
size_t dq_auth_take(struct dq_auth *a, const void **bytes);

/* Who is at the other end (acceptor: valid after DQ_AUTH_DONE and DQ_AUTH_REFUSED). */
int dq_auth_node(const struct dq_auth *a);

/*
 * After DQ_AUTH_DONE: a key for this connection alone, the same at both ends, for its record
 * layer. Made of the secret and all that both hellos say. 0, or -EIO.
 */
#define DQ_AUTH_KEY_SIZE 32
int dq_auth_key(const struct dq_auth *a, uint8_t key[DQ_AUTH_KEY_SIZE]);

/* After STRANGER and REFUSED: one clause about the other end, for people. */
const char *dq_auth_why(const struct dq_auth *a);

#endif
