/*
 * The test cluster: see cluster.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "cluster.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dqemu/control.h"
#include "dqemu/node.h"

#define PAGE 4096u

void (*cluster_drop_code)(uint64_t page);
const char *cluster_options = "";

static struct dq_config config;
static uint8_t *base;
static uint64_t began;

/* ---- in a node */

uint64_t *guest(uint64_t page)
{
    return (uint64_t *)(base + page * PAGE);
}

void fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "# node %d: ", config.node);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    _exit(9);
}

uint64_t rnd(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

bool time_is_up(unsigned ms)
{
    return dq_node_now() - began > ms * UINT64_C(1000000);
}

/* MAPPED to node 0 says "I am there"; MAPPED from node 0 says "all are". */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int arrived, passed;
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void meet(void)
{
    struct dq_msg_cookie m = {1};

    if (config.node == 0 && ++meeting.arrived == config.nodes) {
        meeting.arrived = 0;
        for (int n = 0; n < config.nodes; n++) {
            dq_node_send(n, DQ_MSG_MAPPED, &m, sizeof(m));
        }
    }
}

static void leave(void)
{
    dq_node_ending();
    dq_control_stats();
    _exit(0);
}

static void message(void *ctx, int from, unsigned type, const void *body, size_t length)
{
    struct dq_msg_cookie m;

    (void)ctx;
    (void)from;
    check(length == sizeof(m));
    memcpy(&m, body, sizeof(m));
    if (type == DQ_MSG_END) {
        leave();
    }
    check(type == DQ_MSG_MAPPED);
    if (m.cookie == 0) {
        meet();
        return;
    }
    pthread_mutex_lock(&meeting.lock);
    meeting.passed++;
    pthread_cond_broadcast(&meeting.changed);
    pthread_mutex_unlock(&meeting.lock);
}

void barrier(void)
{
    static int passed;
    struct dq_msg_cookie m = {0};

    if (config.nodes == 1) {
        return;
    }
    dq_node_send(0, DQ_MSG_MAPPED, &m, sizeof(m));
    passed++;
    pthread_mutex_lock(&meeting.lock);
    while (meeting.passed < passed) {
        pthread_cond_wait(&meeting.changed, &meeting.lock);
    }
    pthread_mutex_unlock(&meeting.lock);
}

struct start {
    void (*fn)(int index, void *arg);
    void *arg;
    int index;
};

static void *run_thread(void *arg)
{
    struct start *s = arg;

    s->fn(s->index, s->arg);
    return NULL;
}

void threads(int count, void (*fn)(int index, void *arg), void *arg)
{
    pthread_t thread[count];
    struct start start[count];

    for (int i = 0; i < count; i++) {
        start[i] = (struct start){fn, arg, i};
        check(pthread_create(&thread[i], NULL, run_thread, &start[i]) == 0);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(thread[i], NULL);
    }
}

/* The bases of the nodes differ, as they may in a real cluster. */
uintptr_t guest_map(void)
{
    size_t size = (size_t)(GUEST_PAGES + 256) * PAGE;
    void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    check(p != MAP_FAILED);
    base = (uint8_t *)p + (size_t)config.node * 16 * PAGE;
    return (uintptr_t)base;
}

void guest_allow(uint64_t page, uint64_t count, int protection)
{
    check(mprotect(guest(page), count * PAGE, protection) == 0);
}

static void drop_code(void *ctx, uint64_t page)
{
    (void)ctx;
    if (cluster_drop_code) {
        cluster_drop_code(page);
    }
}

static void set_up_memory(void)
{
    dq_pager_open(guest_map());
    check(dq_pager_register(0, (uint64_t)GUEST_PAGES * PAGE) == 0);
    guest_allow(0, GUEST_PAGES, PROT_READ | PROT_WRITE);
}

static _Noreturn void run_node(int control, void (*body)(int node), bool bare)
{
    static const struct dq_node_ops ops = {.message = message, .drop_code = drop_code};
    struct dq_msg_cookie m = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dq_control_open(control, &config) < 0 || dq_node_open(&config, &ops, NULL) < 0) {
        _exit(8);
    }
    began = dq_node_now();
    if (!bare) {
        set_up_memory();
        barrier();
    }
    body(config.node);
    barrier();
    if (config.nodes == 1) {
        leave();
    }
    if (config.node == 0) {
        dq_node_ending();
        for (int n = 1; n < config.nodes; n++) {
            dq_node_send(n, DQ_MSG_END, &m, sizeof(m));
        }
    }
    /* Slaves leave on END. The master stays, so that END arrives, until the parent lets go. */
    for (;;) {
        pause();
    }
}

