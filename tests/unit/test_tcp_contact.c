/*
 * Which silence is a loss: two hosts (network namespaces of this test's own), a cable between
 * them that can be cut without either side being told, and a node on each, which can be stopped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/tcp_node.h"

#define SECOND 1000u
/* The least that can be set: what a lost peer takes here. */
#define SHORT SECOND
/* For nodes that are to lose nobody, whatever the load of this machine. */
#define LONG (60 * SECOND)

static const char *const addresses[2] = {"10.9.0.1", "10.9.0.2"};
static const char *const cards[2] = {"02:00:00:00:00:01", "02:00:00:00:00:02"};
#define NO_CARD "02:00:00:00:00:99"

/* ---- a node: a process that does as it is told */

enum order {
    ORDER_TELL,  /* answer with a struct news */
    ORDER_TALK,  /* from now on: a message, the peer's answer, the next message, ... */
    ORDER_FLOOD, /* send more than all buffers on the way hold */
};

struct news {
    uint64_t messages;
    int ready, lost, broken;
    char why[200];
};

#define FLOOD_PAGES 8192u /* 32 MiB */

static int say(struct tcp_node *n, uint64_t cookie)
{
    struct dq_msg_cookie m = {.cookie = cookie};

    return dq_transport_tcp.send(n->t, 1 - n->id, DQ_MSG_END, &m, sizeof(m), NULL, 0);
}

static void answer(struct tcp_node *n, int from, unsigned type, const void *body, size_t length)
{
    (void)from, (void)length;
    if (type == DQ_MSG_END) {
        say(n, ((const struct dq_msg_cookie *)body)->cookie + 1);
    }
}

static void flood(struct tcp_node *n)
{
    static const uint8_t page[DQ_PAGE_SIZE];
    struct dq_msg_page m = {.count = 1};

    for (unsigned i = 0; i < FLOOD_PAGES; i++) {
        m.page = i;
        g_assert_cmpint(
            dq_transport_tcp.send(n->t, 1 - n->id, DQ_MSG_DATA_S, &m, sizeof(m), page, 1), ==, 0);
    }
}

static struct news news_of(struct tcp_node *n)
{
    struct news w;

    pthread_mutex_lock(&n->lock);
    w = (struct news){.messages = n->messages,
                      .ready = n->ready,
                      .lost = n->lost_calls[1 - n->id],
                      .broken = n->broken[1 - n->id]};
    g_strlcpy(w.why, n->lost[1 - n->id], sizeof(w.why));
    pthread_mutex_unlock(&n->lock);
    return w;
}

static void obey(struct tcp_node *n, int in, int out)
{
    uint8_t order;

    while (read(in, &order, 1) == 1) {
        struct news w;

        switch ((enum order)order) {
        case ORDER_TELL:
            w = news_of(n);
            g_assert_cmpint(write(out, &w, sizeof(w)), ==, sizeof(w));
            break;
        case ORDER_TALK:
            g_assert_cmpint(say(n, 0), ==, 0);
            break;
        case ORDER_FLOOD:
            flood(n);
            break;
        }
    }
}

struct host {
    int id;
    pid_t pid;
    int to, from;
};

static void G_GNUC_NORETURN be_host(int id, unsigned contact_ms, int in, int out)
{
    struct dq_peer_addr peers[2];
    struct tcp_node *n;
    char go;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    tcp_test_limit(100);
    /* Host 0 is where the test itself is. */
    g_assert_true(id == 0 || unshare(CLONE_NEWNET) == 0);
    g_assert_cmpint(write(out, "u", 1), ==, 1);
    g_assert_cmpint(read(in, &go, 1), ==, 1);
    for (int i = 0; i < 2; i++) {
        g_strlcpy(peers[i].address, addresses[i], sizeof(peers[i].address));
        peers[i].port = 7000;
    }
    tcp_test_address = addresses[id];
    tcp_test_port = 7000;
    tcp_test_contact_ms = contact_ms;
    n = tcp_node_new(id, 2, NULL, NULL);
    g_assert_cmpint(write(out, "l", 1), ==, 1);
    g_assert_cmpint(read(in, &go, 1), ==, 1);
    tcp_node_listen(n, answer, NULL);
    tcp_node_run(n, peers);
    obey(n, in, out);
    _exit(0);
}

/* ---- the test's side */

static void G_GNUC_PRINTF(1, 2) run(const char *format, ...)
{
    g_autofree char *command = NULL;
    va_list args;

    va_start(args, format);
    command = g_strdup_vprintf(format, args);
    va_end(args);
    if (system(command) != 0) {
        g_error("failed: %s", command);
    }
}

