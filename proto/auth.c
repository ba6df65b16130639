/*
 * The handshake of two nodes as a state machine; the MAC is GnuTLS's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/auth.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAC_SIZE 32
#define SAME_BUILD "install the same dqemu on every node"

/*
 * All that a MAC covers. The label is the role of who proves, so that no proof can be sent back;
 * for the key of the record layer it is another, so that neither tells anything of the other.
 */
struct transcript {
    char label[16];
    struct dq_hello connector;
    struct dq_hello acceptor;
    uint32_t code; /* of the verdict; zero in the connector's proof */
    uint32_t zero;
};

static const char connector_label[] = "dqemu connector";
static const char acceptor_label[] = "dqemu acceptor";
static const char key_label[] = "dqemu key";

static int make_mac(const struct dq_auth *a, const char *label, uint32_t code,
                    uint8_t mac[MAC_SIZE])
{
    bool connector = a->cfg.role == DQ_ROLE_CONNECTOR;
    struct transcript t = {
        .connector = connector ? a->mine : a->theirs,
        .acceptor = connector ? a->theirs : a->mine,
        .code = code,
    };

    strcpy(t.label, label);
    return gnutls_hmac_fast(GNUTLS_MAC_SHA256, a->cfg.secret, 32, &t, sizeof(t), mac) ? -EIO : 0;
}

static bool mac_holds(const struct dq_auth *a, const char *label, uint32_t code,
                      const uint8_t mac[MAC_SIZE])
{
    uint8_t want[MAC_SIZE];

    return make_mac(a, label, code, want) == 0 && gnutls_memcmp(want, mac, MAC_SIZE) == 0;
}

static void put(struct dq_auth *a, const void *bytes, size_t length)
{
    memcpy(a->out, bytes, length);
    a->out_length = length;
}

static enum dq_auth_result __attribute__((format(printf, 3, 4)))
end(struct dq_auth *a, enum dq_auth_result result, const char *why, ...)
{
    va_list ap;

    va_start(ap, why);
    vsnprintf(a->why, sizeof(a->why), why, ap);
    va_end(ap);
    a->wait = DQ_AUTH_OVER;
    a->in_length = 0;
    return result;
}

/* Whom a fault before the proof is blamed on: the connector knows whom it dialled. */
static enum dq_auth_result unproved(const struct dq_auth *a)
{
    return a->cfg.role == DQ_ROLE_CONNECTOR ? DQ_AUTH_REFUSED : DQ_AUTH_STRANGER;
}

int dq_auth_open(struct dq_auth *a, const struct dq_auth_config *cfg)
{
    if (cfg->nodes < 1 || cfg->nodes > DQ_MAX_NODES || cfg->node < 0 || cfg->node >= cfg->nodes ||
        strlen(cfg->build_id) >= DQ_BUILD_ID_SIZE || cfg->protect >= DQ_PROTECT_COUNT) {
        return -EINVAL;
    }
    memset(a, 0, sizeof(*a));
    a->cfg = *cfg;
    a->mine = (struct dq_hello){
        .magic = DQ_PROTO_MAGIC,
        .version = DQ_PROTO_VERSION,
        .role = cfg->role,
        .nodes = cfg->nodes,
        .node = cfg->node,
        .peer = cfg->peer,
        .protect = cfg->protect,
    };
    strcpy(a->mine.build, cfg->build_id);
    if (gnutls_rnd(GNUTLS_RND_NONCE, a->mine.nonce, sizeof(a->mine.nonce))) {
        return -EIO;
    }
    if (cfg->role == DQ_ROLE_CONNECTOR) {
        put(a, &a->mine, sizeof(a->mine));
    }
    return 0;
}

static size_t step_size(const struct dq_auth *a)
{
    switch (a->wait) {
    case DQ_AUTH_HELLO:
        return sizeof(struct dq_hello);
    case DQ_AUTH_PROOF:
        return sizeof(struct dq_proof);
    case DQ_AUTH_VERDICT:
        return sizeof(struct dq_verdict);
    case DQ_AUTH_OVER:
        break;
    }
    return 0;
}

