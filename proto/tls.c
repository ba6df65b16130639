/*
 * The record layer of one connection, by GnuTLS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/tls.h"

#include <errno.h>
#include <glib.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/sendq.h"

/* A burst is read with one system call. */
#define RAW_BYTES (128u * 1024)
/* What TLS allows in one record. */
#define RECORD_BYTES (16u * 1024)
/* All peers of a run know the same name; the key tells them apart. */
#define IDENTITY "dqemu"

#define TLS12_PSK "NONE:+VERS-TLS1.2:+SIGN-ALL:+COMP-NULL:+CTYPE-ALL:+PSK:+AEAD:"

struct dq_tls {
    gnutls_session_t session;
    gnutls_psk_client_credentials_t client;
    gnutls_psk_server_credentials_t server;
    uint8_t key[DQ_AUTH_KEY_SIZE]; /* zero once the handshake is done */
    int fd;
    bool shaken;
    int error; /* of the call that failed; the handshake's or the reader's */
    /* the reader's: bytes from the socket that GnuTLS has not taken */
    size_t raw_start, raw_end;
    uint8_t raw[RAW_BYTES];
};

/* Where records go that this thread makes. */
static _Thread_local struct dq_sendq *sealing;

/* ---- GnuTLS's way to the socket */

/* What the handshake has to say fits into the buffer of any new socket: no queue. */
static ssize_t push_to_socket(struct dq_tls *s, const struct iovec *iov, int count, size_t length)
{
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};

    if (sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length) {
        errno = EPIPE;
        return -1;
    }
    return (ssize_t)length;
}

/*
 * Never refuses: GnuTLS would want the same record again before it took another. Besides what is
 * sealed there are only its alerts; nobody reads them, and the reader's thread may not send.
 */
static ssize_t push(gnutls_transport_ptr_t arg, const giovec_t *iov, int count)
{
    struct dq_tls *s = arg;
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        length += iov[i].iov_len;
    }
    if (!s->shaken) {
        return push_to_socket(s, iov, count, length);
    }
    if (sealing) {
        dq_sendq_push(sealing, iov, count, 0);
    }
    return (ssize_t)length;
}

/* No gnutls_transport_set_errno() here: sender and receiver would share what it sets. */
static ssize_t pull(gnutls_transport_ptr_t arg, void *to, size_t length)
{
    struct dq_tls *s = arg;
    size_t n = MIN(length, s->raw_end - s->raw_start);

    if (!s->shaken) {
        return recv(s->fd, to, length, MSG_DONTWAIT);
    }
    if (n == 0) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(to, s->raw + s->raw_start, n);
    s->raw_start += n;
    return (ssize_t)n;
}

/* ---- life */

static int key_for_server(gnutls_session_t session, const char *name, gnutls_datum_t *key)
{
    const struct dq_tls *s = gnutls_session_get_ptr(session);

    if (strcmp(name, IDENTITY) != 0) {
        return -1;
    }
    key->data = gnutls_malloc(sizeof(s->key));
    if (!key->data) {
        return -1;
    }
    memcpy(key->data, s->key, sizeof(s->key));
    key->size = sizeof(s->key);
    return 0;
}

static int set_credentials(struct dq_tls *s, enum dq_role role)
{
    const gnutls_datum_t key = {s->key, sizeof(s->key)};

    if (role == DQ_ROLE_ACCEPTOR) {
        if (gnutls_psk_allocate_server_credentials(&s->server)) {
            return -1;
        }
        gnutls_psk_set_server_credentials_function(s->server, key_for_server);
        return gnutls_credentials_set(s->session, GNUTLS_CRD_PSK, s->server);
    }
    if (gnutls_psk_allocate_client_credentials(&s->client) ||
        gnutls_psk_set_client_credentials(s->client, IDENTITY, &key, GNUTLS_PSK_KEY_RAW)) {
        return -1;
    }
    return gnutls_credentials_set(s->session, GNUTLS_CRD_PSK, s->client);
}

