/*
 * What protects the connections of the TCP transport, seen from somebody in their way: a proxy
 * that alters, repeats, withholds and reads what passes; and peers that fail in TLS's handshake.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/unit/tcp_node.h"

#define HAS(text, part) (strstr(text, part) != NULL)
#define ALTERED "its data was altered on the way ("

/* Short enough to wait for, long enough for a handshake of our own on a loaded machine. */
#define SHORT_MS 3000

static const char *const levels[] = {"none", "integrity", "encrypt"};

/* ---- the proxy: node 1 reaches node 0 through it */

/* What it does with what node 1 says, once told to. */
enum deed {
    PASS,
    ALTER, /* one bit of one byte is flipped */
    AGAIN, /* a record is sent twice */
    LEAVE, /* a record is left out */
    SWAP,  /* two records change places */
    CUT,   /* half a record, then the end */
};

struct proxy {
    int listener;
    uint16_t port, to;
    GThread *thread;
    GByteArray *seen; /* all that passed, both directions; the thread's until it has ended */
    enum deed deed;   /* before `strike` is set */
    size_t at;        /* ALTER: which byte */
    atomic_bool strike;
    GMutex hold; /* the deed waits for it */
};

static struct proxy *proxy_new(uint16_t to)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct proxy *p = g_new0(struct proxy, 1);
    socklen_t length = sizeof(sa);

    g_mutex_init(&p->hold);
    p->to = to;
    p->seen = g_byte_array_new();
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(p->listener, (struct sockaddr *)&sa, sizeof(sa)), ==, 0);
    g_assert_cmpint(listen(p->listener, 1), ==, 0);
    getsockname(p->listener, (struct sockaddr *)&sa, &length);
    p->port = ntohs(sa.sin_port);
    return p;
}

/* False: one side has ended, or does not want it. */
static bool pass(struct proxy *p, int from, int to)
{
    uint8_t bytes[65536];
    ssize_t n = recv(from, bytes, sizeof(bytes), 0);

    if (n <= 0) {
        return false;
    }
    g_byte_array_append(p->seen, bytes, n);
    return send(to, bytes, n, MSG_NOSIGNAL) == n;
}

static bool receive_exactly(int fd, uint8_t *to, size_t length)
{
    return recv(fd, to, length, MSG_WAITALL) == (ssize_t)length;
}

/* One record of TLS, which gives its length in its fourth and fifth byte: how many bytes. */
static size_t take_record(int fd, uint8_t *record)
{
    size_t length;

    g_assert_true(receive_exactly(fd, record, 5));
    length = record[3] << 8 | record[4];
    g_assert_cmpuint(length, <, 20000);
    g_assert_true(receive_exactly(fd, record + 5, length));
    return 5 + length;
}

/* The connection stands between two records. False: both ends are to be closed. */
static bool strike(struct proxy *p, int from, int to)
{
    static uint8_t record[2][20005];
    size_t length = take_record(from, record[0]), second;

    g_mutex_lock(&p->hold);
    g_mutex_unlock(&p->hold);
    switch (p->deed) {
    case ALTER:
        record[0][p->at % length] ^= 0x04;
        break;
    case AGAIN:
        send(to, record[0], length, MSG_NOSIGNAL);
        break;
    case LEAVE:
        return true;
    case SWAP:
        second = take_record(from, record[1]);
        send(to, record[1], second, MSG_NOSIGNAL);
        break;
    case CUT:
        send(to, record[0], length / 2, MSG_NOSIGNAL);
        return false;
    case PASS:
        break;
    }
    send(to, record[0], length, MSG_NOSIGNAL);
    return true;
}