size_t dq_auth_wants(const struct dq_auth *a)
{
    return step_size(a) - a->in_length;
}

/* Is the part of the hello that has arrived so far that of a node, and of the other role? */
static bool hello_begins_well(const struct dq_auth *a)
{
    struct dq_hello want = {
        .magic = DQ_PROTO_MAGIC,
        .role = a->cfg.role == DQ_ROLE_CONNECTOR ? DQ_ROLE_ACCEPTOR : DQ_ROLE_CONNECTOR,
    };
    size_t role_end = offsetof(struct dq_hello, role) + sizeof(want.role);
    size_t n = a->in_length < sizeof(want.magic) ? a->in_length : sizeof(want.magic);

    return memcmp(a->in, &want, n) == 0 &&
           (a->in_length < role_end ||
            memcmp(a->in + offsetof(struct dq_hello, role), &want.role, sizeof(want.role)) == 0);
}

static enum dq_auth_result got_hello(struct dq_auth *a)
{
    struct dq_proof proof;

    memcpy(&a->theirs, a->in, sizeof(a->theirs));
    if (a->cfg.role == DQ_ROLE_ACCEPTOR) {
        a->mine.peer = a->theirs.node;
        put(a, &a->mine, sizeof(a->mine));
        a->wait = DQ_AUTH_PROOF;
        return DQ_AUTH_MORE;
    }
    if (make_mac(a, connector_label, 0, proof.mac)) {
        return end(a, DQ_AUTH_REFUSED, "cannot be answered: no HMAC-SHA256 in this GnuTLS");
    }
    put(a, &proof, sizeof(proof));
    a->wait = DQ_AUTH_VERDICT;
    return DQ_AUTH_MORE;
}

/* The peer's build id, cut to what a terminal can show. */
static void printable(char *to, const char *from)
{
    for (int i = 0; i < DQ_BUILD_ID_SIZE; i++) {
        to[i] = from[i] == 0 || (from[i] >= ' ' && from[i] <= '~') ? from[i] : '?';
    }
    to[DQ_BUILD_ID_SIZE - 1] = 0;
}

static const char *protection(uint32_t protect)
{
    static const char *const names[] = {
        [DQ_PROTECT_NONE] = "nothing",
        [DQ_PROTECT_INTEGRITY] = "a check of integrity",
        [DQ_PROTECT_ENCRYPT] = "encryption",
    };

    return protect < DQ_PROTECT_COUNT ? names[protect] : "other means";
}

/* The other end has proved itself: can the two work together? */
static enum dq_auth_result compare(struct dq_auth *a)
{
    const struct dq_hello *h = &a->theirs;
    char build[DQ_BUILD_ID_SIZE];

    if (h->version != DQ_PROTO_VERSION) {
        return end(a, DQ_AUTH_REFUSED,
                   "speaks version %u of the protocol, this node speaks %u; " SAME_BUILD,
                   (unsigned)h->version, DQ_PROTO_VERSION);
    }
    if (memcmp(h->build, a->mine.build, sizeof(h->build)) != 0) {
        printable(build, h->build);
        return end(a, DQ_AUTH_REFUSED, "runs build %s, this node runs %s; " SAME_BUILD, build,
                   a->mine.build);
    }
    if (h->nodes != a->mine.nodes) {
        return end(a, DQ_AUTH_REFUSED, "counts %u nodes in this run, this node counts %u",
                   (unsigned)h->nodes, (unsigned)a->mine.nodes);
    }
    if (h->protect != a->mine.protect) {
        return end(a, DQ_AUTH_REFUSED,
                   "protects its connections by %s, this node by %s; start all nodes with the same",
                   protection(h->protect), protection(a->mine.protect));
    }
    return end(a, DQ_AUTH_DONE, "%s", "");
}

