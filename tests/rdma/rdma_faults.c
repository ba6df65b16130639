/*
 * The RDMA transport among strangers, peers of another kind, peers that break the rules of
 * proto/rdma_wire.h, and peers that die. Needs the numeric address of an RDMA device in
 * DQEMU_TEST_ADDRESS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/transport.h"

#define TEST_ADDRESS getenv("DQEMU_TEST_ADDRESS")
#define dq_transport_tcp dq_transport_rdma

#include "tests/rdma/raw_peer.h"
#include "tests/unit/tcp_node.h"

#define SHORT_MS 5000
#define HAS(text, part) (strstr(text, part) != NULL)

static struct dq_auth_config connector(int node, int peer, int nodes)
{
    return (struct dq_auth_config){
        .role = DQ_ROLE_CONNECTOR,
        .node = node,
        .nodes = nodes,
        .secret = tcp_test_secret,
        .build_id = TEST_BUILD,
        .peer = peer,
    };
}

static int send_number(struct tcp_node *n, int to, uint64_t number)
{
    struct dq_msg_cookie m = {.cookie = number};

    return dq_transport_rdma.send(n->t, to, DQ_MSG_END, &m, sizeof(m), NULL, 0);
}

static void set_hold(struct tcp_node *n, bool hold)
{
    pthread_mutex_lock(&n->lock);
    n->hold = hold;
    pthread_cond_broadcast(&n->cond);
    pthread_mutex_unlock(&n->lock);
}

/* Node 0 of two, and a raw node 1 that it has accepted. */
static struct tcp_node *raw_node(struct raw_peer *p, uint32_t room)
{
    struct dq_peer_addr none[2] = {0};
    struct dq_auth_config cfg = connector(1, 0, 2);
    struct tcp_node *n = tcp_node_new(0, 2, NULL, NULL);

    tcp_node_run(n, none);
    g_assert_true(raw_connect_rdma(p, TEST_ADDRESS, n->port));
    g_assert_true(raw_greet(p, &cfg));
    raw_join(p, room);
    TCP_WAIT(n, n->ready);
    return n;
}

/* ---- strangers */

static void test_strangers_are_dropped(void)
{
    static const char http[] = "GET / HTTP/1.0\r\n\r\n";
    static const char longer[700];
    struct dq_hello hello = {.magic = DQ_PROTO_MAGIC, .version = 1, .role = DQ_ROLE_CONNECTOR};
    struct dq_hello role = {.magic = DQ_PROTO_MAGIC, .version = 1, .role = DQ_ROLE_ACCEPTOR};
    struct dq_peer_addr peers[2];
    struct tcp_node *nodes[2];
    struct raw_peer p[5];

    tcp_test_handshake_ms = SHORT_MS;
    for (int i = 0; i < 2; i++) {
        nodes[i] = tcp_node_new(i, 2, NULL, NULL);
    }
    tcp_test_handshake_ms = TEST_HANDSHAKE_MS;
    tcp_addresses(nodes, 2, peers);
    tcp_node_run(nodes[0], peers);
    for (int i = 0; i < 5; i++) {
        g_assert_true(raw_connect_rdma(&p[i], TEST_ADDRESS, nodes[0]->port));
    }
    raw_say(&p[0], http, sizeof(http));
    raw_say(&p[1], &role, sizeof(role));
    raw_say(&p[2], longer, sizeof(longer)); /* than any buffer */
    raw_say(&p[3], &hello, sizeof(hello));  /* no proof ever */
    for (int i = 0; i < 3; i++) {
        raw_wait_closed(&p[i]);
    }
    raw_free(&p[4]); /* never said a word */

    /* Meanwhile the cluster forms and works. */
    tcp_node_run(nodes[1], peers);
    TCP_WAIT(nodes[0], nodes[0]->ready);
    TCP_WAIT(nodes[1], nodes[1]->ready);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(send_number(nodes[i], !i, 1), ==, 0);
        TCP_WAIT(nodes[!i], nodes[!i]->messages == 1);
    }
    raw_wait_closed(&p[3]);
    TCP_WAIT(nodes[0], HAS(nodes[0]->notes->str, "does not speak dqemu's protocol") &&
                           HAS(nodes[0]->notes->str, "closed the connection during the handshake"));
    TCP_WAIT(nodes[0], HAS(nodes[0]->notes->str, "did not finish the handshake within 5000 ms"));
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 0);
    tcp_mesh_free(nodes, 2);
    for (int i = 0; i < 4; i++) {
        raw_free(&p[i]);
    }
}