static void host_start(struct host *h, int id, unsigned contact_ms)
{
    int to[2], from[2];
    char byte;

    g_assert_cmpint(pipe2(to, O_CLOEXEC), ==, 0);
    g_assert_cmpint(pipe2(from, O_CLOEXEC), ==, 0);
    *h = (struct host){.id = id, .pid = fork(), .to = to[1], .from = from[0]};
    if (h->pid == 0) {
        be_host(id, contact_ms, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    g_assert_cmpint(read(h->from, &byte, 1), ==, 1);
}

static void host_end(struct host *h)
{
    kill(h->pid, SIGKILL);
    g_assert_cmpint(waitpid(h->pid, NULL, 0), ==, h->pid);
    close(h->to);
    close(h->from);
}

static void tell(struct host *h, uint8_t order)
{
    g_assert_cmpint(write(h->to, &order, 1), ==, 1);
}

static struct news ask(struct host *h)
{
    struct news w;

    tell(h, ORDER_TELL);
    g_assert_cmpint(read(h->from, &w, sizeof(w)), ==, sizeof(w));
    return w;
}

/* Ask until the condition, an expression over the news w, holds. */
#define AWAIT(h, condition)                                                                        \
    for (struct news w = ask(h); !(condition); w = ask(h)) {                                       \
        g_usleep(20000);                                                                           \
    }

/* What host `at` sends reaches the other (or nobody). */
static void reach(const struct host *hosts, int at, bool reaches)
{
    run("nsenter -t %d -n ip neigh replace %s lladdr %s dev v%d nud permanent", hosts[at].pid,
        addresses[1 - at], reaches ? cards[1 - at] : NO_CARD, at);
}

static void cut(const struct host *hosts)
{
    reach(hosts, 0, false);
    reach(hosts, 1, false);
}

static void mend(const struct host *hosts)
{
    reach(hosts, 0, true);
    reach(hosts, 1, true);
}

/* Two hosts whose nodes have met; these are what they take for a loss. */
static void hosts_start(struct host hosts[2], unsigned contact0, unsigned contact1)
{
    const unsigned contact[2] = {contact0, contact1};
    char byte;

    for (int i = 0; i < 2; i++) {
        host_start(&hosts[i], i, contact[i]);
    }
    run("ip link add v0 address %s type veth peer name v1 address %s netns %d", cards[0], cards[1],
        hosts[1].pid);
    for (int i = 0; i < 2; i++) {
        run("nsenter -t %d -n ip address add %s/24 dev v%d", hosts[i].pid, addresses[i], i);
        run("nsenter -t %d -n ip link set v%d up", hosts[i].pid, i);
    }
    mend(hosts);
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < 2; i++) {
            g_assert_cmpint(write(hosts[i].to, "g", 1), ==, 1);
            g_assert_true(step == 1 || read(hosts[i].from, &byte, 1) == 1);
        }
    }
    for (int i = 0; i < 2; i++) {
        AWAIT(&hosts[i], w.ready);
    }
}

static void hosts_end(struct host hosts[2])
{
    run("ip link delete v0");
    for (int i = 0; i < 2; i++) {
        host_end(&hosts[i]);
    }
}

static void talk(struct host hosts[2])
{
    tell(&hosts[0], ORDER_TALK);
    for (int i = 0; i < 2; i++) {
        AWAIT(&hosts[i], w.messages > 10);
    }
}

static void goes_on(struct host hosts[2])
{
    for (int i = 0; i < 2; i++) {
        struct news before = ask(&hosts[i]);

        AWAIT(&hosts[i], w.messages > before.messages + 10);
        g_assert_cmpint(ask(&hosts[i]).lost, ==, 0);
    }
}

static void lost_by_silence(struct host *h)
{
    struct news w;

    AWAIT(h, w.lost);
    w = ask(h);
    g_assert_cmpstr(w.why, ==, "nothing heard from it for 1 s");
    g_assert_true(w.broken && w.lost == 1);
}

/* For so long something is as it is; nothing that could be waited for tells its end. */
static void let_pass(unsigned ms)
{
    g_usleep(ms * 1000);
}

/* ---- silence that is a loss */

static void test_cut_while_talking(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, SHORT);
    talk(hosts);
    cut(hosts);
    lost_by_silence(&hosts[0]);
    lost_by_silence(&hosts[1]);
    hosts_end(hosts);
}

