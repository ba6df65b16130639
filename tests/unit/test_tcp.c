/*
 * The TCP transport between nodes that behave: order, integrity, self-sends, backpressure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/unit/tcp_node.h"

#define SENDERS 2 /* threads per node */

/* What a message with these numbers carries: both ends make it for themselves. */
static void fill(uint8_t *bytes, size_t length, uint64_t stream, uint64_t seq)
{
    uint64_t x = stream * UINT64_C(0x9e3779b97f4a7c15) + seq * UINT64_C(0xbf58476d1ce4e5b9) + 1;

    for (size_t i = 0; i < length; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(bytes + i, &x, MIN(8, length - i));
    }
}

static void check(const uint8_t *bytes, size_t length, uint64_t stream, uint64_t seq)
{
    g_autofree uint8_t *want = g_malloc(length + 1);

    fill(want, length, stream, seq);
    g_assert_cmpmem(bytes, length, want, length);
}

/* Trailing bytes of the LISTED with this number: all residues, some long. */
static size_t listed_length(uint64_t seq)
{
    return seq % 97 == 13 ? 70001 : seq % 101;
}

/* One message of three kinds; a stream numbers its messages from 0. */
static int send_numbered(struct tcp_node *n, int to, uint64_t stream, uint64_t seq)
{
    uint8_t page[DQ_PAGE_SIZE];
    struct dq_msg_page m = {.page = seq, .count = stream};
    g_autofree uint8_t *body = NULL;
    size_t length;

    switch (seq % 3) {
    case 0:
        return dq_transport_tcp.send(n->t, to, DQ_MSG_GET_S, &m, sizeof(m), NULL, 0);
    case 1:
        fill(page, sizeof(page), stream, seq);
        return dq_transport_tcp.send(n->t, to, DQ_MSG_DATA_X, &m, sizeof(m), page, 1);
    default:
        length = listed_length(seq);
        body = g_malloc(sizeof(struct dq_msg_range) + length);
        *(struct dq_msg_range *)body = (struct dq_msg_range){.page = seq, .cookie = stream};
        fill(body + sizeof(struct dq_msg_range), length, stream, seq);
        return dq_transport_tcp.send(n->t, to, DQ_MSG_LISTED, body,
                                     sizeof(struct dq_msg_range) + length, NULL, 0);
    }
}

/* Next number expected, by sending node and stream. Used as `user`, on the loop only. */
struct expected {
    uint64_t next[DQ_MAX_NODES][SENDERS];
    unsigned depth;
};

static void check_numbered(struct tcp_node *n, int from, unsigned type, const void *body,
                           size_t length)
{
    struct expected *e = n->user;
    const struct dq_msg_page *m = body;
    const struct dq_msg_range *r = body;
    uint64_t stream = type == DQ_MSG_LISTED ? r->cookie : m->count;
    uint64_t seq = type == DQ_MSG_LISTED ? r->page : m->page;

    g_assert_cmpuint(stream, <, SENDERS);
    g_assert_cmpuint(seq, ==, e->next[from][stream]++);
    switch (type) {
    case DQ_MSG_GET_S:
        g_assert_cmpuint(length, ==, sizeof(*m));
        break;
    case DQ_MSG_DATA_X:
        g_assert_cmpuint(length, ==, sizeof(*m) + DQ_PAGE_SIZE);
        check((const uint8_t *)(m + 1), DQ_PAGE_SIZE, stream, seq);
        break;
    case DQ_MSG_LISTED:
        g_assert_cmpuint(length, ==, sizeof(*r) + listed_length(seq));
        check((const uint8_t *)(r + 1), length - sizeof(*r), stream, seq);
        break;
    default:
        g_assert_not_reached();
    }
}

struct sender {
    struct tcp_node *n;
    uint64_t stream;
    uint64_t count;
};

static gpointer send_to_all(gpointer arg)
{
    struct sender *s = arg;

    for (uint64_t i = 0; i < s->count; i++) {
        for (int to = 0; to < s->n->nodes; to++) {
            g_assert_cmpint(send_numbered(s->n, to, s->stream, i), ==, 0);
        }
    }
    return NULL;
}