static void test_flood_of_strangers_is_bounded(void)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *nodes[2];
    struct raw_peer p[40];

    for (int i = 0; i < 2; i++) {
        nodes[i] = tcp_node_new(i, 2, NULL, NULL);
    }
    tcp_addresses(nodes, 2, peers);
    tcp_node_run(nodes[0], peers);
    for (unsigned i = 0; i < G_N_ELEMENTS(p); i++) {
        g_assert_true(raw_connect_rdma(&p[i], TEST_ADDRESS, nodes[0]->port));
    }
    raw_wait_closed(&p[0]);
    TCP_WAIT(nodes[0], HAS(nodes[0]->notes->str, "too many connections"));
    tcp_node_run(nodes[1], peers);
    TCP_WAIT(nodes[0], nodes[0]->ready);
    TCP_WAIT(nodes[1], nodes[1]->ready);
    for (unsigned i = 0; i < G_N_ELEMENTS(p); i++) {
        raw_free(&p[i]);
    }
    tcp_mesh_free(nodes, 2);
}

/* ---- peers of another kind */

static void start_two(struct tcp_node **nodes, const uint8_t *secret, const char *build)
{
    struct dq_peer_addr peers[2];

    nodes[0] = tcp_node_new(0, 2, NULL, NULL);
    nodes[1] = tcp_node_new(1, 2, secret, build);
    tcp_addresses(nodes, 2, peers);
    tcp_node_run(nodes[0], peers);
    tcp_node_run(nodes[1], peers);
}

static void test_wrong_secret(void)
{
    uint8_t secret[32] = "another run's";
    struct tcp_node *nodes[2];

    start_two(nodes, secret, NULL);
    TCP_WAIT(nodes[1], nodes[1]->lost_calls[0] == 1);
    TCP_WAIT(nodes[1], HAS(nodes[1]->lost[0], "refused the secret of this run"));
    TCP_WAIT(nodes[0], HAS(nodes[0]->notes->str, "does not know the secret of this run"));
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 0);
    tcp_mesh_free(nodes, 2);
}

static void test_wrong_build(void)
{
    struct tcp_node *nodes[2];

    start_two(nodes, NULL, "test-build-2");
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 1);
    TCP_WAIT(nodes[0], HAS(nodes[0]->lost[1], "runs build test-build-2, this node runs "));
    TCP_WAIT(nodes[1], nodes[1]->lost_calls[0] == 1);
    TCP_WAIT(nodes[1], HAS(nodes[1]->lost[0], "runs build test-build-1, this node runs "));
    tcp_mesh_free(nodes, 2);
}

static void test_number_taken_twice(void)
{
    struct dq_auth_config cfg = connector(1, 0, 2);
    struct tcp_node *nodes[2];
    struct raw_peer p;

    tcp_mesh_new(nodes, 2);
    g_assert_true(raw_connect_rdma(&p, TEST_ADDRESS, nodes[0]->port));
    g_assert_false(raw_greet(&p, &cfg));
    raw_wait_closed(&p);
    raw_free(&p);
    g_assert_cmpint(send_number(nodes[0], 1, 1), ==, 0);
    TCP_WAIT(nodes[1], nodes[1]->messages == 1);
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 0);
    tcp_mesh_free(nodes, 2);
}