/* ---- in the parent */

static void read_line(int fd, char *line, size_t size)
{
    size_t n = 0;

    while (n + 1 < size && read(fd, line + n, 1) == 1 && line[n] != '\n') {
        n++;
    }
    line[n] = '\0';
}

static void write_text(int fd, const char *text)
{
    size_t length = strlen(text);

    if (send(fd, text, length, MSG_NOSIGNAL) != (ssize_t)length) {
        fprintf(stderr, "# a node is gone early\n");
    }
}

static void configure(struct cluster *c, int node)
{
    char line[1024], secret[65];

    memset(secret, '5', 64);
    secret[64] = '\0';
    snprintf(line, sizeof(line),
             "{\"type\":\"config\",\"version\":1,\"node\":%d,\"nodes\":%d,\"secret\":\"%s\","
             "\"bind\":\"127.0.0.1\",\"port\":0,\"placement\":\"spread\","
             "\"protect\":\"none\",\"verbose\":0,"
             "\"options\":{%s}}\n",
             node, c->nodes, secret, cluster_options);
    write_text(c->control[node], line);
}

static void introduce(struct cluster *c)
{
    char peers[1024] = "{\"type\":\"peers\",\"peers\":[", line[1024];

    for (int n = 0; n < c->nodes; n++) {
        const char *port;

        read_line(c->control[n], line, sizeof(line));
        port = strstr(line, "\"port\":");
        snprintf(peers + strlen(peers), sizeof(peers) - strlen(peers),
                 "%s{\"node\":%d,\"address\":\"127.0.0.1\",\"port\":%d}", n ? "," : "", n,
                 port ? atoi(port + 7) : 1);
    }
    strcat(peers, "]}\n");
    for (int n = 0; n < c->nodes; n++) {
        write_text(c->control[n], peers);
    }
    for (int n = 0; n < c->nodes; n++) {
        read_line(c->control[n], line, sizeof(line));
        if (!strstr(line, "\"ready\"")) {
            fprintf(stderr, "# node %d: %s\n", n, line);
        }
    }
    for (int n = 0; n < c->nodes; n++) {
        write_text(c->control[n], "{\"type\":\"go\"}\n");
    }
}

void cluster_start(struct cluster *c, int nodes, void (*body)(int node), bool bare)
{
    *c = (struct cluster){.nodes = nodes};
    for (int n = 0; n < nodes; n++) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
            perror("socketpair");
            exit(1);
        }
        fflush(stdout);
        c->control[n] = pair[0];
        c->pid[n] = fork();
        if (c->pid[n] == 0) {
            for (int i = 0; i <= n; i++) {
                close(c->control[i]);
            }
            run_node(pair[1], body, bare);
        }
        close(pair[1]);
        configure(c, n);
    }
    if (nodes > 1) {
        introduce(c);
    }
}

const char *cluster_error(struct cluster *c, int node)
{
    static char line[4096];

    do {
        read_line(c->control[node], line, sizeof(line));
    } while (line[0] && !strstr(line, "\"error\"") && !strstr(line, "\"lost\""));
    return line;
}

bool cluster_end(struct cluster *c)
{
    bool good = true;
    int status;

    for (int n = c->nodes - 1; n > 0; n--) {
        waitpid(c->pid[n], &status, 0);
        if (status != 0) {
            fprintf(stderr, "# node %d ended with wait status 0x%x\n", n, status);
            good = false;
        }
    }
    if (c->nodes > 1) {
        close(c->control[0]);
    }
    waitpid(c->pid[0], &status, 0);
    for (int n = c->nodes > 1; n < c->nodes; n++) {
        close(c->control[n]);
    }
    if (c->nodes == 1) {
        return status == 0;
    }
    return good && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
