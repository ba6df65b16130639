/*
 * The TCP transport among strangers, peers of another kind, and peers that die.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/tcp_node.h"

/* Short enough to wait for, long enough for a handshake of our own on a loaded machine. */
#define SHORT_MS 3000

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

    return dq_transport_tcp.send(n->t, to, DQ_MSG_END, &m, sizeof(m), NULL, 0);
}

/* Node 0 of two, alone so far; returns the socket of a raw node 1, accepted. */
static int raw_peer(struct tcp_node **n)
{
    struct dq_peer_addr none[2] = {0};
    struct dq_auth_config cfg = connector(1, 0, 2);
    char why[256];
    int fd;

    *n = tcp_node_new(0, 2, NULL, NULL);
    tcp_node_run(*n, none);
    fd = raw_connect((*n)->port);
    g_assert_cmpint(raw_handshake(fd, &cfg, why), ==, DQ_AUTH_DONE);
    TCP_WAIT(*n, (*n)->ready);
    return fd;
}

/* ---- strangers */

static void test_strangers_are_dropped(void)
{
    static const char http[] = "GET / HTTP/1.0\r\n\r\n";
    struct dq_hello hello = {.magic = DQ_PROTO_MAGIC, .version = 1, .role = DQ_ROLE_CONNECTOR};
    struct dq_hello role = {.magic = DQ_PROTO_MAGIC, .version = 1, .role = DQ_ROLE_ACCEPTOR};
    struct dq_peer_addr peers[2];
    struct tcp_node *nodes[2];
    int fd[6];

    tcp_test_handshake_ms = SHORT_MS;
    for (int i = 0; i < 2; i++) {
        nodes[i] = tcp_node_new(i, 2, NULL, NULL);
    }
    tcp_test_handshake_ms = TEST_HANDSHAKE_MS;
    tcp_addresses(nodes, 2, peers);
    tcp_node_run(nodes[0], peers);
    for (int i = 0; i < 6; i++) {
        fd[i] = raw_connect(nodes[0]->port);
    }
    raw_send(fd[0], http, sizeof(http));
    raw_send(fd[1], "d", 1);  /* half open, as far as it goes right */
    raw_send(fd[2], "dx", 2); /* wrong at the second byte */
    raw_send(fd[3], &role, sizeof(role));
    raw_send(fd[4], &hello, sizeof(hello)); /* no proof ever */
    close(fd[5]);

    /* Those that said a wrong byte hear nothing, and go at once. */
    g_assert_cmpuint(raw_drain(fd[0]), ==, 0);
    g_assert_cmpuint(raw_drain(fd[2]), ==, 0);
    g_assert_cmpuint(raw_drain(fd[3]), ==, 0);

    /* Meanwhile the cluster forms and works. */
    tcp_node_run(nodes[1], peers);
    TCP_WAIT(nodes[0], nodes[0]->ready);
    TCP_WAIT(nodes[1], nodes[1]->ready);
    g_assert_cmpint(send_number(nodes[0], 1, 1), ==, 0);
    g_assert_cmpint(send_number(nodes[1], 0, 1), ==, 0);
    TCP_WAIT(nodes[0], nodes[0]->messages == 1);
    TCP_WAIT(nodes[1], nodes[1]->messages == 1);

    /* The silent ones go when their time is over. */
    g_assert_cmpuint(raw_drain(fd[1]), ==, 0);
    g_assert_cmpuint(raw_drain(fd[4]), ==, sizeof(struct dq_hello));
    TCP_WAIT(nodes[0],
             HAS(nodes[0]->notes->str, "does not speak dqemu's protocol") &&
                 HAS(nodes[0]->notes->str, "closed the connection during the handshake") &&
                 HAS(nodes[0]->notes->str, "did not finish the handshake within 3000 ms"));
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 0);
    tcp_mesh_free(nodes, 2);
    for (int i = 0; i < 5; i++) {
        close(fd[i]);
    }
}

