/*
 * Test help: a node of a TCP mesh with a loop thread of its own, which records what happens
 * to it; and a raw peer that speaks the handshake by hand.
 * Not a module: included by the one file of a test program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_TESTS_TCP_NODE_H
#define DQ_TESTS_TCP_NODE_H

#include <arpa/inet.h>
#include <event2/event.h>
#include <glib.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/auth.h"
#include "proto/transport.h"

#define TEST_BUILD "test-build-1"
#ifndef TEST_ADDRESS /* where nodes listen */
#define TEST_ADDRESS "127.0.0.1"
#endif
#define TEST_HANDSHAKE_MS 60000 /* long: no test waits for it, few machines are so slow */

struct tcp_node {
    int id;
    int nodes;
    struct event_base *base;
    struct dq_transport *t;
    GThread *loop;
    uint16_t port;
    int stop[2]; /* a pipe: closing its end stops the loop */
    struct event *stopper;

    pthread_mutex_t lock; /* guards the rest; not GLib's, which ThreadSanitizer cannot see */
    pthread_cond_t cond;  /* any of it changed */
    bool ready;
    int ready_calls;
    int lost_calls[DQ_MAX_NODES];
    bool broken[DQ_MAX_NODES]; /* it was broken() that was called */
    char lost[DQ_MAX_NODES][300];
    GString *notes;
    uint64_t messages;
    bool hold; /* the message callback waits while set */

    void (*on_message)(struct tcp_node *n, int from, unsigned type, const void *body,
                       size_t length); /* called on the loop, unlocked */
    void *user;                        /* on_message's */
};

/* Wait until the condition, an expression over n, holds. */
#define TCP_WAIT(n, condition)                                                                     \
    do {                                                                                           \
        pthread_mutex_lock(&(n)->lock);                                                            \
        while (!(condition)) {                                                                     \
            pthread_cond_wait(&(n)->cond, &(n)->lock);                                             \
        }                                                                                          \
        pthread_mutex_unlock(&(n)->lock);                                                          \
    } while (0)

/* The secret that all use unless told otherwise. */
static uint8_t tcp_test_secret[32] = "of the tests";

/* Where the next tcp_node_new() listens. */
static const char *tcp_test_address; /* NULL: TEST_ADDRESS */

/* The port of the next tcp_node_new(); 0: the kernel's choice. */
static uint16_t tcp_test_port;

/* handshake_ms of the next tcp_node_new(). */
static unsigned tcp_test_handshake_ms = TEST_HANDSHAKE_MS;

/* What the next tcp_node_new() has in its configuration. */
static enum dq_protect tcp_test_protect;
static unsigned tcp_test_contact_ms;

/* A time limit for the program; DQEMU_TIME_SCALE stretches it. */
static G_GNUC_UNUSED void tcp_test_limit(unsigned seconds)
{
    const char *factor = getenv("DQEMU_TIME_SCALE");

    alarm(seconds * (factor ? atoi(factor) : 1));
}

static void node_ready(void *ctx)
{
    struct tcp_node *n = ctx;

    pthread_mutex_lock(&n->lock);
    n->ready = true;
    n->ready_calls++;
    pthread_cond_broadcast(&n->cond);
    pthread_mutex_unlock(&n->lock);
}

static void node_message(void *ctx, int from, unsigned type, const void *body, size_t length)
{
    struct tcp_node *n = ctx;

    g_assert_cmpuint((uintptr_t)body % 8, ==, 0);
    pthread_mutex_lock(&n->lock);
    if (n->on_message) {
        pthread_mutex_unlock(&n->lock);
        n->on_message(n, from, type, body, length);
        pthread_mutex_lock(&n->lock);
    }
    n->messages++;
    pthread_cond_broadcast(&n->cond);
    while (n->hold) {
        pthread_cond_wait(&n->cond, &n->lock);
    }
    pthread_mutex_unlock(&n->lock);
}

static void node_lost(void *ctx, int node, const char *why)
{
    struct tcp_node *n = ctx;

    pthread_mutex_lock(&n->lock);
    n->lost_calls[node]++;
    g_strlcpy(n->lost[node], why, sizeof(n->lost[node]));
    pthread_cond_broadcast(&n->cond);
    pthread_mutex_unlock(&n->lock);
}

static void node_broken(void *ctx, int node, const char *why)
{
    struct tcp_node *n = ctx;

    pthread_mutex_lock(&n->lock);
    n->broken[node] = true;
    pthread_mutex_unlock(&n->lock);
    node_lost(ctx, node, why);
}

static void node_note(void *ctx, const char *text)
{
    struct tcp_node *n = ctx;

    pthread_mutex_lock(&n->lock);
    g_string_append_printf(n->notes, "%s\n", text);
    pthread_cond_broadcast(&n->cond);
    pthread_mutex_unlock(&n->lock);
}

static const struct dq_transport_events node_events = {node_ready, node_message, node_lost,
                                                       node_note, node_broken};

