/*
 * The node: its loop, its life, and the way of every message in and out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/node.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "dqemu/assert.h"
#include "dqemu/build_id.h"
#include "dqemu/clocks.h"
#include "dqemu/control.h"
#include "dqemu/cpu_time.h"
#include "dqemu/gate.h"
#include "dqemu/hot.h"
#include "dqemu/jobs.h"
#include "dqemu/runtime.h"
#include "dqemu/sched_attr.h"
#include "dqemu/spin.h"
#include "dqemu/stats.h"
#include "proto/frame.h"
#include "proto/transport.h"

static struct {
    bool live;    /* atomic: set before other threads know of the node, cleared in a forked child */
    bool ending;  /* atomic: peers may vanish */
    bool running; /* the launcher said go; set before the loop's thread starts */
    int self, count;
    int joined;                 /* while meeting the peers: 0, 1 once all are here, or -errno */
    struct dq_peer_addr *peers; /* for messages to the user */
    const struct dq_node_ops *ops;
    void *ctx;
    struct event_base *base;
    const struct dq_transport_ops *wire;
    struct dq_transport *transport;
    int wake;                 /* eventfd: `posted` is not empty */
    int base_first, base_end; /* the event base's own descriptors */
    /* the loop's: */
    int processors;   /* this node's share of the machine's */
    uint64_t spin_ns; /* how long to wait awake after the latest event */
    uint64_t events;  /* so many until now */
    uint64_t latest;  /* when the loop saw a new one */
    uint64_t seen;    /* `events` at that time */
} node = {.count = 1, .wake = -1};

static uint64_t news; /* atomic: dq_node_news() */

static struct dq_jobs posted = DQ_JOBS_INIT(posted);

/* ---- what the others may know ---- */

bool dq_node_is_live(void)
{
    return __atomic_load_n(&node.live, __ATOMIC_ACQUIRE);
}

int dq_node_self(void)
{
    return node.self;
}

int dq_node_count(void)
{
    return node.count;
}

uint64_t dq_node_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t dq_node_news(void)
{
    return __atomic_load_n(&news, __ATOMIC_SEQ_CST);
}

void dq_node_set_timer(int fd, uint64_t when)
{
    struct itimerspec t = {
        .it_value = {(time_t)(when / 1000000000u), (long)(when % 1000000000u)},
    };

    timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL);
}

bool dq_node_timer_expired(int fd)
{
    uint64_t times;

    return read(fd, &times, sizeof(times)) == (ssize_t)sizeof(times);
}

/* ---- the end ---- */

static void count_traffic(void)
{
    uint64_t in, out;

    node.wire->traffic(node.transport, &in, &out);
    dq_stat_set(bytes_in, in);
    dq_stat_set(bytes_out, out);
}

void dq_node_fail(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    dq_control_error(125, "%s", text);
    _exit(125);
}

void dq_node_ending(void)
{
    if (dq_node_is_live()) {
        count_traffic();
    }
    __atomic_store_n(&node.ending, true, __ATOMIC_RELEASE);
}

static const char *address_of(int peer)
{
    return node.peers ? node.peers[peer].address : "?";
}

/*
 * A slave keeps quiet about peers that close: when the master has ended, or another slave has
 * left before this one heard of the end, that is how it looks from here; and when it is a
 * fault, the master sees it too.
 */
static void peer_closed(int peer, const char *why)
{
    count_traffic();
    dq_control_log("node %d (%s): %s", peer, address_of(peer), why);
    if (node.self != 0 && peer == 0) {
        dq_control_stats();
        _exit(0);
    }
    if (node.self == 0 && !__atomic_load_n(&node.ending, __ATOMIC_ACQUIRE)) {
        dq_control_lost(peer, true, why);
        _exit(125);
    }
}

static void on_lost(void *ctx, int peer, const char *why)
{
    (void)ctx;
    if (!node.running) {
        dq_control_error(125, "node %d (%s): %s", peer, address_of(peer), why);
        node.joined = -ECONNABORTED;
        event_base_loopbreak(node.base);
    } else if (node.ops->lost) {
        node.ops->lost(node.ctx, peer, why);
    } else {
        peer_closed(peer, why);
    }
}

/*
 * Not how the end of a run looks, on any node, and perhaps this one alone has seen it: while two
 * slaves cannot reach each other, the master hears of both.
 */
static void on_broken(void *ctx, int peer, const char *why)
{
    if (!node.running || node.ops->lost || __atomic_load_n(&node.ending, __ATOMIC_ACQUIRE)) {
        on_lost(ctx, peer, why);
        return;
    }
    count_traffic();
    dq_control_lost(peer, false, why);
    _exit(125);
}

/* ---- messages ---- */

static bool is_about_splitting(unsigned type)
{
    return type >= DQ_MSG_SPLIT_ASK && type <= DQ_MSG_SPLIT_DONE;
}

