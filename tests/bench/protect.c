/*
 * What the protection of connections costs: two nodes of the TCP transport, processes with a loop
 * like a node's, at each level in turn.
 *
 *   protect [ROUNDS]     (5); prints tables, medians over the rounds, compared with none
 *
 * Time that passes, and processor time of both nodes together: the latter says something also
 * where others use the machine.
 *
 * "small": round trips of 16 bytes each way. "page": a request of 16 bytes, a page in answer.
 * "stream": messages of 16 pages, eight of them under way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <event2/event.h>
#include <glib.h>
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

#define MOST_ROUNDS 99
#define UNDER_WAY 8

#define CLOCKS 2
static const char *const clocks[CLOCKS] = {"passed, ns", "used, ns"};

enum kind { SMALL, PAGE, STREAM, KINDS };

/* Exchanges; a tenth as many before them warm up. */
static const unsigned counts[KINDS] = {10000, 10000, 2000};
static const unsigned pages[KINDS] = {0, 1, DQ_MOST_PAGES};
static const char *const kinds[KINDS] = {"small", "page", "stream"};
static const char *const levels[DQ_PROTECT_COUNT] = {"none", "integrity", "encrypt"};

static struct {
    struct dq_transport *t;
    int self;
    bool over;
    enum kind kind;
    unsigned received;
    int64_t start[CLOCKS];
    int report;    /* of node 1: where to write the times of all kinds */
    clockid_t cpu; /* of node 1: the other's processor time */
} node;

static int64_t ns_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void read_clocks(int64_t ns[CLOCKS])
{
    ns[0] = ns_of(CLOCK_MONOTONIC);
    ns[1] = ns_of(CLOCK_PROCESS_CPUTIME_ID) + ns_of(node.cpu);
}

static void ask(void)
{
    struct dq_msg_page m = {.page = node.kind, .count = 1};

    dq_transport_tcp.send(node.t, 0, DQ_MSG_GET_S, &m, sizeof(m), NULL, 0);
}

static void begin(enum kind kind)
{
    node.kind = kind;
    node.received = 0;
    for (int i = 0; i < (kind == STREAM ? UNDER_WAY : 1); i++) {
        ask();
    }
}

/* Node 1: an answer is here. */
static void answered(void)
{
    int64_t end[CLOCKS];
    const unsigned warm = counts[node.kind] / 10;

    node.received++;
    if (node.received == warm) {
        read_clocks(node.start);
    }
    if (node.received + (node.kind == STREAM ? UNDER_WAY - 1 : 0) < counts[node.kind] + warm) {
        ask();
    }
    if (node.received < counts[node.kind] + warm) {
        return;
    }
    read_clocks(end);
    for (int c = 0; c < CLOCKS; c++) {
        end[c] -= node.start[c];
    }
    if (write(node.report, end, sizeof(end)) != sizeof(end)) {
        exit(1);
    }
    if (node.kind + 1 == KINDS) {
        node.over = true;
    } else {
        begin(node.kind + 1);
    }
}

static void on_message(void *ctx, int from, unsigned type, const void *body, size_t length)
{
    static const uint8_t data[DQ_MOST_PAGES * DQ_PAGE_SIZE];
    struct dq_msg_page m = *(const struct dq_msg_page *)body;
    unsigned n;

    (void)ctx, (void)type, (void)length;
    if (node.self == 1) {
        answered();
        return;
    }
    n = pages[m.page];
    m.count = MAX(n, 1);
    dq_transport_tcp.send(node.t, from, n ? DQ_MSG_DATA_S : DQ_MSG_ACK, &m, sizeof(m), data, n);
}

static void on_ready(void *ctx)
{
    (void)ctx;
    if (node.self == 1) {
        begin(0);
    }
}

static void on_lost(void *ctx, int peer, const char *why)
{
    (void)ctx, (void)peer;
    if (node.self == 1) {
        fprintf(stderr, "protect: %s\n", why);
        exit(1);
    }
    node.over = true;
}

