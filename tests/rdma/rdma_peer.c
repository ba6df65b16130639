/*
 * One node of a mesh over several machines: says numbered messages of all kinds to all others
 * from two threads, and checks that theirs come in order and whole. Its loop gathers, as a
 * node's does.
 *
 *   rdma_peer exchange|stay|idle TRANSPORT MESSAGES FOLDER NODE ADDRESS...
 *
 * ADDRESS: that of each node, which listens on port 7100 + its number. FOLDER: seen by all; each
 * makes FOLDER/NODE once it listens. exchange: ends when all has arrived everywhere. stay: goes
 * on exchanging until a peer is lost, tells why: "node K was lost: ...", and ends when all who are
 * not lost have told, too; before that it says "under way" and, when there is FOLDER/more, once more
 * messages have come, "goes on". idle: says nothing more once it is under way, until a peer is lost.
 *
 *   DQEMU_TEST_CONTACT   contact_ms (0)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <poll.h>
#include <stdio.h>

#include "proto/transport.h"

static const struct dq_transport_ops *peer_ops;
static const char *peer_address;

static const struct dq_transport_ops *transport_of(const char *name)
{
    return name[0] == 'r' ? &dq_transport_rdma : &dq_transport_tcp;
}

/* Messages, and how they are checked: those of the transport's own tests. */
#define TEST_ADDRESS peer_address
#define dq_transport_tcp (*peer_ops)
#define main test_main
#include "tests/unit/test_tcp.c"
#undef main

#define FIRST_PORT 7100
#define MOST_ROUNDS 4

static atomic_int ends;
static atomic_bool stop;

static void on_message(struct tcp_node *n, int from, unsigned type, const void *body, size_t length)
{
    if (type == DQ_MSG_END) {
        atomic_fetch_add(&ends, 1);
    } else {
        check_numbered(n, from, type, body, length);
    }
}

