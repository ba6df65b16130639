/*
 * Streams: see stream.h.
 *
 * A table of threads, found by the low bits of their number: two that meet there push each
 * other out, which costs them a few faults. A thread has a few streams at a time, the oldest of
 * which gives way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/stream.h"

#include <glib.h>
#include <stdlib.h>

#define THREADS 256u
/* Matrix codes go through two or three arrays at once, and a few more places on the way. */
#define STREAMS 6
#define FIRST 4u
/* The longest step that is a stream: beyond it, few of the fetched pages would be neighbours. */
#define MOST_STRIDE 4
/* A stream goes on behind so many steps over pages that were here already. */
#define MOST_SKIPPED 8
/* Faults more than usual that a thread must show after it has wasted windows. */
#define MOST_PENALTY 8u

struct stream {
    uint64_t last; /* the latest fault */
    uint64_t next; /* the first page not asked for */
    uint64_t marker;
    unsigned window; /* 0: only watched so far */
    unsigned open;   /* pages asked for whose use is not known yet */
    unsigned steps;  /* equal ones in a row */
    int stride;      /* 0: none yet */
    bool write;
    uint64_t turn; /* of the latest fault: the least gives way */
};

struct thread {
    uint32_t number;
    unsigned penalty;
    uint64_t turn;
    struct stream stream[STREAMS];
};

struct dq_streams {
    unsigned most;
    uint64_t used, wasted;
    struct thread thread[THREADS];
};

static int64_t distance(uint64_t from, uint64_t to)
{
    return (int64_t)(to - from);
}

static void give_up(struct dq_streams *s, struct thread *t, struct stream *a)
{
    if (a->open) {
        s->wasted += a->open;
        t->penalty = MIN(t->penalty + 2, MOST_PENALTY);
    }
    *a = (struct stream){0};
}

static struct thread *thread_of(struct dq_streams *s, uint32_t number)
{
    struct thread *t = &s->thread[number % THREADS];

    if (t->number != number) {
        for (int i = 0; i < STREAMS; i++) {
            give_up(s, t, &t->stream[i]);
        }
        *t = (struct thread){.number = number};
    }
    return t;
}

/* The window grows; the marker stands in its middle, so that it is refilled before it is empty. */
static void ask(const struct dq_streams *s, struct stream *a, struct dq_ahead *ahead)
{
    a->window = a->window ? MIN(2 * a->window, s->most) : MIN(FIRST, s->most);
    *ahead = (struct dq_ahead){
        .first = a->next,
        .stride = a->stride,
        .count = a->window,
        .marker = a->next + (uint64_t)((int64_t)a->stride * (a->window / 2)),
    };
    a->marker = ahead->marker;
    a->next += (uint64_t)((int64_t)a->stride * a->window);
    a->open = a->window;
}

static int64_t forward(const struct stream *a, uint64_t from, uint64_t to)
{
    return a->stride < 0 ? distance(to, from) : distance(from, to);
}

/* Is the page among those asked for, or soon behind them (some were here already)? */
static bool is_within(const struct stream *a, uint64_t page)
{
    int64_t reach = forward(a, a->last, a->next) + MOST_SKIPPED * abs(a->stride);

    return forward(a, a->last, page) >= 0 && forward(a, a->last, page) <= reach;
}

static bool go_on(struct dq_streams *s, struct thread *t, struct stream *a, uint64_t page,
                  struct dq_ahead *ahead)
{
    a->last = page;
    if (forward(a, a->marker, page) < 0) {
        return false; /* waiting for a page that is on its way */
    }
    if (forward(a, a->next, page) >= 0) {
        a->next = page + (uint64_t)(int64_t)a->stride;
    }
    s->used += a->open;
    t->penalty -= t->penalty > 0;
    ask(s, a, ahead);
    return true;
}

/* The stream that this fault belongs to, or that it might be the next step of. */
static struct stream *find(struct thread *t, uint64_t page, bool write)
{
    struct stream *near = NULL;

    for (int i = 0; i < STREAMS; i++) {
        struct stream *a = &t->stream[i];
        int64_t step = distance(a->last, page);

        if (!a->turn || a->write != write) {
            continue;
        }
        if (a->window && is_within(a, page)) {
            return a;
        }
        if (!a->window && step && llabs(step) <= MOST_STRIDE &&
            (!near || (a->stride && step == a->stride))) {
            near = a;
        }
    }
    return near;
}

static struct stream *oldest(struct thread *t)
{
    struct stream *a = &t->stream[0];

    for (int i = 1; i < STREAMS; i++) {
        if (t->stream[i].turn < a->turn) {
            a = &t->stream[i];
        }
    }
    return a;
}

/* One step more, or a first one in another direction. */
static bool watch(struct dq_streams *s, struct thread *t, struct stream *a, uint64_t page,
                  struct dq_ahead *ahead)
{
    int step = (int)distance(a->last, page);

    a->steps = step == a->stride ? a->steps + 1 : 1;
    a->stride = step;
    a->last = page;
    if (a->steps < (abs(step) == 1 ? 1 : 2) + t->penalty) {
        return false;
    }
    a->next = page + (uint64_t)(int64_t)step;
    ask(s, a, ahead);
    return true;
}

bool dq_streams_fault(struct dq_streams *s, uint32_t thread, uint64_t page, bool write,
                      struct dq_ahead *ahead)
{
    struct thread *t;
    struct stream *a;

    if (!s->most) {
        return false;
    }
    t = thread_of(s, thread);
    a = find(t, page, write);
    if (!a) {
        a = oldest(t);
        give_up(s, t, a);
        *a = (struct stream){.last = page, .write = write, .turn = ++t->turn};
        return false;
    }
    a->turn = ++t->turn;
    return a->window ? go_on(s, t, a, page, ahead) : watch(s, t, a, page, ahead);
}

void dq_streams_lost(struct dq_streams *s, uint64_t marker)
{
    for (unsigned i = 0; i < THREADS; i++) {
        struct thread *t = &s->thread[i];

        for (int k = 0; k < STREAMS; k++) {
            if (t->stream[k].window && t->stream[k].marker == marker) {
                give_up(s, t, &t->stream[k]);
            }
        }
    }
}

uint64_t dq_streams_used(const struct dq_streams *s)
{
    return s->used;
}

uint64_t dq_streams_wasted(const struct dq_streams *s)
{
    return s->wasted;
}

struct dq_streams *dq_streams_new(unsigned most)
{
    struct dq_streams *s = g_new0(struct dq_streams, 1);

    s->most = most;
    return s;
}

void dq_streams_free(struct dq_streams *s)
{
    g_free(s);
}