static void on_note(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "protect: %s\n", text);
}

static void G_GNUC_NORETURN be_node(int self, pid_t other, enum dq_protect protect, int port_in,
                                    int out)
{
    static const struct dq_transport_events events = {
        .ready = on_ready, .message = on_message, .lost = on_lost, .note = on_note};
    struct dq_transport_config cfg = {
        .node = self, .nodes = 2, .build_id = "b", .handshake_ms = 10000, .protect = protect};
    struct dq_peer_addr peers[2] = {{.address = "127.0.0.1"}};
    struct event_base *base = event_base_new();
    uint16_t port = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    node.self = self;
    node.report = out;
    if (self == 1 && clock_getcpuclockid(other, &node.cpu) != 0) {
        exit(1);
    }
    node.t = dq_transport_tcp.create(base, &cfg, &events, NULL);
    if (!node.t || dq_transport_tcp.listen(node.t, "127.0.0.1", &port) != 0) {
        exit(1);
    }
    if (self == 0 ? write(out, &port, sizeof(port)) != sizeof(port)
                  : read(port_in, &peers[0].port, sizeof(port)) != sizeof(port)) {
        exit(1);
    }
    dq_transport_tcp.connect(node.t, peers);
    while (!node.over) {
        bool more = dq_transport_tcp.deliver(node.t);

        more |= dq_transport_tcp.flush(node.t);
        event_base_loop(base, more ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
    }
    exit(0);
}

/* One run of two processes: ns for an exchange of each kind. */
static void measure(enum dq_protect protect, double ns[KINDS][CLOCKS])
{
    int port_pipe[2], times[2], status;
    pid_t pids[2];

    if (pipe(port_pipe) != 0 || pipe(times) != 0) {
        exit(1);
    }
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            be_node(i, pids[0], protect, port_pipe[0], i == 0 ? port_pipe[1] : times[1]);
        }
    }
    close(times[1]);
    for (int k = 0; k < KINDS; k++) {
        int64_t took[CLOCKS];

        if (read(times[0], took, sizeof(took)) != sizeof(took)) {
            fprintf(stderr, "protect: a node ended before it had measured\n");
            exit(1);
        }
        for (int c = 0; c < CLOCKS; c++) {
            ns[k][c] = (double)took[c] / counts[k];
        }
    }
    for (int i = 0; i < 2; i++) {
        waitpid(pids[i], &status, 0);
    }
    close(times[0]);
    close(port_pipe[0]);
    close(port_pipe[1]);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double ns[CLOCKS][DQ_PROTECT_COUNT][KINDS][MOST_ROUNDS];

static void print(int clock, int rounds)
{
    printf("%-10s", clocks[clock]);
    for (int k = 0; k < KINDS; k++) {
        printf("  %16s", kinds[k]);
    }
    for (int p = 0; p < DQ_PROTECT_COUNT; p++) {
        printf("\n%-10s", levels[p]);
        for (int k = 0; k < KINDS; k++) {
            qsort(ns[clock][p][k], rounds, sizeof(double), compare);
            printf("  %8.0f (%5.2f)", ns[clock][p][k][rounds / 2],
                   ns[clock][p][k][rounds / 2] / ns[clock][0][k][rounds / 2]);
        }
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? CLAMP(atoi(argv[1]), 1, MOST_ROUNDS) : 5;

    for (int r = 0; r < rounds; r++) {
        for (int p = 0; p < DQ_PROTECT_COUNT; p++) {
            double once[KINDS][CLOCKS];

            measure(p, once);
            for (int k = 0; k < KINDS; k++) {
                for (int c = 0; c < CLOCKS; c++) {
                    ns[c][p][k][r] = once[k][c];
                }
            }
        }
    }
    for (int c = 0; c < CLOCKS; c++) {
        print(c, rounds);
    }
    return 0;
}
