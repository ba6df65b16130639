/*
 * The process's clocks: the questions, the answers, and what threads read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/clocks.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dqemu/clock.h"
#include "dqemu/control.h"
#include "dqemu/runtime.h"

/* Questions in a row, at the start and after a rest: enough to meet the network in a quiet moment. */
#define BURST 8u
/* Samples after a burst without which the difference of rates is hardly known: four seconds. */
#define LEARNING 16u
/* The master's clocks are read one after the other: again, if that took longer, so often at most. */
#define QUICK_READING_NS 1000
#define MOST_READINGS 8
/* A clock that was moved by more has been set: who sleeps until a time by it must know. */
#define SET_NS 1000000

/* What threads read, if this node has clocks of its own. All words, to be copied as such. */
struct shown {
    struct dq_clock_line monotonic, raw;
    int64_t realtime, boottime; /* beside monotonic */
};
#define SHOWN_WORDS (sizeof(struct shown) / sizeof(int64_t))

static bool differ;                /* atomic: some node has clocks of its own ... */
static bool follows;               /* atomic: ... and this is one; set once `shown` is valid */
static uint32_t turn;              /* atomic: odd while `shown` changes */
static int64_t shown[SHOWN_WORDS]; /* atomic, each */

/* The loop's. */
static struct {
    struct dq_msg_time_ask self; /* what this node asks with */
    int timer; /* on a slave: the next question; on the master: see watch_realtime() */
    bool watching;
    uint8_t others[DQ_MAX_NODES]; /* on the master: who has clocks of its own */
    void (*on_set)(void);
    /* on a slave */
    struct dq_clock monotonic, raw;
    struct dq_clock_distance realtime, boottime;
    bool asking;              /* an answer is to come */
    unsigned burst;           /* so many more questions without a pause */
    bool running;             /* the clock is kept up to date */
    unsigned samples;         /* since the burst */
    unsigned threads;         /* guest threads here */
    int64_t left;             /* when the last one left */
    int64_t round_trip;       /* of the latest sample */
    struct newcomer *waiting; /* for the end of the burst */
} clocks = {.timer = -1};

struct newcomer {
    struct newcomer *next;
    struct dq_gate ready;
};

/* ---- readings ---- */

static int64_t host_now(clockid_t clock)
{
    struct timespec t = {0};

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The clock with the fine ticks; -1: it is none of ours. */
static clockid_t fine(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return CLOCK_REALTIME;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        return CLOCK_MONOTONIC;
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return clock;
    default:
        return -1;
    }
}

bool dq_clocks_know(clockid_t clock)
{
    return fine(clock) != -1;
}

bool dq_clocks_differ(void)
{
    return __atomic_load_n(&differ, __ATOMIC_ACQUIRE);
}

/* The host's clock, and what was shown at that moment: the loop was not about to change it. */
static int64_t read_both(clockid_t clock, struct shown *s)
{
    int64_t *words = (int64_t *)s, now;
    uint32_t before;

    for (;;) {
        before = __atomic_load_n(&turn, __ATOMIC_ACQUIRE);
        if (before & 1) {
            sched_yield(); /* the loop may want this processor */
            continue;
        }
        for (unsigned i = 0; i < SHOWN_WORDS; i++) {
            words[i] = __atomic_load_n(&shown[i], __ATOMIC_RELAXED);
        }
        now = host_now(clock);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&turn, __ATOMIC_RELAXED) == before) {
            return now;
        }
    }
}

static int64_t read_followed(clockid_t clock)
{
    struct shown s;
    int64_t now;

    if (clock == CLOCK_MONOTONIC_RAW) {
        now = read_both(clock, &s);
        return dq_clock_read(&s.raw, now);
    }
    now = read_both(CLOCK_MONOTONIC, &s);
    now = dq_clock_read(&s.monotonic, now);
    return now + (clock == CLOCK_REALTIME ? s.realtime : clock == CLOCK_BOOTTIME ? s.boottime : 0);
}

bool dq_clocks_read(clockid_t clock, int64_t *ns)
{
    if (!dq_clocks_differ() || !dq_clocks_know(clock)) {
        return false;
    }
    clock = fine(clock);
    *ns = __atomic_load_n(&follows, __ATOMIC_ACQUIRE) ? read_followed(clock) : host_now(clock);
    return true;
}