/* Is this the number of a node that connects to this one and has not yet? */
static bool expected_here(const struct dq_auth *a)
{
    const struct dq_hello *h = &a->theirs;

    return h->peer == a->cfg.node && h->node < a->cfg.nodes && !(*a->cfg.taken >> h->node & 1);
}

static enum dq_auth_result got_proof(struct dq_auth *a)
{
    struct dq_verdict v = {.code = DQ_VERDICT_OK};

    if (!mac_holds(a, connector_label, 0, a->in)) {
        v.code = DQ_VERDICT_SECRET;
        put(a, &v, sizeof(v));
        return end(a, DQ_AUTH_STRANGER, "does not know the secret of this run");
    }
    if (!expected_here(a)) {
        v.code = DQ_VERDICT_PLACE;
    }
    if (make_mac(a, acceptor_label, v.code, v.mac)) {
        return end(a, DQ_AUTH_STRANGER, "cannot be answered: no HMAC-SHA256 in this GnuTLS");
    }
    put(a, &v, sizeof(v));
    if (v.code == DQ_VERDICT_PLACE) {
        return end(a, DQ_AUTH_STRANGER, "calls itself node %u and looks for node %u: not expected",
                   (unsigned)a->theirs.node, (unsigned)a->theirs.peer);
    }
    return compare(a);
}

static enum dq_auth_result got_verdict(struct dq_auth *a)
{
    struct dq_verdict v;

    memcpy(&v, a->in, sizeof(v));
    if (v.code == DQ_VERDICT_SECRET) {
        return end(a, DQ_AUTH_REFUSED,
                   "refused the secret of this run; start all nodes from one launcher, and let "
                   "no other run use its port");
    }
    if (!mac_holds(a, acceptor_label, v.code, v.mac)) {
        return end(a, DQ_AUTH_REFUSED,
                   "does not know the secret of this run; is it another run's node that "
                   "listens there?");
    }
    if (a->theirs.node != a->cfg.peer) {
        return end(a, DQ_AUTH_REFUSED, "has the address of node %u; give each node its own",
                   (unsigned)a->theirs.node);
    }
    if (v.code != DQ_VERDICT_OK) {
        return end(a, DQ_AUTH_REFUSED,
                   "refused this node: it did not expect a node %d; give each node its own number",
                   a->cfg.node);
    }
    return compare(a);
}

enum dq_auth_result dq_auth_feed(struct dq_auth *a, const void *bytes, size_t length)
{
    if (length > dq_auth_wants(a)) {
        return end(a, unproved(a), "sent too much");
    }
    memcpy(a->in + a->in_length, bytes, length);
    a->in_length += length;
    if (a->wait == DQ_AUTH_HELLO && !hello_begins_well(a)) {
        return end(a, unproved(a),
                   "does not speak dqemu's protocol; is another program at its port?");
    }
    if (a->wait == DQ_AUTH_OVER || dq_auth_wants(a) > 0) {
        return DQ_AUTH_MORE;
    }
    a->in_length = 0;
    switch (a->wait) {
    case DQ_AUTH_HELLO:
        return got_hello(a);
    case DQ_AUTH_PROOF:
        return got_proof(a);
    case DQ_AUTH_VERDICT:
        return got_verdict(a);
    case DQ_AUTH_OVER:
        break;
    }
    return DQ_AUTH_MORE;
}

size_t dq_auth_take(struct dq_auth *a, const void **bytes)
{
    size_t length = a->out_length;

    *bytes = a->out;
    a->out_length = 0;
    return length;
}

int dq_auth_node(const struct dq_auth *a)
{
    return a->cfg.role == DQ_ROLE_CONNECTOR ? a->cfg.peer : a->theirs.node;
}

int dq_auth_key(const struct dq_auth *a, uint8_t key[DQ_AUTH_KEY_SIZE])
{
    static_assert(DQ_AUTH_KEY_SIZE == MAC_SIZE, "a key is a MAC");
    return make_mac(a, key_label, 0, key);
}

const char *dq_auth_why(const struct dq_auth *a)
{
    return a->why;
}