static bool is_about_cpu_time(unsigned type)
{
    return type == DQ_MSG_CPU_ASK || type == DQ_MSG_CPU;
}

/* Not so what asks for pages, or takes them away; and what no thread sees but those that read clocks. */
static bool brings_news(unsigned type)
{
    switch (type) {
    case DQ_MSG_GET_S:
    case DQ_MSG_GET_X:
    case DQ_MSG_DONE:
    case DQ_MSG_FETCH_S:
    case DQ_MSG_FETCH_X:
    case DQ_MSG_FETCH_M:
    case DQ_MSG_INV:
    case DQ_MSG_TIME_ASK:
    case DQ_MSG_TIME:
    case DQ_MSG_CPU_ASK:
    case DQ_MSG_CPU:
        return false;
    default:
        return true;
    }
}

/* A message of the runtime's own. -EPROTO: it cannot come now. */
static int take_message(int from, unsigned type, const void *body, size_t length)
{
    if (is_about_cpu_time(type)) {
        return dq_cpu_time_message(from, type, body);
    }
    if (type == DQ_MSG_TIME_ASK || type == DQ_MSG_TIME) {
        return dq_clocks_message(from, type, body);
    }
    return dq_pager_message(from, type, body, length);
}

static bool is_for_runtime(unsigned type)
{
    return type <= DQ_MSG_LISTED || is_about_splitting(type) || type == DQ_MSG_TIME_ASK ||
           type == DQ_MSG_TIME || type == DQ_MSG_SUMS || type == DQ_MSG_RESIDENT_ASK ||
           type == DQ_MSG_RESIDENT || is_about_cpu_time(type);
}

static void on_message(void *ctx, int from, unsigned type, const void *body, size_t length)
{
    (void)ctx;
    node.events++;
    if (from != node.self && brings_news(type)) {
        __atomic_add_fetch(&news, 1, __ATOMIC_SEQ_CST);
    }
    count_traffic();
    if (!is_for_runtime(type)) {
        node.ops->message(node.ctx, from, type, body, length);
    } else if (take_message(from, type, body, length) < 0) {
        dq_node_fail("node %d (%s) sent node %d a message out of turn (%s); this is a fault of "
                     "dqemu, or of who joined as that node",
                     from, address_of(from), node.self, dq_msg_name(type));
    }
}

/* A peer that is lost is reported by on_lost(), so a message to it is dropped in silence. */
void dq_node_emit(int to, unsigned type, const void *body, size_t length, const void *pages,
                  unsigned count)
{
    if (dq_node_is_live()) {
        if (to != node.self) {
            dq_stat_add(messages_out, 1);
        }
        node.wire->send(node.transport, to, type, body, length, pages, count);
    }
}

void dq_node_send(int to, unsigned type, const void *body, size_t length)
{
    dq_node_emit(to, type, body, length, NULL, 0);
}

void dq_node_send2(int to, unsigned type, const void *body, size_t length, const void *more,
                   size_t more_length)
{
    uint8_t *joined = g_malloc(length + more_length);

    memcpy(joined, body, length);
    if (more_length) {
        memcpy(joined + length, more, more_length);
    }
    dq_node_emit(to, type, joined, length + more_length, NULL, 0);
    g_free(joined);
}

static void on_note(void *ctx, const char *text)
{
    (void)ctx;
    dq_control_log("%s", text);
}

/* ---- the loop ---- */

void dq_node_post(void (*fn)(void *arg), void *arg)
{
    const uint64_t one = 1;

    if (dq_node_is_live() && dq_jobs_put(&posted, fn, arg)) {
        /* Cannot block or fail: the loop sets the counter back to zero. */
        ssize_t n = write(node.wake, &one, sizeof(one));
        dq_assert(n == (ssize_t)sizeof(one));
    }
}

static void run_posted(void)
{
    struct dq_job *list;
    uint64_t n;

    if (read(node.wake, &n, sizeof(n)) < 0) {
        return;
    }
    pthread_mutex_lock(&posted.lock);
    list = dq_jobs_take(&posted);
    pthread_mutex_unlock(&posted.lock);
    dq_jobs_run(list);
}

struct call {
    void (*fn)(void *arg);
    void *arg;
    struct dq_gate done;
};

static void run_call(void *arg)
{
    struct call *c = arg;

    c->fn(c->arg);
    dq_gate_open(&c->done);
}

void dq_node_call(void (*fn)(void *arg), void *arg)
{
    struct call c = {.fn = fn, .arg = arg};

    if (dq_node_is_live()) {
        dq_node_post(run_call, &c);
        dq_gate_wait(&c.done);
    }
}

struct watch {
    void (*ready)(void);
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    node.events++;
    ((struct watch *)arg)->ready();
}