static gpointer proxy_run(gpointer arg)
{
    struct proxy *p = arg;
    int client = accept(p->listener, NULL, NULL), server = raw_connect(p->to);
    struct pollfd fds[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    bool struck = false, going = true;

    while (going && poll(fds, 2, -1) > 0) {
        if (fds[0].revents && !struck && atomic_load(&p->strike)) {
            struck = true;
            going = strike(p, client, server);
        } else if (fds[0].revents) {
            going = pass(p, client, server);
        }
        if (going && fds[1].revents) {
            going = pass(p, server, client);
        }
    }
    close(client);
    close(server);
    return NULL;
}

/* Ends when one of the nodes does. */
static void proxy_join(struct proxy *p)
{
    if (p->thread) {
        g_thread_join(g_steal_pointer(&p->thread));
    }
}

static void proxy_free(struct proxy *p)
{
    proxy_join(p);
    close(p->listener);
    g_mutex_clear(&p->hold);
    g_byte_array_unref(p->seen);
    g_free(p);
}

/* Two nodes, ready, at this level, with a proxy between them. */
static struct proxy *start_with_proxy(struct tcp_node **nodes, enum dq_protect protect)
{
    struct dq_peer_addr peers[2];
    struct proxy *p;

    tcp_test_protect = protect;
    for (int i = 0; i < 2; i++) {
        nodes[i] = tcp_node_new(i, 2, NULL, NULL);
    }
    tcp_test_protect = DQ_PROTECT_NONE;
    tcp_addresses(nodes, 2, peers);
    p = proxy_new(nodes[0]->port);
    peers[0].port = p->port;
    p->thread = g_thread_new("proxy", proxy_run, p);
    for (int i = 0; i < 2; i++) {
        tcp_node_run(nodes[i], peers);
    }
    for (int i = 0; i < 2; i++) {
        TCP_WAIT(nodes[i], nodes[i]->ready);
    }
    return p;
}

/* A page of a pattern that can be looked for. */
static int send_words(struct tcp_node *n, int to)
{
    static const char words[] = "these words are plain to see. ";
    uint8_t page[DQ_PAGE_SIZE];
    struct dq_msg_page m = {.page = 7, .count = 1};

    for (size_t i = 0; i < sizeof(page); i++) {
        page[i] = words[i % (sizeof(words) - 1)];
    }
    return dq_transport_tcp.send(n->t, to, DQ_MSG_DATA_S, &m, sizeof(m), page, 1);
}

/* ---- what is on the wire */

static void test_wire(gconstpointer data)
{
    enum dq_protect protect = GPOINTER_TO_INT(data);
    struct tcp_node *nodes[2];
    struct proxy *p = start_with_proxy(nodes, protect);
    bool plain;

    for (int i = 0; i < 200; i++) {
        g_assert_cmpint(send_words(nodes[0], 1), ==, 0);
        g_assert_cmpint(send_words(nodes[1], 0), ==, 0);
    }
    TCP_WAIT(nodes[0], nodes[0]->messages == 200);
    TCP_WAIT(nodes[1], nodes[1]->messages == 200);
    tcp_mesh_free(nodes, 2);
    proxy_join(p);
    /* Else the proxy was not where it should have been. */
    g_assert_cmpuint(p->seen->len, >, 400 * DQ_PAGE_SIZE);
    plain = memmem(p->seen->data, p->seen->len, "plain to see", 12) != NULL;
    g_test_message("%s: the words are%s seen", levels[protect], plain ? "" : " not");
    g_assert_true(plain || protect != DQ_PROTECT_NONE);
    g_assert_false(plain && protect == DQ_PROTECT_ENCRYPT);
    g_assert_null(memmem(p->seen->data, p->seen->len, tcp_test_secret, 8));
    proxy_free(p);
}

/* ---- somebody meddles */

/* Node 1 says something while the proxy does its deed; what node 0 makes of it. */
static void meddle(enum dq_protect protect, enum deed deed, size_t at, const char *why)
{
    struct tcp_node *nodes[2];
    struct proxy *p = start_with_proxy(nodes, protect);

    g_assert_cmpint(send_words(nodes[1], 0), ==, 0);
    TCP_WAIT(nodes[0], nodes[0]->messages == 1);
    p->deed = deed;
    p->at = at;
    /* All is said before the deed: what it does to the connection must not meet what is still to come. */
    g_mutex_lock(&p->hold);
    atomic_store(&p->strike, true);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(send_words(nodes[1], 0), ==, 0);
    }
    g_mutex_unlock(&p->hold);
    TCP_WAIT(nodes[0], nodes[0]->lost_calls[1] == 1);
    g_assert_true(HAS(nodes[0]->lost[1], why));
    g_assert_cmpint(nodes[0]->broken[1], ==, HAS(why, ALTERED));
    /* Nothing was believed that came after. */
    TCP_WAIT(nodes[0], nodes[0]->messages <= (deed == AGAIN ? 2 : 1));
    TCP_WAIT(nodes[1], nodes[1]->lost_calls[0] == 1);
    tcp_mesh_free(nodes, 2);
    proxy_free(p);
}

static void test_altered(gconstpointer data)
{
    /* type, version, length, nonce, somewhere in the text, in the check at its end */
    static const size_t places[] = {0, 1, 2, 4, 5, 12, 13, 700, 2000, 4120};

    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        meddle(GPOINTER_TO_INT(data), ALTER, places[i], ALTERED);
    }
}

static void test_replayed(gconstpointer data)
{
    meddle(GPOINTER_TO_INT(data), AGAIN, 0, ALTERED);
}

static void test_left_out(gconstpointer data)
{
    meddle(GPOINTER_TO_INT(data), LEAVE, 0, ALTERED);
}

static void test_swapped(gconstpointer data)
{
    meddle(GPOINTER_TO_INT(data), SWAP, 0, ALTERED);
}

static void test_cut(gconstpointer data)
{
    meddle(GPOINTER_TO_INT(data), CUT, 0, "connection closed");
}

/* ---- the handshakes */

