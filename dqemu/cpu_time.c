/*
 * Questions that are under way, the answers that each still lacks, and the latest sum.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/cpu_time.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <time.h>

#include "dqemu/gate.h"
#include "dqemu/node.h"

/* How old a sum may be; and from when on the next one is asked for beforehand. */
#define TICK_NS 10000000u
#define ASK_AHEAD_NS (TICK_NS / 4)

static bool begun; /* atomic */
static struct dq_cpu_time start;
static struct dq_cpu_time before; /* of programs that were replaced */
static dq_cpu_of_thread_fn *time_of_thread;

/* Guards what follows, and the questions that are in the list. A leaf. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dq_cpu_question *questions;
static uint64_t last_cookie;
static struct {
    uint64_t ns;          /* what the others have used, at least */
    uint64_t asked, news; /* as they were before this was asked for; asked = 0: never */
    bool asking;          /* the next sum is asked for ahead */
} known;

static uint64_t us_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

static void read_process(struct dq_cpu_time *now)
{
    struct timespec t = {0};
    struct rusage r = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    getrusage(RUSAGE_SELF, &r);
    now->ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    now->user_us = us_of(&r.ru_utime);
    now->system_us = us_of(&r.ru_stime);
}

void dq_cpu_time_begin(dq_cpu_of_thread_fn *of_thread)
{
    if (dq_node_self() != 0) {
        read_process(&start);
    }
    time_of_thread = of_thread;
    __atomic_store_n(&begun, true, __ATOMIC_RELEASE);
}

bool dq_cpu_time_has_begun(void)
{
    return __atomic_load_n(&begun, __ATOMIC_ACQUIRE);
}

void dq_cpu_time_set_before(const struct dq_cpu_time *t)
{
    before = t ? *t : (struct dq_cpu_time){0};
}

bool dq_cpu_time_has_before(void)
{
    return before.ns != 0;
}

/* User and system time are parts of the whole, which the kernel may come to see differently. */
static uint64_t since(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}

void dq_cpu_time_here(struct dq_cpu_time *t)
{
    read_process(t);
    t->ns = since(start.ns, t->ns);
    t->user_us = since(start.user_us, t->user_us);
    t->system_us = since(start.system_us, t->system_us);
}

static uint64_t ns_here(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return since(start.ns, (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
}

/* ---------------------------------------------------------------- asking */

void dq_cpu_time_ask(struct dq_cpu_question *q, int node)
{
    struct dq_msg_cpu_ask m = {.tid = q->tid, .parts = q->parts};
    bool all = node < 0;
    int first = all ? 0 : node, end = all ? dq_node_count() : node + 1;

    q->sum = all && !q->tid ? before : (struct dq_cpu_time){0};
    q->awaited = all ? dq_node_count() - 1 : 1;
    q->asked = dq_node_now();
    q->news = dq_node_news();
    if (q->awaited == 0 || !dq_cpu_time_has_begun()) {
        q->answered(q);
        return;
    }
    pthread_mutex_lock(&lock);
    m.cookie = q->cookie = ++last_cookie;
    q->next = questions;
    questions = q;
    pthread_mutex_unlock(&lock);

    for (int n = first; n < end; n++) {
        if (n != dq_node_self()) {
            dq_node_send(n, DQ_MSG_CPU_ASK, &m, sizeof(m));
        }
    }
}

struct waiting {
    struct dq_cpu_question q;
    struct dq_gate gate;
};

static void open_gate(struct dq_cpu_question *q)
{
    dq_gate_open(&((struct waiting *)((char *)q - offsetof(struct waiting, q)))->gate);
}

static void ask_and_wait(struct waiting *w, int node)
{
    w->q.answered = open_gate;
    dq_cpu_time_ask(&w->q, node);
    dq_gate_wait_for(&w->gate, DQ_SPIN_RESULT);
}

void dq_cpu_time_elsewhere(uint32_t tid, int node, bool parts, struct dq_cpu_time *sum)
{
    struct waiting w = {.q.tid = tid, .q.parts = parts};

    ask_and_wait(&w, node);
    *sum = w.q.sum;
}

/* Under the lock. Sums of several questions may come in any order; each is right from then on. */
static void learn(const struct dq_cpu_question *q)
{
    known.ns = MAX(known.ns, q->sum.ns);
    known.asked = MAX(known.asked, q->asked);
    known.news = MAX(known.news, q->news);
}

static void answered_ahead(struct dq_cpu_question *q)
{
    pthread_mutex_lock(&lock);
    learn(q);
    known.asking = false;
    pthread_mutex_unlock(&lock);
}

/* Who asks often does not wait: the others are asked before the sum is too old. */
static void ask_ahead(void)
{
    static struct dq_cpu_question q = {.answered = answered_ahead};

    dq_cpu_time_ask(&q, -1);
}

/* What the others have used, if that is known well enough. */
static bool know(uint64_t *ns)
{
    uint64_t news = dq_node_news(), age;
    bool good, ahead;

    pthread_mutex_lock(&lock);
    age = dq_node_now() - known.asked;
    good = known.news == news && age < TICK_NS;
    ahead = good && age > ASK_AHEAD_NS && !known.asking;
    known.asking |= ahead;
    *ns = known.ns;
    pthread_mutex_unlock(&lock);
    if (ahead) {
        ask_ahead();
    }
    return good;
}

uint64_t dq_cpu_time_process(void)
{
    struct waiting w = {0};
    uint64_t others;

    if (!dq_cpu_time_has_begun()) {
        return ns_here() + before.ns;
    }
    if (!know(&others)) {
        ask_and_wait(&w, -1);
        pthread_mutex_lock(&lock);
        learn(&w.q);
        others = known.ns;
        pthread_mutex_unlock(&lock);
    }
    return ns_here() + others;
}

/* ---------------------------------------------------------------- messages */

static void answer(int to, const struct dq_msg_cpu_ask *ask)
{
    struct dq_msg_cpu m = {.cookie = ask->cookie};
    struct dq_cpu_time t = {0};

    if (!dq_cpu_time_has_begun()) {
        /* no guest thread has run here */
    } else if (!ask->tid) {
        dq_cpu_time_here(&t);
        t.ns += before.ns;
        t.user_us += before.user_us;
        t.system_us += before.system_us;
    } else if (time_of_thread) {
        time_of_thread(ask->tid, ask->parts, &t);
    }
    m.ns = t.ns;
    m.user_us = t.user_us;
    m.system_us = t.system_us;
    dq_node_send(to, DQ_MSG_CPU, &m, sizeof(m));
}

static int take_answer(const struct dq_msg_cpu *m)
{
    struct dq_cpu_question **at, *q;
    bool last;

    pthread_mutex_lock(&lock);
    for (at = &questions; *at && (*at)->cookie != m->cookie;) {
        at = &(*at)->next;
    }
    q = *at;
    if (!q) {
        pthread_mutex_unlock(&lock);
        return -EPROTO;
    }
    q->sum.ns += m->ns;
    q->sum.user_us += m->user_us;
    q->sum.system_us += m->system_us;
    last = --q->awaited == 0;
    if (last) {
        *at = q->next;
    }
    pthread_mutex_unlock(&lock);
    if (last) {
        q->answered(q);
    }
    return 0;
}

int dq_cpu_time_message(int from, unsigned type, const void *body)
{
    if (type == DQ_MSG_CPU) {
        return take_answer(body);
    }
    answer(from, body);
    return 0;
}

void dq_cpu_time_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    questions = NULL;
    known.asking = false;
    __atomic_store_n(&begun, false, __ATOMIC_RELEASE);
}