/* ---- nobody there, nothing to be had */

static void test_nobody_listens(void)
{
    struct tcp_node *both[2];
    struct dq_peer_addr peers[2];

    both[0] = tcp_node_new(0, 2, NULL, NULL);
    both[1] = tcp_node_new(1, 2, NULL, NULL);
    tcp_addresses(both, 2, peers);
    tcp_node_free(both[0]);
    tcp_node_run(both[1], peers);
    TCP_WAIT(both[1], both[1]->lost_calls[0] == 1);
    TCP_WAIT(both[1], HAS(both[1]->lost[0], "cannot be reached at ") &&
                          HAS(both[1]->lost[0], "connection refused"));
    g_assert_cmpint(send_number(both[1], 0, 1), ==, -ENOTCONN);
    tcp_node_free(both[1]);
}

static void test_silent_listener(void)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *both[2];

    both[0] = tcp_node_new(0, 2, NULL, NULL); /* its loop never runs */
    tcp_test_handshake_ms = 300;
    both[1] = tcp_node_new(1, 2, NULL, NULL);
    tcp_test_handshake_ms = TEST_HANDSHAKE_MS;
    tcp_addresses(both, 2, peers);
    tcp_node_run(both[1], peers);
    TCP_WAIT(both[1], both[1]->lost_calls[0] == 1);
    TCP_WAIT(both[1], HAS(both[1]->lost[0], "within 300 ms"));
    tcp_mesh_free(both, 2);
}

static struct dq_transport *transport_alone(struct event_base *base)
{
    static struct dq_transport_events none;
    struct dq_transport_config cfg = {.nodes = 2, .build_id = "b", .handshake_ms = 100};

    return dq_transport_rdma.create(base, &cfg, &none, NULL);
}

static void test_no_device_has_the_address(void)
{
    struct event_base *base = event_base_new();
    struct dq_transport *t = transport_alone(base);
    uint16_t port = 0;
    char text[256];

    g_assert_cmpint(dq_transport_rdma.listen(t, "192.0.2.1", &port), <, 0);
    g_assert_cmpstr(dq_transport_rdma.why(t), ==,
                    "no RDMA device has address 192.0.2.1; use --transport tcp");
    dq_transport_rdma.destroy(t);
    t = transport_alone(base);
    g_assert_cmpint(dq_transport_rdma.listen(t, "localhost.", &port), ==, -EINVAL);
    dq_transport_rdma.destroy(t);
    event_base_free(base);

    g_assert_cmpint(dq_rdma_probe("192.0.2.1", text, sizeof(text)), <, 0);
    g_assert_cmpstr(text, ==, "no RDMA device of this machine has address 192.0.2.1");
    g_assert_cmpint(dq_rdma_probe(TEST_ADDRESS, text, sizeof(text)), ==, 0);
    g_assert_true(HAS(text, " port 1 has address "));
    g_assert_cmpint(dq_rdma_probe("here", text, sizeof(text)), ==, -EINVAL);
}

static void test_port_in_use(void)
{
    struct tcp_node *n = tcp_node_new(0, 2, NULL, NULL);
    struct dq_transport *t = transport_alone(n->base);
    uint16_t port = n->port;

    g_assert_cmpint(dq_transport_rdma.listen(t, TEST_ADDRESS, &port), ==, -EADDRINUSE);
    g_assert_true(HAS(dq_transport_rdma.why(t), "choose another port"));
    dq_transport_rdma.destroy(t);
    tcp_node_free(n);
}