void dq_node_watch(int fd, void (*ready)(void))
{
    struct watch *w = g_new(struct watch, 1);
    struct event *e = event_new(node.base, fd, EV_READ | EV_PERSIST, on_readable, w);

    w->ready = ready;
    dq_assert(e);
    event_add(e, NULL);
}

/* The launcher is gone: so is the run. */
static void watch_launcher(void)
{
    char unread[64];
    ssize_t n = recv(dq_control_fd(), unread, sizeof(unread), MSG_DONTWAIT);

    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) {
        return;
    }
    if (node.self != 0) {
        _exit(1);
    }
    kill(getpid(), SIGKILL);
}

/*
 * Guest threads use all the processor time there is, and wait for this one when they fault,
 * here and on other nodes: it runs little and often, and must preempt them. The lowest
 * real-time priority does that; without the privilege, what the fair scheduler offers (a
 * short time slice, so that a wake-up preempts; Linux 6.12).
 */
static void hurry(void)
{
    const struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
    struct dq_sched_attr wish = {
        .size = sizeof(wish),
        .flags = 1, /* SCHED_FLAG_RESET_ON_FORK: not for the threads that this one makes */
        .runtime = 100000,
    };

    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) == 0) {
        return;
    }
    setpriority(PRIO_PROCESS, 0, -20);
    wish.nice = getpriority(PRIO_PROCESS, 0);
    syscall(SYS_sched_setattr, 0, &wish, 0);
}

static void outrun(void *arg)
{
    struct sched_param p = {0};
    int above = MIN(GPOINTER_TO_INT(arg) + 1, sched_get_priority_max(SCHED_FIFO));

    if (sched_getscheduler(0) == (SCHED_FIFO | SCHED_RESET_ON_FORK) && sched_getparam(0, &p) == 0 &&
        p.sched_priority < above) {
        p.sched_priority = above;
        sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p);
    }
}

void dq_node_outrun(int priority)
{
    dq_node_post(outrun, GINT_TO_POINTER(priority));
}

/*
 * Waiting awake, as in spin.h, while threads of this node wait for pages: the answers come soon.
 * Only where it has been found to pay (dq_ask_awake_pays()), and where all other threads have
 * processors of their own, as the loop preempts whoever else wants to run. The nodes of a run
 * share the machine: each has its part of the processors, and with more nodes than processors no
 * loop waits awake. (Nodes on machines of their own are counted the same way, which errs on the
 * side of sleeping.)
 */
static bool waits_awake(void)
{
    uint64_t now;
    int waiting = (int)dq_ask_faults();

    if (node.spin_ns == 0 || waiting == 0 || !dq_ask_awake_pays() ||
        dq_awake_count() - waiting >= node.processors) {
        return false;
    }
    now = dq_node_now();
    if (node.seen != node.events) {
        node.seen = node.events;
        node.latest = now;
    }
    return now - node.latest < node.spin_ns;
}

static int share_of_processors(int nodes)
{
    cpu_set_t set;
    int share = (int)(sysconf(_SC_NPROCESSORS_ONLN) / nodes);

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? MIN(share, CPU_COUNT(&set)) : 0;
}

/* Of messages to oneself before peers get theirs: a transaction has no more steps at its home. */
#define MOST_ROUNDS 4