/* A byte now and then does not extend the time that a stranger has. */
static void test_slow_talker_gets_no_more_time(void)
{
    struct dq_peer_addr none[2] = {0};
    struct dq_hello hello = {.magic = DQ_PROTO_MAGIC, .version = 1, .role = DQ_ROLE_CONNECTOR};
    struct timeval step = {0, 50 * 1000};
    struct tcp_node *n;
    size_t sent = 0;
    int fd;

    tcp_test_handshake_ms = 500;
    n = tcp_node_new(0, 2, NULL, NULL);
    tcp_test_handshake_ms = TEST_HANDSHAKE_MS;
    tcp_node_run(n, none);
    fd = raw_connect(n->port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step));
    while (sent < sizeof(hello)) {
        char byte;

        if (send(fd, (char *)&hello + sent, 1, MSG_NOSIGNAL) != 1) {
            break;
        }
        sent++;
        if (recv(fd, &byte, 1, 0) >= 0 || errno != EAGAIN) {
            break;
        }
    }
    g_assert_cmpuint(sent, <, sizeof(hello));
    TCP_WAIT(n, HAS(n->notes->str, "did not finish the handshake"));
    close(fd);
    tcp_node_free(n);
}

static void test_flood_of_strangers_is_bounded(void)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *nodes[2];
    int fd[300];

    for (int i = 0; i < 2; i++) {
        nodes[i] = tcp_node_new(i, 2, NULL, NULL);
    }
    tcp_addresses(nodes, 2, peers);
    tcp_node_run(nodes[0], peers);
    for (unsigned i = 0; i < G_N_ELEMENTS(fd); i++) {
        fd[i] = raw_connect(nodes[0]->port);
    }
    /* The oldest make room for the newest, so this is over before their time is. */
    g_assert_cmpuint(raw_drain(fd[0]), ==, 0);
    TCP_WAIT(nodes[0], HAS(nodes[0]->notes->str, "too many connections"));
    tcp_node_run(nodes[1], peers);
    TCP_WAIT(nodes[0], nodes[0]->ready);
    TCP_WAIT(nodes[1], nodes[1]->ready);
    TCP_WAIT(nodes[0], HAS(nodes[0]->notes->str, "too many strangers"));
    for (unsigned i = 0; i < G_N_ELEMENTS(fd); i++) {
        close(fd[i]);
    }
    tcp_mesh_free(nodes, 2);
}

/* ---- peers of another kind */

/* Starts two nodes, the second with its own secret and build. */
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
    TCP_WAIT(nodes[0],
             g_str_equal(nodes[0]->lost[1], "runs build test-build-2, this node runs test-build-1; "
                                            "install the same dqemu on every node"));
    TCP_WAIT(nodes[1], nodes[1]->lost_calls[0] == 1);
    TCP_WAIT(nodes[1], HAS(nodes[1]->lost[0], "runs build test-build-1, this node runs "));
    tcp_mesh_free(nodes, 2);
}

/* A table of addresses that gives node 2 the address of node 1. */
static void test_address_of_another(void)
{
    struct dq_peer_addr peers[3];
    struct tcp_node *nodes[3];

    for (int i = 0; i < 3; i++) {
        nodes[i] = tcp_node_new(i, 3, NULL, NULL);
    }
    tcp_addresses(nodes, 3, peers);
    tcp_node_run(nodes[0], peers);
    tcp_node_run(nodes[1], peers);
    peers[0] = peers[1];
    tcp_node_run(nodes[2], peers);
    TCP_WAIT(nodes[2], HAS(nodes[2]->lost[0], "has the address of node 1"));
    TCP_WAIT(nodes[1], HAS(nodes[1]->notes->str, "looks for node 0"));
    tcp_mesh_free(nodes, 3);
}

static void test_number_taken_twice(void)
{
    struct dq_auth_config cfg = connector(1, 0, 2);
    struct tcp_node *nodes[2];
    char why[256];
    int fd;

    tcp_mesh_new(nodes, 2);
    fd = raw_connect(nodes[0]->port);
    g_assert_cmpint(raw_handshake(fd, &cfg, why), ==, DQ_AUTH_REFUSED);
    g_assert_true(HAS(why, "did not expect a node 1"));
    g_assert_cmpuint(raw_drain(fd), ==, 0);
    close(fd);
    /* The first one is none the worse for it. */
    g_assert_cmpint(send_number(nodes[0], 1, 1), ==, 0);
    TCP_WAIT(nodes[1], nodes[1]->messages == 1);
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 0);
    tcp_mesh_free(nodes, 2);
}

/* ---- nobody there */

static void test_nobody_listens(void)
{
    struct tcp_node *gone = tcp_node_new(0, 2, NULL, NULL);
    struct tcp_node *n = tcp_node_new(1, 2, NULL, NULL);
    struct dq_peer_addr peers[2];
    struct tcp_node *both[2] = {gone, n};

    tcp_addresses(both, 2, peers);
    tcp_node_free(gone);
    tcp_node_run(n, peers);
    TCP_WAIT(n, n->lost_calls[0] == 1);
    TCP_WAIT(n, HAS(n->lost[0], "cannot be reached at 127.0.0.1 port ") &&
                    HAS(n->lost[0], "Connection refused"));
    g_assert_cmpint(send_number(n, 0, 1), ==, -ENOTCONN);
    tcp_node_free(n);
}