/* A node that listens at tcp_test_address; its loop runs from tcp_node_run() on. */
static G_GNUC_UNUSED struct tcp_node *tcp_node_new(int id, int nodes, const uint8_t *secret,
                                                   const char *build)
{
    struct tcp_node *n = g_new0(struct tcp_node, 1);
    struct dq_transport_config cfg = {
        .node = id,
        .nodes = nodes,
        .build_id = build ? build : TEST_BUILD,
        .handshake_ms = tcp_test_handshake_ms,
        .protect = tcp_test_protect,
        .contact_ms = tcp_test_contact_ms,
    };

    memcpy(cfg.secret, secret ? secret : tcp_test_secret, sizeof(cfg.secret));
    n->id = id;
    n->nodes = nodes;
    n->notes = g_string_new(NULL);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->cond, NULL);
    n->base = event_base_new();
    n->t = dq_transport_tcp.create(n->base, &cfg, &node_events, n);
    g_assert_nonnull(n->t);
    n->port = tcp_test_port;
    g_assert_cmpint(
        dq_transport_tcp.listen(n->t, tcp_test_address ? tcp_test_address : TEST_ADDRESS, &n->port),
        ==, 0);
    return n;
}

static gpointer node_loop(gpointer arg)
{
    struct tcp_node *n = arg;

    event_base_loop(n->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

/* The end of a loop, from another thread: libevent itself is not told about threads. */
static void node_stop(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_node *n = arg;

    (void)fd, (void)what;
    event_base_loopbreak(n->base);
}

static G_GNUC_UNUSED void tcp_node_run(struct tcp_node *n, const struct dq_peer_addr *peers)
{
    g_assert_cmpint(pipe(n->stop), ==, 0);
    n->stopper = event_new(n->base, n->stop[0], EV_READ, node_stop, n);
    event_add(n->stopper, NULL);
    g_assert_cmpint(dq_transport_tcp.connect(n->t, peers), ==, 0);
    n->loop = g_thread_new("loop", node_loop, n);
}

/* Gives each message to `on_message` from now on. */
static G_GNUC_UNUSED void tcp_node_listen(struct tcp_node *n,
                                          void (*on_message)(struct tcp_node *n, int from,
                                                             unsigned type, const void *body,
                                                             size_t length),
                                          void *user)
{
    pthread_mutex_lock(&n->lock);
    n->user = user;
    n->on_message = on_message;
    pthread_mutex_unlock(&n->lock);
}

static G_GNUC_UNUSED void tcp_node_free(struct tcp_node *n)
{
    if (n->loop) {
        close(n->stop[1]);
        g_thread_join(n->loop);
        event_free(n->stopper);
        close(n->stop[0]);
    }
    dq_transport_tcp.destroy(n->t);
    event_base_free(n->base);
    g_string_free(n->notes, TRUE);
    pthread_mutex_destroy(&n->lock);
    pthread_cond_destroy(&n->cond);
    g_free(n);
}

/* Addresses of nodes[0..count-1]. */
static G_GNUC_UNUSED void tcp_addresses(struct tcp_node **nodes, int count,
                                        struct dq_peer_addr *peers)
{
    for (int i = 0; i < count; i++) {
        strcpy(peers[i].address, TEST_ADDRESS);
        peers[i].port = nodes[i]->port;
    }
}

/* Starts `count` nodes as one mesh and waits until all are ready. */
static G_GNUC_UNUSED void tcp_mesh_new(struct tcp_node **nodes, int count)
{
    struct dq_peer_addr peers[DQ_MAX_NODES];

    for (int i = 0; i < count; i++) {
        nodes[i] = tcp_node_new(i, count, NULL, NULL);
    }
    tcp_addresses(nodes, count, peers);
    for (int i = 0; i < count; i++) {
        tcp_node_run(nodes[i], peers);
    }
    for (int i = 0; i < count; i++) {
        TCP_WAIT(nodes[i], nodes[i]->ready);
    }
}

static G_GNUC_UNUSED void tcp_mesh_free(struct tcp_node **nodes, int count)
{
    for (int i = 0; i < count; i++) {
        tcp_node_free(nodes[i]);
    }
}

/* A connected blocking socket. */
static G_GNUC_UNUSED int raw_connect(uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), ==, 0);
    return fd;
}

static G_GNUC_UNUSED void raw_send(int fd, const void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

        g_assert_cmpint(n, >, 0);
        bytes = (const char *)bytes + n;
        length -= n;
    }
}

/* The handshake on a blocking socket; DQ_AUTH_MORE: the other end closed before its end. */
static G_GNUC_UNUSED enum dq_auth_result raw_handshake(int fd, const struct dq_auth_config *cfg,
                                                       char why[256])
{
    enum dq_auth_result result = DQ_AUTH_MORE;
    struct dq_auth a;
    uint8_t in[256];
    const void *out;
    size_t length;

    g_assert_cmpint(dq_auth_open(&a, cfg), ==, 0);
    while (result == DQ_AUTH_MORE) {
        ssize_t n;

        length = dq_auth_take(&a, &out);
        raw_send(fd, out, length);
        n = recv(fd, in, dq_auth_wants(&a), 0);
        if (n <= 0) {
            return DQ_AUTH_MORE;
        }
        result = dq_auth_feed(&a, in, n);
    }
    length = dq_auth_take(&a, &out);
    raw_send(fd, out, length);
    g_strlcpy(why, dq_auth_why(&a), 256);
    return result;
}

/* Reads until the other end closes; how many bytes came. */
static G_GNUC_UNUSED size_t raw_drain(int fd)
{
    char bytes[4096];
    size_t total = 0;
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
        total += n;
    }
    return total;
}

#endif