/* An ordinary user with little memory that may be locked is told how much it takes. */
static void locked_memory_child(void)
{
    struct rlimit little = {64 * 1024, 64 * 1024};
    struct event_base *base;
    struct dq_transport *t;
    uint16_t port = 0;
    int err;

    g_assert_cmpint(setrlimit(RLIMIT_MEMLOCK, &little), ==, 0);
    g_assert_cmpint(setgroups(0, NULL), ==, 0);
    g_assert_cmpint(setgid(65534), ==, 0);
    g_assert_cmpint(setuid(65534), ==, 0);
    base = event_base_new();
    t = transport_alone(base);
    err = dq_transport_rdma.listen(t, TEST_ADDRESS, &port);
    g_assert_cmpint(err, <, 0);
    g_assert_true(HAS(dq_transport_rdma.why(t), " bytes of locked memory, the limit is 65536; "
                                                "raise it (ulimit -l "));
    dq_transport_rdma.destroy(t);
    event_base_free(base);
}

static void test_locked_memory(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        locked_memory_child();
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

/* ---- peers that break the rules */

struct bad {
    struct dq_rdma_head head;
    struct dq_frame frame;
    struct dq_msg_page body;
};

static void test_malformed_packets(void)
{
    static const struct {
        struct bad bad;
        size_t length;
        const char *why;
    } cases[] = {
        {{{24, 0, DQ_RDMA_FRAMES}, {16, 9999, 0}, {0}}, 32, "malformed message (type 9999, 16 "},
        {{{24, 0, DQ_RDMA_FRAMES}, {15, DQ_MSG_GET_S, 0}, {0}}, 32, ", 15 bytes)"},
        {{{24, 0, DQ_RDMA_FRAMES}, {DQ_MAX_BODY + 1, DQ_MSG_START, 0}, {0}},
         32,
         ", 1048577 bytes)"},
        {{{23, 0, DQ_RDMA_FRAMES}, {16, DQ_MSG_GET_S, 0}, {0}}, 31, "malformed packet"},
        {{{24, 0, DQ_RDMA_FRAMES}, {16, DQ_MSG_GET_S, 0}, {0}}, 24, "malformed packet"},
        {{{24, 0, 77}, {16, DQ_MSG_GET_S, 0}, {0}}, 32, "malformed packet"},
        {{{24, 1, DQ_RDMA_FRAMES}, {16, DQ_MSG_GET_S, 0}, {0}}, 32, "malformed packet"},
        {{{0, 9, DQ_RDMA_CREDIT}, {0}, {0}}, 8, "malformed packet"},
        {{{8, 0, DQ_RDMA_PLACED}, {UINT32_MAX, 0, 0}, {0}}, 16, "malformed packet"},
        /* nothing but zeroes has landed there */
        {{{8, 0, DQ_RDMA_PLACED}, {0, 0, 0}, {0}}, 16, "malformed packet"},
        {{{0}, {0}, {0}}, 4, "malformed packet"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct raw_peer p;
        struct tcp_node *n = raw_node(&p, 32);

        raw_say(&p, &cases[i].bad, cases[i].length);
        TCP_WAIT(n, n->lost_calls[1] == 1);
        TCP_WAIT(n, HAS(n->lost[1], cases[i].why));
        TCP_WAIT(n, n->messages == 0);
        g_assert_cmpint(send_number(n, 1, 1), ==, -ENOTCONN);
        raw_wait_closed(&p);
        tcp_node_free(n);
        raw_free(&p);
    }
}

/* Writes where the node has not allowed it: the device refuses, and the node says so. */
static void test_write_out_of_bounds(void)
{
    struct raw_peer p;
    struct tcp_node *n = raw_node(&p, 32);
    struct ibv_wc wc;

    g_assert_cmpint(rdma_post_write(p.id, NULL, p.out, 64, p.mr, 0,
                                    p.theirs.address + p.theirs.size, p.theirs.key),
                    ==, 0);
    if (!p.iwarp) {
        g_assert_cmpint(rdma_get_send_comp(p.id, &wc), ==, 1);
        g_assert_cmpint(wc.status, ==, IBV_WC_REM_ACCESS_ERR);
        rdma_disconnect(p.id);
    }
    TCP_WAIT(n, n->lost_calls[1] == 1);
    TCP_WAIT(n, n->messages == 0);
    tcp_node_free(n);
    raw_free(&p);
}

/* A peer with room for four gets four, and the fifth only once it has returned a credit. */
static void test_credits_are_kept(void)
{
    struct dq_rdma_head one = {.credits = 1, .kind = DQ_RDMA_CREDIT};
    struct raw_peer p;
    struct tcp_node *n = raw_node(&p, 4);
    struct ibv_wc wc;
    size_t length;

    for (uint64_t i = 0; i < 10; i++) {
        g_assert_cmpint(send_number(n, 1, i), ==, 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        raw_hear(&p, &length);
        g_assert_cmpuint(length, ==, 24);
    }
    /* A self-message is delivered after the loop has had every chance to send more. */
    g_assert_cmpint(send_number(n, 0, 0), ==, 0);
    TCP_WAIT(n, n->messages == 1);
    g_assert_cmpint(ibv_poll_cq(p.id->recv_cq, 1, &wc), ==, 0);
    raw_say(&p, &one, sizeof(one));
    /* The rest has been gathered into one packet. */
    raw_hear(&p, &length);
    g_assert_cmpuint(length, ==, sizeof(struct dq_rdma_head) + 6 * 16);
    tcp_node_free(n);
    raw_wait_closed(&p);
    raw_free(&p);
}

/* ---- peers that go */

static void test_connection_closed(void)
{
    struct {
        struct dq_rdma_head head;
        struct dq_frame frame;
        uint64_t part;
    } half = {{16, 0, DQ_RDMA_FRAMES}, {16, DQ_MSG_GET_S, 0}, 0};
    struct raw_peer p;
    struct tcp_node *n = raw_node(&p, 32);

    raw_free(&p);
    TCP_WAIT(n, n->lost_calls[1] == 1);
    TCP_WAIT(n, g_str_has_prefix(n->lost[1], "connection "));
    g_assert_cmpint(send_number(n, 1, 1), ==, -ENOTCONN);
    tcp_node_free(n);

    n = raw_node(&p, 32);
    raw_say(&p, &half, sizeof(half));
    raw_free(&p);
    TCP_WAIT(n, n->lost_calls[1] == 1);
    TCP_WAIT(n, g_str_has_prefix(n->lost[1], "connection "));
    TCP_WAIT(n, n->messages == 0);
    tcp_node_free(n);
}

/* What a peer said before it left is heard, although sends to it fail by then. */
static void test_last_words_are_heard(void)
{
    struct {
        struct dq_rdma_head head;
        struct dq_frame frame;
        struct dq_msg_cookie body;
    } word = {{16, 0, DQ_RDMA_FRAMES}, {8, DQ_MSG_END, 0}, {1}};
    struct raw_peer p;
    struct tcp_node *n = raw_node(&p, 32);

    set_hold(n, true);
    for (int i = 0; i < 30; i++) {
        raw_say(&p, &word, sizeof(word)); /* complete: they are in the node's buffers */
    }
    TCP_WAIT(n, n->messages == 1); /* the loop stands in this one's callback */
    raw_free(&p);
    send_number(n, 1, 0);
    set_hold(n, false);
    TCP_WAIT(n, n->lost_calls[1] == 1);
    TCP_WAIT(n, n->messages == 30);
    tcp_node_free(n);
}

/* What a node said before it left arrives, although nobody waits for it. */
static void test_own_last_words_arrive(void)
{
    struct tcp_node *nodes[2];

    tcp_mesh_new(nodes, 2);
    for (uint64_t i = 0; i < 100; i++) {
        g_assert_cmpint(send_number(nodes[0], 1, i), ==, 0);
    }
    tcp_node_free(nodes[0]);
    TCP_WAIT(nodes[1], nodes[1]->lost_calls[0] == 1);
    TCP_WAIT(nodes[1], nodes[1]->messages == 100);
    TCP_WAIT(nodes[1], g_str_has_prefix(nodes[1]->lost[0], "connection "));
    tcp_node_free(nodes[1]);
}

/* ---- processes */

/* Node 1 of two: joins, forks a child that outlives it, and is killed. */
static void short_lived(int in, int out)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *n;
    pid_t child;

    tcp_test_limit(60);
    n = tcp_node_new(1, 2, NULL, NULL);
    g_assert_cmpint(read(in, peers, sizeof(peers)), ==, sizeof(peers));
    tcp_node_run(n, peers);
    TCP_WAIT(n, n->ready);
    child = fork();
    if (child == 0) {
        dq_transport_rdma.forked(n->t);
        g_assert_cmpint(write(out, "c", 1), ==, 1);
        g_assert_cmpint(read(in, peers, 1), ==, 1); /* until the test is over */
        _exit(0);
    }
    g_assert_cmpint(send_number(n, 0, 7), ==, 0); /* what was registered works on */
    TCP_WAIT(n, n->messages == 1);
    g_assert_cmpint(write(out, "r", 1), ==, 1);
    for (;;) {
        pause();
    }
}

/* A peer that is killed is lost at once, although a forked child of it lives on. */
static void test_killed_process(void)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *n;
    int to[2], from[2];
    char bytes[2];
    pid_t pid;

    g_assert_cmpint(pipe(to), ==, 0);
    g_assert_cmpint(pipe(from), ==, 0);
    pid = fork();
    if (pid == 0) {
        short_lived(to[0], from[1]);
    }
    n = tcp_node_new(0, 2, NULL, NULL);
    tcp_addresses((struct tcp_node *[]){n, n}, 2, peers);
    tcp_node_run(n, peers);
    g_assert_cmpint(write(to[1], peers, sizeof(peers)), ==, sizeof(peers));
    TCP_WAIT(n, n->ready);
    TCP_WAIT(n, n->messages == 1);
    g_assert_cmpint(send_number(n, 1, 8), ==, 0);
    for (int got = 0; got < 2;) {
        got += (int)read(from[0], bytes + got, 2 - got);
    }
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    TCP_WAIT(n, n->lost_calls[1] == 1);
    TCP_WAIT(n, g_str_has_prefix(n->lost[1], "connection "));
    g_assert_cmpint(write(to[1], "e", 1), ==, 1);
    tcp_node_free(n);
    for (int k = 0; k < 2; k++) {
        close(to[k]);
        close(from[k]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tcp_test_limit(120);
    /* Processes first: they are forked while there are no threads. */
    g_test_add_func("/rdma/locked-memory", test_locked_memory);
    g_test_add_func("/rdma/killed-process-is-lost-though-its-child-lives", test_killed_process);
    g_test_add_func("/rdma/strangers-are-dropped", test_strangers_are_dropped);
    g_test_add_func("/rdma/flood-of-strangers-is-bounded", test_flood_of_strangers_is_bounded);
    g_test_add_func("/rdma/wrong-secret", test_wrong_secret);
    g_test_add_func("/rdma/wrong-build", test_wrong_build);
    g_test_add_func("/rdma/number-taken-twice", test_number_taken_twice);
    g_test_add_func("/rdma/nobody-listens", test_nobody_listens);
    g_test_add_func("/rdma/silent-listener", test_silent_listener);
    g_test_add_func("/rdma/no-device-has-the-address", test_no_device_has_the_address);
    g_test_add_func("/rdma/port-in-use", test_port_in_use);
    g_test_add_func("/rdma/malformed-packets", test_malformed_packets);
    g_test_add_func("/rdma/write-out-of-bounds", test_write_out_of_bounds);
    g_test_add_func("/rdma/credits-are-kept", test_credits_are_kept);
    g_test_add_func("/rdma/connection-closed", test_connection_closed);
    g_test_add_func("/rdma/last-words-are-heard", test_last_words_are_heard);
    g_test_add_func("/rdma/own-last-words-arrive", test_own_last_words_arrive);
    return g_test_run();
}