/* ---- the master ---- */

static void read_all(struct dq_msg_time *m)
{
    struct dq_msg_time r = {0};
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < MOST_READINGS && best > QUICK_READING_NS; i++) {
        r.monotonic = (uint64_t)host_now(CLOCK_MONOTONIC);
        r.raw = (uint64_t)host_now(CLOCK_MONOTONIC_RAW);
        r.realtime = (uint64_t)host_now(CLOCK_REALTIME);
        r.boottime = (uint64_t)host_now(CLOCK_BOOTTIME);
        r.monotonic_after = (uint64_t)host_now(CLOCK_MONOTONIC);
        if (r.monotonic_after - r.monotonic < best) {
            best = r.monotonic_after - r.monotonic;
            *m = r;
        }
    }
}

static void tell_unasked(bool all)
{
    struct dq_msg_time m;

    read_all(&m);
    m.differ = 1;
    for (int n = 1; n < dq_node_count(); n++) {
        m.same = !clocks.others[n];
        if (all || clocks.others[n]) {
            dq_node_send(n, DQ_MSG_TIME, &m, sizeof(m));
        }
    }
}

/* The kernel cancels this timer, which expires never, when somebody sets the realtime clock. */
static void watch_realtime(void)
{
    const struct itimerspec never = {.it_value = {.tv_sec = INT64_C(1) << 33}};

    timerfd_settime(clocks.timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void on_realtime_set(void)
{
    uint64_t times;

    if (read(clocks.timer, &times, sizeof(times)) < 0 && errno == ECANCELED) {
        watch_realtime();
        tell_unasked(false);
    }
}

static bool has_my_clocks(const struct dq_msg_time_ask *m)
{
    const struct dq_msg_time_ask *self = &clocks.self;

    return (m->kernel[0] || m->kernel[1]) &&
           memcmp(m->kernel, self->kernel, sizeof(m->kernel)) == 0 && m->space == self->space &&
           (int64_t)m->monotonic <= host_now(CLOCK_MONOTONIC) &&
           (int64_t)m->raw <= host_now(CLOCK_MONOTONIC_RAW);
}

static int answer(int from, const struct dq_msg_time_ask *ask)
{
    struct dq_msg_time m;

    read_all(&m);
    m.monotonic_asked = ask->monotonic;
    m.raw_asked = ask->raw;
    m.same = has_my_clocks(ask);
    m.differ = dq_clocks_differ() || !m.same;
    dq_node_send(from, DQ_MSG_TIME, &m, sizeof(m));
    clocks.others[from] = !m.same;
    if (m.differ && !dq_clocks_differ()) {
        __atomic_store_n(&differ, true, __ATOMIC_RELEASE);
        watch_realtime();
        tell_unasked(true);
    }
    return 0;
}

/* ---- a slave ---- */

static void ask(void)
{
    clocks.asking = true;
    clocks.self.raw = (uint64_t)host_now(CLOCK_MONOTONIC_RAW);
    clocks.self.monotonic = (uint64_t)host_now(CLOCK_MONOTONIC);
    dq_node_send(0, DQ_MSG_TIME_ASK, &clocks.self, sizeof(clocks.self));
}

static void ask_in_a_row(void)
{
    clocks.burst = BURST - 1;
    clocks.samples = 0;
    ask();
}

/* True: the clock has been set. */
static bool follow_distance(struct dq_clock_distance *d, const struct dq_msg_time *m,
                            uint64_t other)
{
    int64_t least = (int64_t)(other - m->monotonic_after), most = (int64_t)(other - m->monotonic);
    int64_t moved = dq_clock_distance_follow(d, least, most);

    return moved > SET_NS || moved < -SET_NS;
}

static void show(const struct shown *s)
{
    const int64_t *words = (const int64_t *)s;

    for (unsigned i = 0; i < SHOWN_WORDS; i++) {
        __atomic_store_n(&shown[i], words[i], __ATOMIC_RELAXED);
    }
}

/* No reading falls into this: it would belong to neither the old lines nor the new ones. */
static void steer_and_show(bool steer)
{
    int64_t now, unread;

    __atomic_store_n(&turn, turn + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (steer) {
        now = host_now(CLOCK_MONOTONIC);
        unread = clocks.running ? 0 : now - clocks.left;
        dq_clock_steer(&clocks.monotonic, now, unread);
        dq_clock_steer(&clocks.raw, host_now(CLOCK_MONOTONIC_RAW), unread);
    }
    show(&(struct shown){clocks.monotonic.line, clocks.raw.line, clocks.realtime.ns,
                         clocks.boottime.ns});
    __atomic_store_n(&turn, turn + 1, __ATOMIC_RELEASE);
}

/* For the verbose log, and for the test that compares it with the truth. */
static void log_offset(const char *when)
{
    int64_t now = host_now(CLOCK_MONOTONIC), off = dq_clock_read(&clocks.monotonic.line, now) - now;
    struct dq_clock_offset known = dq_clock_offset_at(&clocks.monotonic, now);

    dq_control_log("node %d's clock %s: %s%" PRId64 ".%09" PRId64 " s to node 0's, within %" PRId64
                   " ns, round trip %" PRId64 " ns",
                   dq_node_self(), when, off < 0 ? "-" : "+", ABS(off) / 1000000000,
                   ABS(off) % 1000000000, MAX(known.most - off, off - known.least),
                   clocks.round_trip);
}

static void let_in(void)
{
    while (clocks.waiting) {
        struct newcomer *n = clocks.waiting;

        clocks.waiting = n->next;
        dq_gate_open(&n->ready);
    }
}

/* It learns the difference of rates in any case: threads will come. */
static bool may_rest(void)
{
    return clocks.threads == 0 && clocks.samples >= LEARNING;
}

static void pause_or_rest(void)
{
    clocks.running = !may_rest();
    if (clocks.running) {
        dq_node_set_timer(clocks.timer, dq_node_now() + (uint64_t)dq_clock_pause(clocks.samples++));
    }
}

static void burst_is_over(void)
{
    bool first = !follows;

    steer_and_show(true);
    __atomic_store_n(&follows, true, __ATOMIC_RELEASE);
    __atomic_store_n(&differ, true, __ATOMIC_RELEASE);
    if (first) {
        log_offset("at the start");
    }
    let_in();
    pause_or_rest();
}

/* False: the answer cannot be true. */
static bool add_samples(const struct dq_msg_time *m)
{
    struct dq_clock_sample s = {
        .sent = (int64_t)m->monotonic_asked,
        .received = (int64_t)m->monotonic,
        .answered = (int64_t)m->monotonic_after,
        .heard = host_now(CLOCK_MONOTONIC),
    };
    struct dq_clock_sample raw = {
        .sent = (int64_t)m->raw_asked,
        .received = (int64_t)m->raw,
        .answered = (int64_t)m->raw,
        .heard = host_now(CLOCK_MONOTONIC_RAW),
    };

    clocks.round_trip = s.heard - s.sent - (s.answered - s.received);
    return dq_clock_add(&clocks.monotonic, &s) && dq_clock_add(&clocks.raw, &raw);
}

/* The master says that its kernel is ours. So would that of a copied machine: the clocks tell. */
static bool is_plausible(const struct dq_msg_time *m)
{
    return (int64_t)m->monotonic_asked <= (int64_t)m->monotonic &&
           (int64_t)m->monotonic_after <= host_now(CLOCK_MONOTONIC) &&
           (int64_t)m->raw <= host_now(CLOCK_MONOTONIC_RAW);
}

static int hear_answer(const struct dq_msg_time *m)
{
    if (!clocks.asking || m->monotonic_asked != clocks.self.monotonic ||
        m->raw_asked != clocks.self.raw) {
        return -EPROTO;
    }
    clocks.asking = false;
    if (m->same && is_plausible(m)) {
        __atomic_store_n(&differ, m->differ != 0, __ATOMIC_RELEASE);
        let_in();
        return 0;
    }
    if (m->same) {
        memset(clocks.self.kernel, 0, sizeof(clocks.self.kernel));
        ask_in_a_row();
        return 0;
    }
    if (!add_samples(m)) {
        return -EPROTO;
    }
    if (clocks.burst > 0) {
        clocks.burst--;
        ask();
    } else if (clocks.running) {
        steer_and_show(true);
        pause_or_rest();
    } else {
        burst_is_over();
    }
    return 0;
}

static int hear(const struct dq_msg_time *m)
{
    bool unasked = m->monotonic_asked == 0 && m->raw_asked == 0;

    if (m->same && unasked) {
        __atomic_store_n(&differ, true, __ATOMIC_RELEASE);
        return 0;
    }
    if (!m->same) {
        bool set = follow_distance(&clocks.realtime, m, m->realtime);

        follow_distance(&clocks.boottime, m, m->boottime);
        if (follows) {
            steer_and_show(false);
        }
        if (set && clocks.on_set) {
            clocks.on_set();
        }
    }
    return unasked ? 0 : hear_answer(m);
}

int dq_clocks_message(int from, unsigned type, const void *body)
{
    if (type == DQ_MSG_TIME_ASK && dq_node_self() == 0 && from != 0) {
        return answer(from, body);
    }
    if (type == DQ_MSG_TIME && dq_node_self() != 0 && from == 0) {
        return hear(body);
    }
    return -EPROTO;
}

static void on_timer(void)
{
    if (dq_node_timer_expired(clocks.timer)) {
        clocks.running = !may_rest();
        if (clocks.running && !clocks.asking) {
            ask();
        }
    }
}

/* ---- threads come and go ---- */

/* On the loop: it waits for the answers that are on their way, or for a new burst. */
static void wait_for_answers(struct newcomer *n)
{
    n->next = clocks.waiting;
    clocks.waiting = n;
    if (!clocks.asking) {
        ask_in_a_row();
    }
}

static void meet(void *arg)
{
    wait_for_answers(arg);
}

static void enter(void *arg)
{
    struct newcomer *n = arg;

    clocks.threads++;
    if (clocks.running) {
        dq_gate_open(&n->ready);
    } else {
        wait_for_answers(n);
    }
}

static void leave(void *unused)
{
    (void)unused;
    clocks.threads--;
    clocks.left = host_now(CLOCK_MONOTONIC);
}

static void post_and_wait(void (*fn)(void *arg))
{
    struct newcomer n = {0};

    if (dq_node_is_live()) {
        dq_node_post(fn, &n);
        dq_gate_wait(&n.ready);
    }
}

void dq_clocks_meet(void)
{
    post_and_wait(meet);
}

void dq_clocks_enter(void)
{
    if (__atomic_load_n(&follows, __ATOMIC_ACQUIRE)) {
        post_and_wait(enter);
    }
}

void dq_clocks_leave(void)
{
    if (__atomic_load_n(&follows, __ATOMIC_ACQUIRE)) {
        dq_node_post(leave, NULL);
    }
}

/* ---- start and end ---- */

/* Which kernel's clocks these are; zeroes if that cannot be told. */
static void find_self(void)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    unsigned a, b, c, d;
    struct stat space;
    uint64_t e;

    clocks.self = (struct dq_msg_time_ask){0};
    if (f && fscanf(f, "%8x-%4x-%4x-%4x-%12" SCNx64, &a, &b, &c, &d, &e) == 5) {
        clocks.self.kernel[0] = (uint64_t)a << 32 | b << 16 | c;
        clocks.self.kernel[1] = (uint64_t)d << 48 | e;
    }
    if (f) {
        fclose(f);
    }
    if (stat("/proc/self/ns/time", &space) == 0) { /* since Linux 5.6 */
        clocks.self.space = space.st_ino;
    }
}

int dq_clocks_start(void)
{
    bool master = dq_node_self() == 0;

    find_self();
    dq_clock_init(&clocks.monotonic);
    dq_clock_init(&clocks.raw);
    clocks.timer =
        timerfd_create(master ? CLOCK_REALTIME : CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (clocks.timer < 0) {
        return -errno;
    }
    dq_node_watch(clocks.timer, master ? on_realtime_set : on_timer);
    return 0;
}

void dq_clocks_on_set(void (*fn)(void))
{
    clocks.on_set = fn;
}

void dq_clocks_ending(void)
{
    if (follows) {
        log_offset("at the end");
    }
}

void dq_clocks_forked(void)
{
    close(clocks.timer);
}