static void expect_numbered(struct tcp_node **nodes, int count)
{
    for (int i = 0; i < count; i++) {
        tcp_node_listen(nodes[i], check_numbered, g_new0(struct expected, 1));
    }
}

static void all_to_all(struct tcp_node **nodes, int count, uint64_t messages)
{
    struct sender s[DQ_MAX_NODES * SENDERS];
    GThread *threads[DQ_MAX_NODES * SENDERS];

    for (int i = 0; i < count * SENDERS; i++) {
        s[i] = (struct sender){nodes[i / SENDERS], i % SENDERS, messages};
        threads[i] = g_thread_new("sender", send_to_all, &s[i]);
    }
    for (int i = 0; i < count * SENDERS; i++) {
        g_thread_join(threads[i]);
    }
    for (int i = 0; i < count; i++) {
        TCP_WAIT(nodes[i], nodes[i]->messages == messages * count * SENDERS);
    }
}

static void free_expected(struct tcp_node **nodes, int count)
{
    gpointer users[DQ_MAX_NODES];

    for (int i = 0; i < count; i++) {
        users[i] = nodes[i]->user;
    }
    tcp_mesh_free(nodes, count);
    for (int i = 0; i < count; i++) {
        g_free(users[i]);
    }
}

static void add_traffic(struct tcp_node **nodes, int count, uint64_t *in, uint64_t *out)
{
    *in = *out = 0;
    for (int i = 0; i < count; i++) {
        uint64_t node_in, node_out;

        dq_transport_tcp.traffic(nodes[i]->t, &node_in, &node_out);
        *in += node_in;
        *out += node_out;
    }
}

static void test_mesh(void)
{
    gint64 limit = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;
    struct tcp_node *nodes[4];
    uint64_t in = 0, out = 0;

    tcp_mesh_new(nodes, 4);
    expect_numbered(nodes, 4);
    all_to_all(nodes, 4, 1000);
    /* bytes may have arrived before their sender gets to count them */
    do {
        add_traffic(nodes, 4, &in, &out);
    } while (in != out && g_get_monotonic_time() < limit && sched_yield() == 0);
    for (int i = 0; i < 4; i++) {
        pthread_mutex_lock(&nodes[i]->lock);
        g_assert_cmpint(nodes[i]->ready_calls, ==, 1);
        g_assert_cmpstr(nodes[i]->notes->str, ==, "");
        for (int k = 0; k < 4; k++) {
            g_assert_cmpint(nodes[i]->lost_calls[k], ==, 0);
        }
        pthread_mutex_unlock(&nodes[i]->lock);
    }
    g_assert_cmpuint(in, ==, out);
    g_assert_cmpuint(in, >, UINT64_C(12) * SENDERS * 333 * DQ_PAGE_SIZE);
    free_expected(nodes, 4);
}

static void test_largest_mesh(void)
{
    struct tcp_node *nodes[DQ_MAX_NODES];

    tcp_mesh_new(nodes, DQ_MAX_NODES);
    expect_numbered(nodes, DQ_MAX_NODES);
    all_to_all(nodes, DQ_MAX_NODES, 4);
    free_expected(nodes, DQ_MAX_NODES);
}

static void test_alone(void)
{
    struct tcp_node *n[1];

    tcp_mesh_new(n, 1);
    expect_numbered(n, 1);
    all_to_all(n, 1, 20000);
    TCP_WAIT(n[0], n[0]->ready_calls == 1);
    free_expected(n, 1);
}

/* Answers each number but the last with the next, to itself. */
static void count_down(struct tcp_node *n, int from, unsigned type, const void *body, size_t length)
{
    struct expected *e = n->user;
    struct dq_msg_cookie m = *(const struct dq_msg_cookie *)body;

    g_assert_cmpint(from, ==, n->id);
    g_assert_cmpuint(e->depth, ==, 0);
    e->depth++;
    if (m.cookie-- > 0) {
        g_assert_cmpint(dq_transport_tcp.send(n->t, n->id, type, &m, length, NULL, 0), ==, 0);
    }
    e->depth--;
}