static void test_silent_listener(void)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *both[2], *n;

    both[0] = tcp_node_new(0, 2, NULL, NULL); /* its loop never runs */
    tcp_test_handshake_ms = 200;
    both[1] = n = tcp_node_new(1, 2, NULL, NULL);
    tcp_test_handshake_ms = TEST_HANDSHAKE_MS;
    tcp_addresses(both, 2, peers);
    tcp_node_run(n, peers);
    TCP_WAIT(n, HAS(n->lost[0], "did not finish the handshake within 200 ms"));
    tcp_mesh_free(both, 2);
}

static void test_another_program_listens(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(sa);
    struct tcp_node *n = tcp_node_new(1, 2, NULL, NULL);
    struct dq_peer_addr peers[2] = {{.address = "127.0.0.1"}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

    g_assert_cmpint(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    getsockname(fd, (struct sockaddr *)&sa, &length);
    peers[0].port = ntohs(sa.sin_port);
    tcp_node_run(n, peers);
    client = accept(fd, NULL, NULL);
    raw_send(client, "SSH-2.0-", 8);
    TCP_WAIT(n, HAS(n->lost[0], "is another program at its port?"));
    close(client);
    close(fd);
    tcp_node_free(n);
}

static void test_port_in_use(void)
{
    struct tcp_node *n = tcp_node_new(0, 2, NULL, NULL);
    struct dq_transport_config cfg = {.nodes = 2, .build_id = "b", .handshake_ms = 100};
    struct dq_transport_events none = {0};
    struct dq_transport *t = dq_transport_tcp.create(n->base, &cfg, &none, NULL);
    uint16_t port = n->port;

    g_assert_cmpint(dq_transport_tcp.listen(t, "127.0.0.1", &port), ==, -EADDRINUSE);
    g_assert_cmpint(dq_transport_tcp.listen(t, "192.0.2.1", &port), ==, -EADDRNOTAVAIL);
    g_assert_cmpint(dq_transport_tcp.listen(t, "localhost.", &port), ==, -EINVAL);
    g_assert_cmpuint(port, ==, n->port);
    dq_transport_tcp.destroy(t);
    tcp_node_free(n);
}

/* A given port whose connections are in TIME_WAIT can be listened on again at once. */
static void test_port_of_the_last_run(void)
{
    struct tcp_node *n = tcp_node_new(0, 1, NULL, NULL);

    tcp_test_port = n->port;
    tcp_node_free(n);
    for (int run = 0; run < 3; run++) {
        int fd = raw_peer(&n);

        g_assert_cmpuint(n->port, ==, tcp_test_port);
        tcp_node_free(n); /* closes first: its end is the one in TIME_WAIT */
        g_assert_cmpuint(raw_drain(fd), ==, 0);
        close(fd);
    }
    tcp_test_port = 0;
}

/* ---- peers that go, or misbehave */

static void test_malformed_message(void)
{
    static const struct {
        struct dq_frame frame;
        const char *why;
    } cases[] = {
        {{16, 9999, 0}, "sent a malformed message (type 9999, 16 bytes)"},
        {{16, 0, 0}, "sent a malformed message (type 0, 16 bytes)"},
        {{15, DQ_MSG_GET_S, 0}, ", 15 bytes)"},
        {{16, DQ_MSG_GET_S, 1}, ", 16 bytes)"},
        {{UINT32_MAX, DQ_MSG_LISTED, 0}, ", 4294967295 bytes)"},
        {{DQ_MAX_BODY + 1, DQ_MSG_START, 0}, ", 1048577 bytes)"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct tcp_node *n;
        int fd = raw_peer(&n);

        raw_send(fd, &cases[i].frame, sizeof(cases[i].frame));
        TCP_WAIT(n, n->lost_calls[1] == 1);
        TCP_WAIT(n, HAS(n->lost[1], cases[i].why));
        TCP_WAIT(n, n->broken[1]);
        TCP_WAIT(n, n->messages == 0);
        g_assert_cmpint(send_number(n, 1, 1), ==, -ENOTCONN);
        raw_drain(fd);
        close(fd);
        tcp_node_free(n);
    }
}

static void test_connection_closed(void)
{
    struct dq_frame f = {.length = 16, .type = DQ_MSG_GET_S};
    struct linger reset = {.l_onoff = 1};
    struct tcp_node *n;
    int fd;

    fd = raw_peer(&n);
    g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
    TCP_WAIT(n, g_str_equal(n->lost[1], "connection closed"));
    close(fd);
    tcp_node_free(n);

    fd = raw_peer(&n);
    raw_send(fd, &f, sizeof(f));
    close(fd);
    TCP_WAIT(n, g_str_equal(n->lost[1], "connection closed in the middle of a message"));
    tcp_node_free(n);

    fd = raw_peer(&n);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    TCP_WAIT(n, g_str_equal(n->lost[1], "connection reset"));
    TCP_WAIT(n, n->lost_calls[1] == 1);
    tcp_node_free(n);
}

/* What a peer said before it left is heard, although sends to it fail by then. */
static void test_last_words_are_heard(void)
{
    struct {
        struct dq_frame f;
        struct dq_msg_cookie m;
    } word = {{sizeof(word.m), DQ_MSG_END, 0}, {1}};
    struct tcp_node *n;
    int fd = raw_peer(&n);

    pthread_mutex_lock(&n->lock);
    n->hold = true;
    pthread_mutex_unlock(&n->lock);
    raw_send(fd, &word, sizeof(word));
    TCP_WAIT(n, n->messages == 1); /* the loop stands in this one's callback */
    for (int i = 0; i < 100; i++) {
        raw_send(fd, &word, sizeof(word));
    }
    g_assert_cmpint(send_number(n, 1, 0), ==, 0); /* unread there: the close becomes a reset */
    while (recv(fd, &word, 1, MSG_PEEK) != 1) {
    }
    close(fd);
    while (send_number(n, 1, 0) == 0) {
    }
    pthread_mutex_lock(&n->lock);
    n->hold = false;
    pthread_cond_broadcast(&n->cond);
    pthread_mutex_unlock(&n->lock);
    TCP_WAIT(n, n->lost_calls[1] == 1);
    TCP_WAIT(n, g_str_equal(n->lost[1], "connection reset"));
    TCP_WAIT(n, n->messages == 101);
    tcp_node_free(n);
}

struct storm {
    struct tcp_node *n;
    atomic_bool stop;
};

static gpointer send_until_lost(gpointer arg)
{
    struct storm *s = arg;
    uint8_t page[DQ_PAGE_SIZE] = {0};
    struct dq_msg_page m = {0};

    while (dq_transport_tcp.send(s->n->t, 1, DQ_MSG_DATA_S, &m, sizeof(m), page, 1) == 0) {
        if (atomic_load(&s->stop)) {
            return NULL;
        }
    }
    return GINT_TO_POINTER(1);
}

static void test_peer_dies_under_senders(void)
{
    for (int round = 0; round < 20; round++) {
        struct storm s = {0};
        GThread *threads[3];
        char bytes[100];
        int fd = raw_peer(&s.n);

        for (int i = 0; i < 3; i++) {
            threads[i] = g_thread_new("storm", send_until_lost, &s);
        }
        g_assert_cmpint(recv(fd, bytes, sizeof(bytes), 0), >, 0);
        close(fd);
        for (int i = 0; i < 3; i++) {
            g_assert_nonnull(g_thread_join(threads[i]));
        }
        TCP_WAIT(s.n, s.n->lost_calls[1] == 1);
        TCP_WAIT(s.n, g_str_equal(s.n->lost[1], "connection reset"));
        tcp_node_free(s.n);
    }
}

/* ---- processes */

#define MEMBERS 4

/* One node as a process: tells its port, gets all, answers every message, until killed. */
static void member(int id, int in, int out)
{
    struct dq_peer_addr peers[MEMBERS];
    struct tcp_node *n;

    tcp_test_limit(60);
    n = tcp_node_new(id, MEMBERS, NULL, NULL);
    g_assert_cmpint(write(out, &n->port, sizeof(n->port)), ==, sizeof(n->port));
    g_assert_cmpint(read(in, peers, sizeof(peers)), ==, sizeof(peers));
    tcp_node_run(n, peers);
    TCP_WAIT(n, n->ready);
    for (uint64_t i = 0; i < 500; i++) {
        for (int to = 0; to < MEMBERS; to++) {
            g_assert_cmpint(send_number(n, to, i), ==, 0);
        }
    }
    TCP_WAIT(n, n->messages == 500 * MEMBERS);
    g_assert_cmpint(write(out, "r", 1), ==, 1);
    /* Member 2 is killed now; the others see it, tell, and wait for the end of the test. */
    TCP_WAIT(n, n->lost_calls[2] == 1);
    g_assert_cmpint(write(out, n->lost[2], sizeof(n->lost[2])), ==, sizeof(n->lost[2]));
    for (;;) {
        pause();
    }
}

static void test_killed_process(void)
{
    struct dq_peer_addr peers[MEMBERS];
    int to[MEMBERS][2], from[MEMBERS][2];
    pid_t pid[MEMBERS];
    char byte, why[300];

    for (int i = 0; i < MEMBERS; i++) {
        g_assert_cmpint(pipe(to[i]), ==, 0);
        g_assert_cmpint(pipe(from[i]), ==, 0);
        pid[i] = fork();
        if (pid[i] == 0) {
            member(i, to[i][0], from[i][1]);
        }
        strcpy(peers[i].address, "127.0.0.1");
        g_assert_cmpint(read(from[i][0], &peers[i].port, sizeof(peers[i].port)), ==, 2);
    }
    for (int i = 0; i < MEMBERS; i++) {
        g_assert_cmpint(write(to[i][1], peers, sizeof(peers)), ==, sizeof(peers));
    }
    for (int i = 0; i < MEMBERS; i++) {
        g_assert_cmpint(read(from[i][0], &byte, 1), ==, 1);
    }
    kill(pid[2], SIGKILL);
    for (int i = 0; i < MEMBERS; i++) {
        if (i != 2) {
            g_assert_cmpint(read(from[i][0], why, sizeof(why)), ==, sizeof(why));
            g_assert_true(g_str_has_prefix(why, "connection "));
        }
    }
    for (int i = 0; i < MEMBERS; i++) {
        kill(pid[i], SIGKILL);
        g_assert_cmpint(waitpid(pid[i], NULL, 0), ==, pid[i]);
        for (int k = 0; k < 2; k++) {
            close(to[i][k]);
            close(from[i][k]);
        }
    }
}

/* A forked child lets go of the transport, and the parent does not notice. */
static void test_forked_child_lets_go(void)
{
    struct tcp_node *nodes[2];
    int status;
    pid_t pid;

    tcp_mesh_new(nodes, 2);
    pid = fork();
    if (pid == 0) {
        dq_transport_tcp.forked(nodes[0]->t);
        dq_transport_tcp.forked(nodes[1]->t);
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    for (uint64_t i = 0; i < 100; i++) {
        g_assert_cmpint(send_number(nodes[0], 0, i), ==, 0);
        g_assert_cmpint(send_number(nodes[0], 1, i), ==, 0);
    }
    TCP_WAIT(nodes[0], nodes[0]->messages == 100);
    TCP_WAIT(nodes[1], nodes[1]->messages == 100);
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 0);
    tcp_mesh_free(nodes, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tcp_test_limit(120);
    /* Processes first: they are forked while there are no threads. */
    g_test_add_func("/tcp/killed-process-is-lost", test_killed_process);
    g_test_add_func("/tcp/forked-child-lets-go", test_forked_child_lets_go);
    g_test_add_func("/tcp/strangers-are-dropped", test_strangers_are_dropped);
    g_test_add_func("/tcp/slow-talker-gets-no-more-time", test_slow_talker_gets_no_more_time);
    g_test_add_func("/tcp/flood-of-strangers-is-bounded", test_flood_of_strangers_is_bounded);
    g_test_add_func("/tcp/wrong-secret", test_wrong_secret);
    g_test_add_func("/tcp/wrong-build", test_wrong_build);
    g_test_add_func("/tcp/address-of-another", test_address_of_another);
    g_test_add_func("/tcp/number-taken-twice", test_number_taken_twice);
    g_test_add_func("/tcp/nobody-listens", test_nobody_listens);
    g_test_add_func("/tcp/silent-listener", test_silent_listener);
    g_test_add_func("/tcp/another-program-listens", test_another_program_listens);
    g_test_add_func("/tcp/port-in-use", test_port_in_use);
    g_test_add_func("/tcp/port-of-the-last-run", test_port_of_the_last_run);
    g_test_add_func("/tcp/malformed-message", test_malformed_message);
    g_test_add_func("/tcp/connection-closed", test_connection_closed);
    g_test_add_func("/tcp/last-words-are-heard", test_last_words_are_heard);
    g_test_add_func("/tcp/peer-dies-under-senders", test_peer_dies_under_senders);
    return g_test_run();
}