struct dq_tls *dq_tls_new(enum dq_role role, enum dq_protect protect,
                          const uint8_t key[DQ_AUTH_KEY_SIZE], int fd)
{
    unsigned side = role == DQ_ROLE_ACCEPTOR ? GNUTLS_SERVER : GNUTLS_CLIENT;
    struct dq_tls *s = g_new0(struct dq_tls, 1);

    s->fd = fd;
    memcpy(s->key, key, sizeof(s->key));
    if (gnutls_init(&s->session, side | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL) ||
        gnutls_priority_set_direct(s->session,
                                   protect == DQ_PROTECT_ENCRYPT ? TLS12_PSK "+AES-256-GCM"
                                                                 : TLS12_PSK "+AES-128-GCM",
                                   NULL) ||
        set_credentials(s, role)) {
        dq_tls_free(s);
        return NULL;
    }
    gnutls_session_set_ptr(s->session, s);
    gnutls_transport_set_ptr(s->session, s);
    gnutls_transport_set_vec_push_function(s->session, push);
    gnutls_transport_set_pull_function(s->session, pull);
    return s;
}

static void forget_key(struct dq_tls *s)
{
    gnutls_memset(s->key, 0, sizeof(s->key));
    if (s->client) {
        gnutls_psk_free_client_credentials(s->client);
    }
    if (s->server) {
        gnutls_psk_free_server_credentials(s->server);
    }
    s->client = NULL;
    s->server = NULL;
}

/* Says no farewell: a node that leaves has told so in a message, and a loss is one either way. */
void dq_tls_free(struct dq_tls *s)
{
    if (!s) {
        return;
    }
    if (s->session) {
        gnutls_deinit(s->session);
    }
    forget_key(s);
    g_free(s);
}

const char *dq_tls_why(const struct dq_tls *s)
{
    return gnutls_strerror(s->error);
}

int dq_tls_shake(struct dq_tls *s)
{
    int n;

    do {
        n = gnutls_handshake(s->session);
    } while (n == GNUTLS_E_INTERRUPTED ||
             (n < 0 && n != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(n)));
    if (n == GNUTLS_E_AGAIN) {
        return -EAGAIN;
    }
    if (n < 0) {
        s->error = n;
        return n == GNUTLS_E_PREMATURE_TERMINATION || n == GNUTLS_E_PULL_ERROR ||
                       n == GNUTLS_E_PUSH_ERROR
                   ? -ECONNRESET
                   : -EPROTO;
    }
    s->shaken = true;
    gnutls_credentials_clear(s->session);
    forget_key(s);
    return 0;
}

/* ---- records */

int dq_tls_seal(struct dq_tls *s, struct dq_sendq *plain, struct dq_sendq *sealed, size_t most)
{
    ssize_t n = 0;

    sealing = sealed;
    while (n >= 0 && plain->bytes > 0 && sealed->bytes < most) {
        struct iovec piece;

        dq_sendq_peek(plain, &piece, 1);
        n = gnutls_record_send(s->session, piece.iov_base, MIN(piece.iov_len, RECORD_BYTES));
        if (n > 0) {
            dq_sendq_drop(plain, n);
        }
    }
    sealing = NULL;
    return n < 0 ? -EIO : 0;
}

ssize_t dq_tls_receive(struct dq_tls *s, bool *full)
{
    /* dq_tls_read() has taken all there was, up to its -EAGAIN */
    ssize_t n = recv(s->fd, s->raw, sizeof(s->raw), MSG_DONTWAIT);

    s->raw_start = 0;
    s->raw_end = n > 0 ? (size_t)n : 0;
    *full = s->raw_end == sizeof(s->raw);
    return n;
}

ssize_t dq_tls_read(struct dq_tls *s, void *to, size_t room)
{
    ssize_t n;

    do {
        n = gnutls_record_recv(s->session, to, room);
    } while (n == GNUTLS_E_INTERRUPTED);
    if (n > 0) {
        return n;
    }
    if (n == GNUTLS_E_AGAIN) {
        return -EAGAIN;
    }
    /* 0: a farewell, which no node says; it, alerts and new handshakes are nobody's we know. */
    s->error = n < 0 ? (int)n : GNUTLS_E_UNEXPECTED_PACKET;
    return -EBADMSG;
}