static void test_self_send_returns_first(void)
{
    struct dq_msg_cookie m = {.cookie = 999};
    struct expected e = {.depth = 0};
    struct tcp_node *n[1];

    tcp_mesh_new(n, 1);
    tcp_node_listen(n[0], count_down, &e);
    dq_transport_tcp.send(n[0]->t, 0, DQ_MSG_END, &m, sizeof(m), NULL, 0);
    TCP_WAIT(n[0], n[0]->messages == 1000);
    tcp_mesh_free(n, 1);
}

static void set_hold(struct tcp_node *n, bool hold)
{
    pthread_mutex_lock(&n->lock);
    n->hold = hold;
    pthread_cond_broadcast(&n->cond);
    pthread_mutex_unlock(&n->lock);
}

static size_t big_length(uint64_t seq)
{
    static const size_t lengths[] = {
        DQ_MAX_BODY,      0,      1, 131072 - 32, 131072 - 31, DQ_MAX_BODY - 1,
        DQ_MAX_BODY - 25, 524288, 7, 65536,       131072,      DQ_MAX_BODY,
    };
    size_t length = lengths[seq % G_N_ELEMENTS(lengths)];

    return MIN(length, DQ_MAX_BODY - sizeof(struct dq_msg_range));
}

static void check_big(struct tcp_node *n, int from, unsigned type, const void *body, size_t length)
{
    struct expected *e = n->user;
    const struct dq_msg_range *r = body;

    g_assert_cmpint(type, ==, DQ_MSG_LISTED);
    g_assert_cmpuint(r->page, ==, e->next[from][0]++);
    g_assert_cmpuint(length, ==, sizeof(*r) + big_length(r->page));
    check((const uint8_t *)(r + 1), length - sizeof(*r), 5, r->page);
}

/* Sent in bursts to a reader that stands still, so that full sockets cut bodies in two. */
static void test_big_bodies(void)
{
    g_autofree uint8_t *body = g_malloc(DQ_MAX_BODY);
    struct dq_msg_range *r = (struct dq_msg_range *)body;
    struct tcp_node *nodes[2];

    tcp_mesh_new(nodes, 2);
    expect_numbered(nodes, 2);
    tcp_node_listen(nodes[1], check_big, nodes[1]->user);
    for (uint64_t i = 0; i < 96; i++) {
        if (i % 24 == 0) {
            TCP_WAIT(nodes[1], nodes[1]->messages == i);
            set_hold(nodes[1], true);
        }
        *r = (struct dq_msg_range){.page = i};
        fill(body + sizeof(*r), big_length(i), 5, i);
        g_assert_cmpint(dq_transport_tcp.send(nodes[0]->t, 1, DQ_MSG_LISTED, body,
                                              sizeof(*r) + big_length(i), NULL, 0),
                        ==, 0);
        if (i % 24 == 23) {
            set_hold(nodes[1], false);
        }
    }
    TCP_WAIT(nodes[1], nodes[1]->messages == 96);
    free_expected(nodes, 2);
}

/* The reader stands still for all of it, so every sender must come back by itself. */
static void test_slow_reader(void)
{
    struct sender s[SENDERS];
    GThread *threads[SENDERS];
    struct tcp_node *nodes[3];

    tcp_mesh_new(nodes, 3);
    expect_numbered(nodes, 3);
    set_hold(nodes[1], true);
    for (int i = 0; i < SENDERS; i++) {
        s[i] = (struct sender){nodes[0], i, 3000};
        threads[i] = g_thread_new("sender", send_to_all, &s[i]);
    }
    for (int i = 0; i < SENDERS; i++) {
        g_thread_join(threads[i]);
    }
    TCP_WAIT(nodes[2], nodes[2]->messages == 3000 * SENDERS);
    TCP_WAIT(nodes[1], nodes[1]->messages <= 1);
    set_hold(nodes[1], false);
    TCP_WAIT(nodes[1], nodes[1]->messages == 3000 * SENDERS);
    free_expected(nodes, 3);
}