static void test_cut_while_idle(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, SHORT);
    cut(hosts);
    lost_by_silence(&hosts[0]);
    lost_by_silence(&hosts[1]);
    hosts_end(hosts);
}

/* Only one direction: who hears nothing any more ends it, and the other sees the end. */
static void test_cut_one_way(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, LONG);
    talk(hosts);
    reach(hosts, 1, false);
    lost_by_silence(&hosts[0]);
    AWAIT(&hosts[1], w.lost && !w.broken && g_str_has_prefix(w.why, "connection "));
    hosts_end(hosts);
}

/* A peer that reads nothing is not lost; when its machine is gone it is. */
static void test_cut_while_window_is_full(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, LONG);
    kill(hosts[1].pid, SIGSTOP);
    tell(&hosts[0], ORDER_FLOOD);
    g_assert_cmpint(ask(&hosts[0]).lost, ==, 0);
    cut(hosts);
    lost_by_silence(&hosts[0]);
    hosts_end(hosts);
}

/* ---- silence that is none */

static void test_mended_in_time(void)
{
    struct host hosts[2];

    hosts_start(hosts, 20 * SECOND, 20 * SECOND);
    talk(hosts);
    cut(hosts);
    let_pass(3 * SECOND);
    mend(hosts);
    goes_on(hosts);
    hosts_end(hosts);
}

static void test_quiet_is_no_silence(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, SHORT);
    let_pass(4 * SECOND);
    talk(hosts);
    goes_on(hosts);
    hosts_end(hosts);
}

/* Its kernel answers for it, and says that it takes no more. */
static void test_peer_stopped_with_full_window(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, SHORT);
    kill(hosts[1].pid, SIGSTOP);
    tell(&hosts[0], ORDER_FLOOD);
    let_pass(5 * SECOND);
    g_assert_cmpint(ask(&hosts[0]).lost, ==, 0);
    kill(hosts[1].pid, SIGCONT);
    AWAIT(&hosts[1], w.messages == FLOOD_PAGES);
    talk(hosts);
    goes_on(hosts);
    hosts_end(hosts);
}

static void test_stopped_while_talking(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, SHORT);
    talk(hosts);
    kill(hosts[0].pid, SIGSTOP);
    let_pass(3 * SECOND);
    kill(hosts[0].pid, SIGCONT);
    goes_on(hosts);
    hosts_end(hosts);
}

/* It was not there to hear: all the while that it stood the cable was cut, and is whole again. */
static void test_stopped_blames_nobody(void)
{
    struct host hosts[2];

    hosts_start(hosts, SHORT, LONG);
    talk(hosts);
    kill(hosts[0].pid, SIGSTOP);
    cut(hosts);
    let_pass(4 * SECOND);
    mend(hosts);
    kill(hosts[0].pid, SIGCONT);
    goes_on(hosts);
    hosts_end(hosts);
}

/* ---- */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (write(fd, text, strlen(text)) < 0) {
            perror(path);
        }
        close(fd);
    }
}

/* A network of this test's own; for who is not root, as root of a user namespace. */
static bool enter_network(void)
{
    g_autofree char *map = g_strdup_printf("0 %u 1", getuid());

    if (unshare(CLONE_NEWNET) == 0) {
        return true;
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return false;
    }
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", map);
    return true;
}

static void skip(void)
{
    g_test_skip("no permission to make network namespaces");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tcp_test_limit(110);
    if (!enter_network()) {
        if (g_strcmp0(getenv("CI"), "true") == 0) {
            g_error("cannot make network namespaces: %s", g_strerror(errno));
        }
        g_test_add_func("/contact/all", skip);
        return g_test_run();
    }
    g_test_add_func("/contact/cut-while-talking", test_cut_while_talking);
    g_test_add_func("/contact/cut-while-idle", test_cut_while_idle);
    g_test_add_func("/contact/cut-one-way", test_cut_one_way);
    g_test_add_func("/contact/cut-while-window-is-full", test_cut_while_window_is_full);
    g_test_add_func("/contact/mended-in-time", test_mended_in_time);
    g_test_add_func("/contact/quiet-is-no-silence", test_quiet_is_no_silence);
    g_test_add_func("/contact/peer-stopped-with-full-window", test_peer_stopped_with_full_window);
    g_test_add_func("/contact/stopped-while-talking", test_stopped_while_talking);
    g_test_add_func("/contact/stopped-blames-nobody", test_stopped_blames_nobody);
    return g_test_run();
}
