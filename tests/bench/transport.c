/*
 * What our transports can do, without anything above them: two processes, each with a loop like
 * a node's, that ask each other for pages.
 *
 *   transport [options] ping PAGES       round trips, one at a time: a request, and so many pages
 *   transport [options] stream PAGES     16 requests under way at any time
 *   transport [options] register PAGES   what it costs to register memory, and to copy as much
 *
 *   --transport T   tcp (the default) or rdma
 *   --count N       round trips (20000); requests of the stream (8192); registrations (1000)
 *   --cpus A,B      processors of the two processes
 *   --address A     where they meet (127.0.0.1)
 *
 * Prints one JSON object. Status 3: no RDMA device has that address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <glib.h>
#include <infiniband/verbs.h>
#include <jansson.h>
#include <netinet/in.h>
#include <rdma/rdma_cma.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/transport.h"

#define UNDER_WAY 16 /* requests of a stream */
#define NO_DEVICE 3

static struct {
    const struct dq_transport_ops *ops;
    const char *mode, *address;
    int cpu[2];
    unsigned pages;
    uint64_t count;
} o = {.ops = &dq_transport_tcp, .address = "127.0.0.1", .cpu = {-1, -1}};

static struct {
    int id;
    struct event_base *base;
    struct dq_transport *t;
    bool ready, over;
    uint64_t asked, answered;
    int64_t start; /* of the latest request, or of the stream */
    int64_t *sample;
    uint8_t *pages;
} n;

