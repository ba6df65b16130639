/*
 * The process's clocks as a slave keeps them and as the master answers. The node is played here:
 * what is sent goes into a queue, and a master with other clocks answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "dqemu/clocks.h"
#include "dqemu/control.h"
#include "dqemu/runtime.h"

#define SECOND INT64_C(1000000000)

/* ---- the node ---- */

static struct {
    int self, count;
    uint64_t timer; /* when it was set to expire; 0: not set */
    bool expired;
    void (*ready)(void);
    GArray *sent;
} node;

struct sent {
    int to;
    unsigned type;
    union {
        struct dq_msg_time_ask ask;
        struct dq_msg_time time;
    };
};

int dq_node_self(void)
{
    return node.self;
}

int dq_node_count(void)
{
    return node.count;
}

bool dq_node_is_live(void)
{
    return true;
}

uint64_t dq_node_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void dq_node_watch(int fd, void (*ready)(void))
{
    (void)fd;
    node.ready = ready;
}

void dq_node_set_timer(int fd, uint64_t when)
{
    (void)fd;
    node.timer = when;
}

bool dq_node_timer_expired(int fd)
{
    bool expired = node.expired;

    (void)fd;
    node.expired = false;
    return expired;
}

void dq_node_send(int to, unsigned type, const void *body, size_t length)
{
    struct sent s = {.to = to, .type = type};

    g_assert_cmpuint(length, ==,
                     type == DQ_MSG_TIME ? sizeof(struct dq_msg_time)
                                         : sizeof(struct dq_msg_time_ask));
    memcpy(&s.time, body, length);
    g_array_append_val(node.sent, s);
}

void dq_control_log(const char *format, ...)
{
    g_assert_nonnull(format);
}

static struct sent take_sent(void)
{
    struct sent s;

    g_assert_cmpuint(node.sent->len, >, 0);
    s = g_array_index(node.sent, struct sent, 0);
    g_array_remove_index(node.sent, 0);
    return s;
}

/* ---- the master ---- */

/* Its clocks are the host's, but for these. */
static struct {
    int64_t monotonic, raw, realtime, boottime;
    bool same, differ;
    unsigned questions;
} master;