/* The loop of dqemu/node.c. */
static gpointer gathering_loop(gpointer arg)
{
    struct tcp_node *n = arg;

    while (!atomic_load(&stop)) {
        bool more;
        int rounds = 0;

        do {
            more = peer_ops->deliver(n->t);
        } while (more && ++rounds < MOST_ROUNDS);
        more = peer_ops->flush(n->t);
        event_base_loop(n->base, more ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
    }
    return NULL;
}

static void wait_for_listeners(const char *folder, int self, int nodes)
{
    g_autofree char *own = g_strdup_printf("%s/%d", folder, self);

    g_assert_true(g_file_set_contents(own, "", 0, NULL));
    for (int i = 0; i < nodes; i++) {
        g_autofree char *path = g_strdup_printf("%s/%d", folder, i);

        while (access(path, F_OK) != 0) {
            poll(NULL, 0, 50);
        }
    }
}

static bool any_lost(struct tcp_node *n)
{
    bool lost = false;

    for (int i = 0; i < n->nodes; i++) {
        lost |= n->lost_calls[i] > 0;
    }
    return lost;
}

static bool is_lost(struct tcp_node *n)
{
    bool lost;

    pthread_mutex_lock(&n->lock);
    lost = any_lost(n);
    pthread_mutex_unlock(&n->lock);
    return lost;
}

static gpointer send_for_ever(gpointer arg)
{
    struct sender *s = arg;
    int err = 0;

    for (uint64_t i = 0; err == 0; i++) {
        for (int to = 0; to < s->n->nodes; to++) {
            err |= send_numbered(s->n, to, s->stream, i);
        }
        poll(NULL, 0, 1); /* nobody shall be flooded */
    }
    return NULL;
}

static void say(struct tcp_node *n, const char *words)
{
    printf("node %d: %s\n", n->id, words);
    fflush(stdout);
}

static void say_lost(struct tcp_node *n)
{
    for (int i = 0; i < n->nodes; i++) {
        if (n->lost_calls[i]) {
            printf("node %d was lost: %s\n", i, n->lost[i]);
        }
    }
    fflush(stdout);
}

static int exchange(struct tcp_node *n, uint64_t messages)
{
    struct dq_msg_cookie end = {0};
    uint64_t in, out;
    GThread *threads[SENDERS];
    struct sender s[SENDERS];

    for (int i = 0; i < SENDERS; i++) {
        s[i] = (struct sender){n, i, messages};
        threads[i] = g_thread_new("sender", send_to_all, &s[i]);
    }
    for (int i = 0; i < SENDERS; i++) {
        g_thread_join(threads[i]);
    }
    TCP_WAIT(n, n->messages >= messages * n->nodes * SENDERS || any_lost(n));
    for (int i = 0; i < n->nodes && !any_lost(n); i++) {
        peer_ops->send(n->t, i, DQ_MSG_END, &end, sizeof(end), NULL, 0);
    }
    TCP_WAIT(n, atomic_load(&ends) == n->nodes || any_lost(n));
    if (atomic_load(&ends) != n->nodes) {
        say_lost(n);
        return 1;
    }
    peer_ops->traffic(n->t, &in, &out);
    printf("node %d: all in order, %llu bytes in, %llu out\n", n->id, (unsigned long long)in,
           (unsigned long long)out);
    return 0;
}

/* Messages from each sender of each node, from now on. */
static void await_messages(struct tcp_node *n, unsigned each)
{
    uint64_t least;

    pthread_mutex_lock(&n->lock);
    least = n->messages + (uint64_t)each * SENDERS * (unsigned)n->nodes;
    pthread_mutex_unlock(&n->lock);
    TCP_WAIT(n, n->messages >= least || any_lost(n));
}

static bool is_waited_for(struct tcp_node *n, const char *folder, int node)
{
    g_autofree char *told = g_strdup_printf("%s/told.%d", folder, node);
    bool lost;

    pthread_mutex_lock(&n->lock);
    lost = n->lost_calls[node] > 0;
    pthread_mutex_unlock(&n->lock);
    return !lost && access(told, F_OK) != 0;
}

/* Who left at once might be the first loss that others hear of. */
static int wait_for_loss(struct tcp_node *n, const char *folder)
{
    g_autofree char *told = g_strdup_printf("%s/told.%d", folder, n->id);

    TCP_WAIT(n, any_lost(n));
    pthread_mutex_lock(&n->lock);
    say_lost(n);
    pthread_mutex_unlock(&n->lock);
    g_assert_true(g_file_set_contents(told, "", 0, NULL));
    for (int i = 0; i < n->nodes; i++) {
        while (is_waited_for(n, folder, i)) {
            poll(NULL, 0, 50);
        }
    }
    _exit(0); /* the senders are still at work */
}

static int idle(struct tcp_node *n, const char *folder)
{
    struct sender s = {n, 0, 100};

    send_to_all(&s);
    TCP_WAIT(n, n->messages == s.count * (unsigned)n->nodes || any_lost(n));
    say(n, "under way");
    return wait_for_loss(n, folder);
}

static int stay(struct tcp_node *n, const char *folder)
{
    g_autofree char *more = g_strdup_printf("%s/more", folder);
    struct sender s[SENDERS];

    for (int i = 0; i < SENDERS; i++) {
        s[i] = (struct sender){n, i, 0};
        g_thread_unref(g_thread_new("sender", send_for_ever, &s[i]));
    }
    await_messages(n, 100);
    say(n, "under way");
    while (access(more, F_OK) != 0 && !is_lost(n)) {
        poll(NULL, 0, 20);
    }
    await_messages(n, 100);
    if (!is_lost(n)) {
        say(n, "goes on");
    }
    return wait_for_loss(n, folder);
}

int main(int argc, char **argv)
{
    const char *contact = getenv("DQEMU_TEST_CONTACT");
    struct dq_peer_addr peers[DQ_MAX_NODES];
    struct tcp_node *n;
    int self, nodes = argc - 6, status;

    if (argc < 7) {
        fprintf(stderr,
                "usage: rdma_peer exchange|stay|idle TRANSPORT MESSAGES FOLDER NODE ADDRESS...\n");
        return 2;
    }
    tcp_test_limit(150);
    self = atoi(argv[5]);
    peer_ops = transport_of(argv[2]);
    peer_address = argv[6 + self];
    tcp_test_contact_ms = contact ? (unsigned)atoi(contact) : 0;
    tcp_test_port = (uint16_t)(FIRST_PORT + self);
    n = tcp_node_new(self, nodes, NULL, NULL);
    for (int i = 0; i < nodes; i++) {
        g_strlcpy(peers[i].address, argv[6 + i], sizeof(peers[i].address));
        peers[i].port = (uint16_t)(FIRST_PORT + i);
    }
    n->user = g_new0(struct expected, 1);
    n->on_message = on_message;
    wait_for_listeners(argv[4], self, nodes);
    g_assert_cmpint(peer_ops->connect(n->t, peers), ==, 0);
    n->loop = g_thread_new("loop", gathering_loop, n);
    TCP_WAIT(n, n->ready || any_lost(n));
    if (strcmp(argv[1], "stay") == 0) {
        status = stay(n, argv[4]);
    } else if (strcmp(argv[1], "idle") == 0) {
        status = idle(n, argv[4]);
    } else {
        status = exchange(n, strtoull(argv[3], NULL, 10));
    }
    /* To oneself, for the loop to look again. */
    atomic_store(&stop, true);
    peer_ops->send(n->t, self, DQ_MSG_END, &(struct dq_msg_cookie){0}, sizeof(uint64_t), NULL, 0);
    g_thread_join(n->loop);
    n->loop = NULL;
    g_free(n->user);
    tcp_node_free(n);
    return status;
}