static void G_GNUC_NORETURN die(const char *what, const char *why)
{
    fprintf(stderr, "transport: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t warm_up(void)
{
    return o.count / 10;
}

static void ask(void)
{
    struct dq_msg_page m = {.page = n.asked++, .count = 1};

    if (n.asked <= o.count + warm_up()) {
        o.ops->send(n.t, 1, DQ_MSG_GET_S, &m, sizeof(m), NULL, 0);
    }
}

static void answer(const struct dq_msg_page *m)
{
    if (o.pages) {
        o.ops->send(n.t, 0, DQ_MSG_DATA_S, m, sizeof(*m), n.pages, o.pages);
    } else {
        o.ops->send(n.t, 0, DQ_MSG_ACK, m, sizeof(*m), NULL, 0);
    }
}

static void on_message(void *ctx, int from, unsigned type, const void *body, size_t length)
{
    uint64_t done;

    (void)ctx, (void)from, (void)type, (void)length;
    if (n.id == 1) {
        answer(body);
        return;
    }
    done = ++n.answered;
    if (strcmp(o.mode, "ping") == 0) {
        int64_t now = now_ns();

        if (done > warm_up()) {
            n.sample[done - warm_up() - 1] = now - n.start;
        }
        n.start = now;
    } else if (done == warm_up()) {
        n.start = now_ns();
    }
    n.over = done == o.count + warm_up();
    ask();
}

static void on_ready(void *ctx)
{
    (void)ctx;
    n.ready = true;
}

static void on_lost(void *ctx, int node, const char *why)
{
    (void)ctx, (void)node;
    if (n.id == 0 ? !n.over : !n.ready) {
        die("the other process was lost", why);
    }
    n.over = true;
}

static void on_note(void *ctx, const char *text)
{
    (void)ctx, (void)text;
}

static void settle(void)
{
    cpu_set_t set;

    if (o.cpu[n.id] < 0) {
        return;
    }
    CPU_ZERO(&set);
    CPU_SET(o.cpu[n.id], &set);
    if (sched_setaffinity(0, sizeof(set), &set)) {
        die("cannot run on the processor asked for", g_strerror(errno));
    }
}

static uint16_t open_node(int id)
{
    static const struct dq_transport_events events = {
        .ready = on_ready, .message = on_message, .lost = on_lost, .note = on_note};
    struct dq_transport_config cfg = {
        .node = id, .nodes = 2, .build_id = "bench", .handshake_ms = 10000};
    uint16_t port = 0;
    int err;

    n.id = id;
    settle();
    n.pages = g_malloc0((size_t)DQ_MOST_PAGES * DQ_PAGE_SIZE);
    n.base = event_base_new();
    n.t = o.ops->create(n.base, &cfg, &events, NULL);
    err = n.t ? o.ops->listen(n.t, o.address, &port) : -errno;
    if (err) {
        die(o.address, n.t && o.ops->why(n.t) ? o.ops->why(n.t) : g_strerror(-err));
    }
    return port;
}

static void turn(void)
{
    bool was_ready = n.ready, more = o.ops->deliver(n.t);

    more |= o.ops->flush(n.t);
    more |= n.over || n.ready != was_ready; /* who called wants to know */
    event_base_loop(n.base, more ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
}

static void G_GNUC_NORETURN serve(int hear_port)
{
    struct dq_peer_addr peers[2] = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    g_strlcpy(peers[0].address, o.address, sizeof(peers[0].address));
    if (read(hear_port, &peers[0].port, sizeof(uint16_t)) != sizeof(uint16_t)) {
        exit(1); /* the other process has said why */
    }
    open_node(1);
    o.ops->connect(n.t, peers);
    while (!n.over) {
        turn();
    }
    o.ops->destroy(n.t);
    exit(0);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static json_t *measure(void)
{
    bool ping = strcmp(o.mode, "ping") == 0;
    int64_t took;

    n.sample = g_new0(int64_t, o.count);
    while (!n.ready) {
        turn();
    }
    n.start = now_ns();
    for (int i = 0; i < (ping ? 1 : UNDER_WAY); i++) {
        ask();
    }
    while (!n.over) {
        turn();
    }
    took = now_ns() - n.start;
    if (ping) {
        qsort(n.sample, o.count, sizeof(*n.sample), compare);
        return json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I}", "mode", "ping", "transport",
                         o.ops->name, "pages", (int)o.pages, "round_trips", (json_int_t)o.count,
                         "median_ns", (json_int_t)n.sample[o.count / 2], "p99_ns",
                         (json_int_t)n.sample[o.count * 99 / 100], "min_ns",
                         (json_int_t)n.sample[0]);
    }
    return json_pack("{s:s, s:s, s:i, s:I, s:I, s:f}", "mode", "stream", "transport", o.ops->name,
                     "pages", (int)o.pages, "requests", (json_int_t)o.count, "took_ns",
                     (json_int_t)took, "bytes_per_second",
                     (double)o.count * o.pages * DQ_PAGE_SIZE * 1e9 / (double)took);
}

static void need_device(void)
{
    char text[256];

    if (dq_rdma_probe(o.address, text, sizeof(text)) < 0) {
        fprintf(stderr, "transport: %s\n", text);
        exit(NO_DEVICE);
    }
}

static json_t *run_two(void)
{
    struct dq_peer_addr none[2] = {0};
    int pipes[2];
    uint16_t port;
    json_t *result;
    pid_t child;

    /* Before either has a device open: that does not survive a fork. */
    if (pipe(pipes) || (child = fork()) < 0) {
        die("cannot start", g_strerror(errno));
    }
    if (child == 0) {
        close(pipes[1]);
        serve(pipes[0]);
    }
    close(pipes[0]);
    if (o.ops == &dq_transport_rdma) {
        need_device();
    }
    port = open_node(0);
    o.ops->connect(n.t, none);
    if (write(pipes[1], &port, sizeof(port)) != sizeof(port)) {
        die("cannot start", g_strerror(errno));
    }
    result = measure();
    o.ops->destroy(n.t);
    waitpid(child, NULL, 0);
    return result;
}

/* What a copy costs that registering the sender's own memory would save, and what that costs. */
static json_t *registration(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    size_t bytes = (size_t)o.pages * DQ_PAGE_SIZE;
    uint8_t *from = g_malloc0(bytes + DQ_PAGE_SIZE), *to = g_malloc0(bytes);
    struct rdma_event_channel *channel;
    struct rdma_cm_id *id;
    struct ibv_pd *pd;
    int64_t start, registered, copied;

    need_device();
    channel = rdma_create_event_channel();
    inet_pton(AF_INET, o.address, &sa.sin_addr);
    if (!channel || rdma_create_id(channel, &id, NULL, RDMA_PS_TCP) ||
        rdma_bind_addr(id, (struct sockaddr *)&sa) || !(pd = ibv_alloc_pd(id->verbs))) {
        die(o.address, g_strerror(errno));
    }
    start = now_ns();
    for (uint64_t i = 0; i < o.count; i++) {
        struct ibv_mr *mr = ibv_reg_mr(pd, from, bytes, IBV_ACCESS_LOCAL_WRITE);

        if (!mr) {
            die("cannot register memory", g_strerror(errno));
        }
        ibv_dereg_mr(mr);
    }
    registered = now_ns() - start;
    start = now_ns();
    for (uint64_t i = 0; i < o.count; i++) {
        memcpy(to, from, bytes);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    copied = now_ns() - start;
    return json_pack("{s:s, s:i, s:I, s:I}", "mode", "register", "pages", (int)o.pages,
                     "register_ns", (json_int_t)(registered / (int64_t)o.count), "copy_ns",
                     (json_int_t)(copied / (int64_t)o.count));
}

static void G_GNUC_NORETURN usage(void)
{
    fprintf(stderr, "usage: transport [--transport tcp|rdma] [--count N] [--cpus A,B] "
                    "[--address A] ping|stream|register PAGES\n");
    exit(2);
}

static uint64_t number(const char *text, uint64_t most)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, most, &value, NULL)) {
        usage();
    }
    return value;
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"transport", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'n'},
        {"cpus", required_argument, NULL, 'c'},
        {"address", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 't' && (strcmp(optarg, "tcp") == 0 || strcmp(optarg, "rdma") == 0)) {
            o.ops = *optarg == 'r' ? &dq_transport_rdma : &dq_transport_tcp;
        } else if (c == 'n') {
            o.count = number(optarg, 1u << 30);
        } else if (c == 'c' && sscanf(optarg, "%d,%d", &o.cpu[0], &o.cpu[1]) == 2) {
            continue;
        } else if (c == 'a') {
            o.address = optarg;
        } else {
            usage();
        }
    }
    if (argc - optind != 2) {
        usage();
    }
    o.mode = argv[optind];
    o.pages = (unsigned)number(argv[optind + 1], DQ_MOST_PAGES);
    if (!o.count) {
        o.count = strcmp(o.mode, "ping") == 0 ? 20000 : strcmp(o.mode, "stream") == 0 ? 8192 : 1000;
    }
    if (strcmp(o.mode, "ping") &&
        (o.pages == 0 || (strcmp(o.mode, "stream") && strcmp(o.mode, "register")))) {
        usage();
    }
}

int main(int argc, char **argv)
{
    json_t *result;

    parse(argc, argv);
    result = strcmp(o.mode, "register") == 0 ? registration() : run_two();
    json_dumpf(result, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    return 0;
}