static int64_t host(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static struct dq_msg_time masters_time(void)
{
    struct dq_msg_time m = {.same = master.same, .differ = !master.same || master.differ};

    m.monotonic = (uint64_t)(host(CLOCK_MONOTONIC) + master.monotonic);
    m.raw = (uint64_t)(host(CLOCK_MONOTONIC_RAW) + master.raw);
    m.realtime = (uint64_t)(host(CLOCK_REALTIME) + master.realtime);
    m.boottime = (uint64_t)(host(CLOCK_BOOTTIME) + master.boottime);
    m.monotonic_after = (uint64_t)(host(CLOCK_MONOTONIC) + master.monotonic);
    return m;
}

static void answer_all(void)
{
    while (node.sent->len) {
        struct sent s = take_sent();
        struct dq_msg_time m = masters_time();

        g_assert_cmpint(s.to, ==, 0);
        g_assert_cmpuint(s.type, ==, DQ_MSG_TIME_ASK);
        master.questions++;
        if (!s.ask.kernel[0] && !s.ask.kernel[1]) {
            m.same = 0;
        }
        m.monotonic_asked = s.ask.monotonic;
        m.raw_asked = s.ask.raw;
        g_assert_cmpint(dq_clocks_message(0, DQ_MSG_TIME, &m), ==, 0);
    }
}

/* The loop, at once; what it asks is answered before the one who posted goes on. */
void dq_node_post(void (*fn)(void *arg), void *arg)
{
    fn(arg);
    answer_all();
}

static void start(int self)
{
    node.self = self;
    node.count = 3;
    node.sent = g_array_new(false, false, sizeof(struct sent));
    g_assert_cmpint(dq_clocks_start(), ==, 0);
    g_assert_nonnull(node.ready);
}

/* Each test in a process of its own: the clocks are the process's. */
static void alone(const char *path)
{
    g_test_trap_subprocess(path, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
}

/* ---- tests ---- */

static void check_shows(clockid_t clock, clockid_t base, int64_t ahead)
{
    int64_t before = host(base), shown, after;

    g_assert_true(dq_clocks_read(clock, &shown));
    after = host(base);
    /* nothing here takes long, but the machine may be busy */
    g_assert_cmpint(shown, >=, before + ahead - SECOND / 2);
    g_assert_cmpint(shown, <=, after + ahead + SECOND / 2);
}

static void test_same_kernel(void)
{
    int64_t ns;

    start(1);
    master.same = true;
    dq_clocks_meet();
    g_assert_cmpuint(master.questions, ==, 1);
    g_assert_false(dq_clocks_differ());
    g_assert_false(dq_clocks_read(CLOCK_MONOTONIC, &ns));
    dq_clocks_enter();
    dq_clocks_leave();
    g_assert_cmpuint(master.questions, ==, 1);
    g_assert_cmpuint(node.timer, ==, 0);
}

/* Another node has other clocks: the coarse clock here is as fine as the master's then. */
static void test_others_differ(void)
{
    struct dq_msg_time m;
    int64_t before, ns;

    start(1);
    master.same = true;
    dq_clocks_meet();
    master.differ = true;
    m = masters_time();
    g_assert_cmpint(dq_clocks_message(0, DQ_MSG_TIME, &m), ==, 0);
    g_assert_true(dq_clocks_differ());
    before = host(CLOCK_REALTIME);
    g_assert_true(dq_clocks_read(CLOCK_REALTIME_COARSE, &ns));
    g_assert_cmpint(ns, >=, before);
    g_assert_cmpint(ns, <=, host(CLOCK_REALTIME));
    dq_clocks_enter();
    g_assert_cmpuint(master.questions, ==, 1);
}

static void own_clocks(void)
{
    master.monotonic = -1000 * SECOND;
    master.raw = 77 * SECOND;
    master.realtime = 3600 * SECOND;
    master.boottime = -500 * SECOND;
    dq_clocks_meet();
}

static void check_all(void)
{
    check_shows(CLOCK_MONOTONIC, CLOCK_MONOTONIC, master.monotonic);
    check_shows(CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC, master.monotonic);
    check_shows(CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_RAW, master.raw);
    check_shows(CLOCK_REALTIME, CLOCK_REALTIME, master.realtime);
    check_shows(CLOCK_REALTIME_COARSE, CLOCK_REALTIME, master.realtime);
    check_shows(CLOCK_BOOTTIME, CLOCK_BOOTTIME, master.boottime);
}

static void test_own_kernel(void)
{
    int64_t ns;

    start(1);
    own_clocks();
    g_assert_cmpuint(master.questions, ==, 8);
    g_assert_true(dq_clocks_differ());
    check_all();
    g_assert_false(dq_clocks_read(CLOCK_THREAD_CPUTIME_ID, &ns));
    g_assert_false(dq_clocks_read(CLOCK_TAI, &ns));
    g_assert_true(dq_clocks_know(CLOCK_BOOTTIME));
    g_assert_false(dq_clocks_know(CLOCK_PROCESS_CPUTIME_ID));
}

static unsigned times_set;

static void on_set(void)
{
    times_set++;
}

static void test_realtime_is_set(void)
{
    struct dq_msg_time m;

    start(1);
    dq_clocks_on_set(on_set);
    own_clocks();
    m = masters_time();
    g_assert_cmpint(dq_clocks_message(0, DQ_MSG_TIME, &m), ==, 0);
    g_assert_cmpuint(times_set, ==, 0);
    for (int i = 1; i <= 4; i++) {
        master.realtime += i % 2 ? 7200 * SECOND : -10000 * SECOND;
        m = masters_time();
        g_assert_cmpint(dq_clocks_message(0, DQ_MSG_TIME, &m), ==, 0);
        g_assert_cmpuint(times_set, ==, i);
        check_all();
    }
}

/* The machine says that it has the master's kernel, but its clocks are others: a copy. */
static void test_copied_machine(void)
{
    start(1);
    master.same = true;
    own_clocks();
    g_assert_cmpuint(master.questions, ==, 9);
    g_assert_true(dq_clocks_differ());
    check_all();
}

static void expire(void)
{
    node.timer = 0;
    node.expired = true;
    node.ready();
    answer_all();
}

/* Once a second while there are threads; none without; and again before the next thread runs. */
static void test_rest(void)
{
    unsigned n;

    start(1);
    own_clocks();
    dq_clocks_enter();
    for (int i = 0; i < 40; i++) {
        g_assert_cmpuint(node.timer, !=, 0);
        expire();
    }
    g_assert_cmpuint(master.questions, ==, 48);
    g_assert_cmpuint(node.timer, >, dq_node_now() + 500000000u);
    dq_clocks_enter(); /* one more: no reason to ask */
    dq_clocks_leave();
    g_assert_cmpuint(master.questions, ==, 48);
    dq_clocks_leave();
    expire();
    g_assert_cmpuint(node.timer, ==, 0);
    g_assert_cmpuint(master.questions, ==, 48);
    dq_clocks_enter();
    g_assert_cmpuint(master.questions, ==, 56);
    g_assert_cmpuint(node.timer, !=, 0);
    check_all();
    n = master.questions;
    dq_clocks_leave(); /* it learns for a while, threads or not */
    for (int i = 0; i < 40 && node.timer; i++) {
        expire();
    }
    g_assert_cmpuint(node.timer, ==, 0);
    g_assert_cmpuint(master.questions, >=, n + 10);
    g_assert_cmpuint(master.questions, <, n + 30);
}

static void test_out_of_turn(void)
{
    struct dq_msg_time m;
    struct dq_msg_time_ask ask = {.monotonic = 1};

    start(1);
    own_clocks();
    m = masters_time();
    m.monotonic_asked = 1;
    g_assert_cmpint(dq_clocks_message(0, DQ_MSG_TIME, &m), ==, -EPROTO); /* nobody has asked */
    m.monotonic_asked = 0;
    g_assert_cmpint(dq_clocks_message(2, DQ_MSG_TIME, &m), ==, -EPROTO); /* not the master */
    g_assert_cmpint(dq_clocks_message(0, DQ_MSG_TIME_ASK, &ask), ==, -EPROTO);
    node.self = 0;
    g_assert_cmpint(dq_clocks_message(1, DQ_MSG_TIME, &m), ==, -EPROTO);
}

/* What a slave of this kernel asks with is found to be of this kernel. */
static void test_master(void)
{
    struct dq_msg_time_ask ask;
    struct sent s;

    start(1);
    /* not answered: post() would */
    master.same = true;
    dq_clocks_meet();
    node.self = 0;
    g_assert_cmpint(dq_clocks_start(), ==, 0);
    /* a question with another kernel's name */
    ask = (struct dq_msg_time_ask){.monotonic = 5, .raw = 6, .kernel = {1, 2}, .space = 3};
    g_assert_cmpint(dq_clocks_message(2, DQ_MSG_TIME_ASK, &ask), ==, 0);
    s = take_sent();
    g_assert_cmpint(s.to, ==, 2);
    g_assert_cmpuint(s.time.monotonic_asked, ==, 5);
    g_assert_cmpuint(s.time.raw_asked, ==, 6);
    g_assert_cmpuint(s.time.same, ==, 0);
    g_assert_cmpuint(s.time.differ, ==, 1);
    g_assert_cmpuint(s.time.monotonic, <=, s.time.monotonic_after);
    g_assert_true(dq_clocks_differ());
    /* all hear that clocks differ; who has asked, as one with other clocks */
    for (int n = 1; n < node.count; n++) {
        s = take_sent();
        g_assert_cmpint(s.to, ==, n);
        g_assert_cmpuint(s.time.monotonic_asked, ==, 0);
        g_assert_cmpuint(s.time.same, ==, n == 1);
        g_assert_cmpuint(s.time.differ, ==, 1);
    }
    g_assert_cmpuint(node.sent->len, ==, 0);
    /* the master's own clocks are the host's */
    check_shows(CLOCK_MONOTONIC, CLOCK_MONOTONIC, 0);
}

/* X(path, test): each in a process of its own */
#define TESTS(X)                                                                                   \
    X("same-kernel", test_same_kernel)                                                             \
    X("others-differ", test_others_differ)                                                         \
    X("own-kernel", test_own_kernel)                                                               \
    X("realtime-is-set", test_realtime_is_set)                                                     \
    X("copied-machine", test_copied_machine)                                                       \
    X("rest", test_rest)                                                                           \
    X("out-of-turn", test_out_of_turn)                                                             \
    X("master", test_master)

#define X(path, test)                                                                              \
    static void run_##test(void)                                                                   \
    {                                                                                              \
        alone("/clocks/" path "/subprocess");                                                      \
    }
TESTS(X)
#undef X

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define X(path, test)                                                                              \
    g_test_add_func("/clocks/" path, run_##test);                                                  \
    g_test_add_func("/clocks/" path "/subprocess", test);
    TESTS(X)
#undef X
    return g_test_run();
}