static void test_sent_before_connected(void)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *nodes[2];

    for (int i = 0; i < 2; i++) {
        nodes[i] = tcp_node_new(i, 2, NULL, NULL);
    }
    expect_numbered(nodes, 2);
    for (uint64_t i = 0; i < 200; i++) {
        for (int k = 0; k < 4; k++) {
            g_assert_cmpint(send_numbered(nodes[k / 2], k % 2, 0, i), ==, 0);
        }
    }
    tcp_addresses(nodes, 2, peers);
    for (int i = 0; i < 2; i++) {
        tcp_node_run(nodes[i], peers);
    }
    for (int i = 0; i < 2; i++) {
        TCP_WAIT(nodes[i], nodes[i]->messages == 400);
    }
    free_expected(nodes, 2);
}

static void test_ipv6(void)
{
    struct tcp_node *n = tcp_node_new(0, 1, NULL, NULL);
    struct dq_transport_config cfg = {.nodes = 1, .build_id = "b", .handshake_ms = 100};
    struct dq_transport_events none = {0};
    struct dq_transport *t = dq_transport_tcp.create(n->base, &cfg, &none, NULL);
    uint16_t port = 0;
    int err = dq_transport_tcp.listen(t, "::1", &port);

    if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT) {
        g_test_skip("this machine has no IPv6 loopback");
    } else {
        g_assert_cmpint(err, ==, 0);
        g_assert_cmpuint(port, >, 0);
    }
    dq_transport_tcp.destroy(t);
    tcp_node_free(n);
}

static void test_bad_configurations(void)
{
    struct event_base *base = event_base_new();
    struct dq_transport_events none = {0};
    static const int numbers[][2] = {{0, 0}, {-1, 2}, {2, 2}, {0, DQ_MAX_NODES + 1}};
    struct dq_transport_config cfg = {.nodes = 1, .handshake_ms = 100};
    char build[DQ_BUILD_ID_SIZE + 1];

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        struct dq_transport_config bad = {
            .node = numbers[i][0], .nodes = numbers[i][1], .build_id = "b"};

        g_assert_null(dq_transport_tcp.create(base, &bad, &none, NULL));
        g_assert_cmpint(errno, ==, EINVAL);
    }
    memset(build, 'b', sizeof(build));
    build[DQ_BUILD_ID_SIZE] = 0;
    cfg.build_id = build;
    g_assert_null(dq_transport_tcp.create(base, &cfg, &none, NULL));
    cfg.build_id = "b";
    cfg.protect = DQ_PROTECT_COUNT;
    g_assert_null(dq_transport_tcp.create(base, &cfg, &none, NULL));
    event_base_free(base);
}

static const struct level {
    const char *name;
    enum dq_protect protect;
} levels[] = {
    {"none", DQ_PROTECT_NONE},
    {"integrity", DQ_PROTECT_INTEGRITY},
    {"encrypt", DQ_PROTECT_ENCRYPT},
};

struct case_at {
    const struct level *level;
    void (*test)(void);
};

static void run_at(gconstpointer data)
{
    const struct case_at *c = data;

    tcp_test_protect = c->level->protect;
    c->test();
    tcp_test_protect = DQ_PROTECT_NONE;
}

/* The same behaviour, whatever protects the connections. */
static void add(const struct level *level, const char *name, void (*test)(void))
{
    struct case_at *c = g_new(struct case_at, 1);
    g_autofree char *path = g_strdup_printf("/tcp/%s/%s", level->name, name);

    *c = (struct case_at){level, test};
    g_test_add_data_func_full(path, c, run_at, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tcp_test_limit(120);
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        add(&levels[i], "mesh-keeps-order-and-content", test_mesh);
        add(&levels[i], "sent-before-connected-arrives", test_sent_before_connected);
    }
    /* Encryption is integrity with another cipher. */
    for (unsigned i = 0; i <= DQ_PROTECT_INTEGRITY; i++) {
        add(&levels[i], "big-bodies", test_big_bodies);
        add(&levels[i], "slow-reader-blocks-no-sender", test_slow_reader);
    }
    g_test_add_func("/tcp/largest-mesh", test_largest_mesh);
    g_test_add_func("/tcp/one-node-talks-to-itself", test_alone);
    g_test_add_func("/tcp/self-send-returns-before-delivery", test_self_send_returns_first);
    g_test_add_func("/tcp/listens-on-ipv6", test_ipv6);
    g_test_add_func("/tcp/bad-configurations", test_bad_configurations);
    return g_test_run();
}