static void *run_loop(void *arg)
{
    (void)arg;
    hurry();
    for (;;) {
        bool more;
        int rounds = 0;

        /* what this node says to itself may lead to more for a peer: that leaves together */
        do {
            more = node.wire->deliver(node.transport);
            dq_batch_flush();
        } while (more && ++rounds < MOST_ROUNDS);
        more = node.wire->flush(node.transport);
        dq_rest_run();
        event_base_loop(node.base, more || waits_awake() ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
    }
    return NULL;
}

/* ---- opening ---- */

static void on_ready(void *ctx)
{
    (void)ctx;
    node.joined = 1;
    event_base_loopbreak(node.base);
}

static const struct dq_transport_events events = {
    .ready = on_ready,
    .message = on_message,
    .lost = on_lost,
    .broken = on_broken,
    .note = on_note,
};

/* What the next call that opens something will return: there are no other threads yet. */
static int next_descriptor(void)
{
    int fd = fcntl(node.wake, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0) {
        close(fd);
    }
    return fd;
}

static int create(const struct dq_config *cfg)
{
    struct dq_transport_config t = {
        .node = cfg->node,
        .nodes = cfg->nodes,
        .build_id = dq_build_id,
        .handshake_ms = cfg->handshake_ms,
        .protect = cfg->protect,
        .contact_ms = cfg->contact_ms,
    };

    memcpy(t.secret, cfg->secret, sizeof(t.secret));
    node.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    node.base_first = next_descriptor();
    node.base = event_base_new();
    node.base_end = next_descriptor();
    if (node.wake < 0 || !node.base) {
        return -EMFILE;
    }
    node.wire = cfg->transport == DQ_CARRIER_RDMA ? &dq_transport_rdma : &dq_transport_tcp;
    node.transport = node.wire->create(node.base, &t, &events, NULL);
    return node.transport ? 0 : -errno;
}

static int listen_here(const struct dq_config *cfg)
{
    uint16_t port = cfg->port;
    int err = node.wire->listen(node.transport, cfg->bind, &port);

    if (node.wire->caution) {
        dq_control_log("%s", node.wire->caution);
    }
    if (err && node.wire->why(node.transport)) {
        dq_control_error(125, "node %d cannot listen at %s port %u: %s", cfg->node, cfg->bind,
                         cfg->port, node.wire->why(node.transport));
        return err;
    }
    if (err) {
        dq_control_error(125, "node %d cannot listen at %s port %u: %s; %s", cfg->node, cfg->bind,
                         cfg->port, g_strerror(-err),
                         err == -EMFILE || err == -ENFILE ? "raise the limit of open files"
                                                          : "choose another address or port");
        return err;
    }
    return dq_control_listening(cfg->bind, port);
}

static int meet_peers(void)
{
    int err = dq_control_peers(&node.peers, node.count);

    if (err) {
        return err;
    }
    err = node.wire->connect(node.transport, node.peers);
    if (err) {
        dq_control_error(125, "node %d cannot connect to the others: %s", node.self,
                         g_strerror(-err));
        return err;
    }
    /* from here on the launcher says nothing before we are ready */
    if (dq_control_fd() >= 0) {
        dq_node_watch(dq_control_fd(), watch_launcher);
    }
    while (node.joined == 0 && event_base_loop(node.base, EVLOOP_ONCE) == 0) {
    }
    return node.joined == 1 ? 0 : MIN(node.joined, -ECONNABORTED);
}

static int open_all(const struct dq_config *cfg)
{
    int err = create(cfg);

    if (err == 0) {
        err = dq_pager_start(cfg);
    }
    if (err == 0) {
        err = dq_clocks_start();
    }
    if (err) {
        dq_control_error(125, "node %d cannot start: %s; raise the limit of open files", cfg->node,
                         g_strerror(-err));
        return err;
    }
    err = dq_pager_admit(cfg);
    if (err == 0) {
        err = listen_here(cfg);
    }
    if (err == 0) {
        err = meet_peers();
    }
    return err;
}

static int go(void)
{
    int err = dq_control_ready();

    if (err == 0) {
        err = dq_control_wait_go();
    }
    if (err) {
        return err;
    }
    node.running = true;
    dq_node_watch(node.wake, run_posted);
    __atomic_store_n(&node.live, true, __ATOMIC_RELEASE);
    err = dq_worker_thread(run_loop, "dqemu-loop");
    if (err == 0) {
        err = dq_worker_open();
    }
    if (err) {
        dq_control_error(125, "node %d cannot start its threads: %s; raise the limit of processes",
                         node.self, g_strerror(-err));
    } else if (node.self != 0) {
        dq_clocks_meet();
    }
    return err;
}

static void *exit_at_once(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

/* Without a thread to do it nothing is lost but that. */
void dq_node_load_unwinder(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, exit_at_once, NULL) == 0) {
        pthread_join(thread, NULL);
    }
}

int dq_node_open(const struct dq_config *cfg, const struct dq_node_ops *ops, void *ctx)
{
    int err;

    node.self = cfg->node;
    node.count = cfg->nodes;
    node.ops = ops;
    node.ctx = ctx;
    node.spin_ns = (uint64_t)cfg->spin_us * 1000;
    node.processors = share_of_processors(cfg->nodes);
    dq_node_load_unwinder();
    if (cfg->nodes == 1) {
        return 0;
    }
    dq_node_fds_begin(cfg->node == 0);
    err = open_all(cfg);
    dq_node_fds_end();
    return err ? err : go();
}

void dq_node_drop_code(uint64_t page)
{
    if (node.ops->drop_code) {
        node.ops->drop_code(node.ctx, page);
    }
}

void dq_node_forked(void)
{
    if (!dq_node_is_live()) {
        dq_control_forked();
        return;
    }
    __atomic_store_n(&node.live, false, __ATOMIC_RELEASE);
    dq_node_fds_forked();
    dq_control_forked();
    node.wire->forked(node.transport);
    /* The base's epoll instance is the parent's too: close it, and tell the base nothing. */
    for (int fd = node.base_first; fd < node.base_end; fd++) {
        close(fd);
    }
    close(node.wake);
    dq_jobs_forked(&posted);
    dq_worker_forked();
    dq_pager_forked();
    dq_clocks_forked();
    dq_cpu_time_forked();
    dq_code_forked();
    dq_stats_reset();
    dq_hot_reset();
}