static void test_levels_differ(void)
{
    for (int low = 0; low < DQ_PROTECT_COUNT; low++) {
        struct dq_peer_addr peers[2];
        struct tcp_node *nodes[2];

        for (int i = 0; i < 2; i++) {
            tcp_test_protect = (low + i) % DQ_PROTECT_COUNT;
            nodes[i] = tcp_node_new(i, 2, NULL, NULL);
        }
        tcp_test_protect = DQ_PROTECT_NONE;
        tcp_addresses(nodes, 2, peers);
        for (int i = 0; i < 2; i++) {
            tcp_node_run(nodes[i], peers);
        }
        for (int i = 0; i < 2; i++) {
            TCP_WAIT(nodes[i], HAS(nodes[i]->lost[1 - i], "protects its connections by "));
        }
        tcp_mesh_free(nodes, 2);
    }
}

/* Node 0 of two at this level; the socket of a raw node 1, proved, that has yet to speak TLS. */
static int proved_peer(struct tcp_node **n, enum dq_protect protect)
{
    struct dq_peer_addr none[2] = {0};
    struct dq_auth_config cfg = {
        .role = DQ_ROLE_CONNECTOR,
        .node = 1,
        .nodes = 2,
        .secret = tcp_test_secret,
        .build_id = TEST_BUILD,
        .protect = protect,
        .peer = 0,
    };
    char why[256];
    int fd;

    tcp_test_protect = protect;
    *n = tcp_node_new(0, 2, NULL, NULL);
    tcp_test_protect = DQ_PROTECT_NONE;
    tcp_node_run(*n, none);
    fd = raw_connect((*n)->port);
    g_assert_cmpint(raw_handshake(fd, &cfg, why), ==, DQ_AUTH_DONE);
    return fd;
}

/* It knows the secret, so it is the peer, which is lost; and no frame is taken from it. */
static void test_garbage_after_proof(gconstpointer data)
{
    struct {
        struct dq_frame f;
        struct dq_msg_cookie m;
    } word = {{sizeof(word.m), DQ_MSG_END, 0}, {1}};
    struct tcp_node *n;
    int fd = proved_peer(&n, GPOINTER_TO_INT(data));

    raw_send(fd, &word, sizeof(word));
    TCP_WAIT(n, HAS(n->lost[1], "cannot agree on a protected connection: "));
    TCP_WAIT(n, n->messages == 0 && !n->ready && n->lost_calls[1] == 1);
    raw_drain(fd);
    close(fd);
    tcp_node_free(n);
}

static void test_end_after_proof(gconstpointer data)
{
    struct tcp_node *n;

    close(proved_peer(&n, GPOINTER_TO_INT(data)));
    TCP_WAIT(n, g_str_equal(n->lost[1], "closed the connection during the handshake"));
    TCP_WAIT(n, !n->ready && n->lost_calls[1] == 1);
    tcp_node_free(n);
}

static void test_silence_after_proof(gconstpointer data)
{
    struct tcp_node *n;
    int fd;

    tcp_test_handshake_ms = SHORT_MS;
    fd = proved_peer(&n, GPOINTER_TO_INT(data));
    tcp_test_handshake_ms = TEST_HANDSHAKE_MS;
    TCP_WAIT(n, HAS(n->lost[1], "did not finish the handshake within 3000 ms"));
    TCP_WAIT(n, !n->ready && n->lost_calls[1] == 1);
    close(fd);
    tcp_node_free(n);
}

/* A proved peer in TLS's handshake is no stranger any more: a flood does not push it out. */
static void test_flood_after_proof(gconstpointer data)
{
    struct tcp_node *n;
    int fd = proved_peer(&n, GPOINTER_TO_INT(data)), flood[300];

    for (unsigned i = 0; i < G_N_ELEMENTS(flood); i++) {
        flood[i] = raw_connect(n->port);
    }
    TCP_WAIT(n, HAS(n->notes->str, "too many connections"));
    g_assert_cmpuint(raw_drain(flood[0]), ==, 0);
    TCP_WAIT(n, n->lost_calls[1] == 0);
    close(fd);
    TCP_WAIT(n, g_str_equal(n->lost[1], "closed the connection during the handshake"));
    for (unsigned i = 0; i < G_N_ELEMENTS(flood); i++) {
        close(flood[i]);
    }
    tcp_node_free(n);
}

static void add(enum dq_protect protect, const char *name, GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/tcp/%s/%s", levels[protect], name);

    g_test_add_data_func(path, GINT_TO_POINTER(protect), test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tcp_test_limit(120);
    add(DQ_PROTECT_NONE, "what-is-on-the-wire", test_wire);
    for (enum dq_protect p = DQ_PROTECT_INTEGRITY; p < DQ_PROTECT_COUNT; p++) {
        add(p, "what-is-on-the-wire", test_wire);
        add(p, "altered-is-noticed", test_altered);
        add(p, "replayed-is-noticed", test_replayed);
        add(p, "left-out-is-noticed", test_left_out);
        add(p, "swapped-is-noticed", test_swapped);
        add(p, "cut-is-noticed", test_cut);
        add(p, "garbage-after-proof", test_garbage_after_proof);
        add(p, "end-after-proof", test_end_after_proof);
        add(p, "silence-after-proof", test_silence_after_proof);
        add(p, "flood-after-proof", test_flood_after_proof);
    }
    g_test_add_func("/tcp/levels-differ", test_levels_differ);
    return g_test_run();
}
