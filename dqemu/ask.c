/*
 * Asking for pages: who waits for which page, and requests for many.
 *
 * See pager.c for the threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/runtime.h"
#include "dqemu/stats.h"
#include "dqemu/trial.h"

/* Pages that one request asks for at a time: bounds the queues to the homes. */
#define WINDOW 256

/* A page that was asked for and is not here yet. */
struct asked {
    bool write;
    bool ahead;      /* nobody waits for it */
    bool marker;     /* if so, it is to be withheld */
    unsigned faults; /* of threads that wait for it (or did: a signal may have taken them away) */
    uint64_t since;  /* when the first of them began to wait */
    struct dq_waiter *waiters;
};

/* A request that came while none may be made: see dq_range_settle(). */
struct postponed {
    struct dq_waiter *waiter; /* NULL: a fault */
    uint64_t page;
    uint32_t thread;
    bool write, protected;
};

struct want_page {
    struct dq_waiter waiter; /* first: see want_page_met() */
    struct dq_want *want;
};

static struct {
    GHashTable *asked;     /* page -> struct asked */
    GQueue ready;          /* struct dq_want with room for more */
    bool held_back;        /* requests are postponed */
    unsigned ahead;        /* entries of `asked` that are */
    unsigned faults;       /* of all of them */
    uint64_t waited_ns;    /* in faults, all threads together */
    struct dq_trial awake; /* does it pay to wait awake? By the time that faults take */
    GQueue postponed;      /* struct postponed */
} asking;

void dq_ask_start(void)
{
    asking.asked = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
}

static struct asked *asked_for(uint64_t page)
{
    return g_hash_table_lookup(asking.asked, GSIZE_TO_POINTER(page));
}

/* ---- one page ---- */

static void count_fault(bool write)
{
    if (write) {
        dq_stat_add(faults_write, 1);
    } else {
        dq_stat_add(faults_read, 1);
    }
}

static struct asked *make_asked(uint64_t page)
{
    struct asked *a = asked_for(page);

    if (!a) {
        a = g_new0(struct asked, 1);
        g_hash_table_insert(asking.asked, GSIZE_TO_POINTER(page), a);
    }
    return a;
}

static void is_waited_for(struct asked *a)
{
    asking.ahead -= a->ahead;
    a->ahead = false;
}

/* w NULL: a fault */
static bool ask(uint64_t page, bool write, struct dq_waiter *w)
{
    uint64_t now = dq_node_now();
    struct asked *a;

    if (dq_cache_want(dq_pager.cache, page, write, dq_ahead_wish(page), now)) {
        return true;
    }
    count_fault(write);
    a = make_asked(page);
    is_waited_for(a);
    a->write |= write;
    if (w) {
        w->next = a->waiters;
        a->waiters = w;
    } else {
        a->since = a->faults ? a->since : now;
        a->faults++;
        asking.faults++;
    }
    return false;
}

static void postpone(const struct postponed *what)
{
    g_queue_push_tail(&asking.postponed, g_memdup2(what, sizeof(*what)));
}

bool dq_pager_ask(uint64_t page, struct dq_waiter *w)
{
    if (asking.held_back) {
        postpone(&(struct postponed){.waiter = w, .page = page, .write = w->write});
        return false;
    }
    if (!ask(page, w->write, w)) {
        return false;
    }
    dq_batch_grants();
    dq_ahead_show(page, false); /* the kernel may look at it where it cannot wait */
    return true;
}

bool dq_ask_fault(uint32_t thread, uint64_t page, bool write, bool protected)
{
    if (asking.held_back) {
        postpone(&(struct postponed){
            .page = page, .thread = thread, .write = write, .protected = protected});
        return false;
    }
    return ask(page, write, NULL);
}

bool dq_ask_ahead(uint64_t page, bool write, bool marker)
{
    struct asked *a;

    if (asking.held_back || asked_for(page) ||
        dq_cache_want(dq_pager.cache, page, write, 0, dq_node_now())) {
        return false;
    }
    a = make_asked(page);
    a->ahead = true;
    a->marker = marker;
    a->write = write;
    asking.ahead++;
    return true;
}

bool dq_ask_is_marker(uint64_t page)
{
    const struct asked *a = asked_for(page);

    return a && a->ahead && a->marker;
}

bool dq_ask_is_waited_for(uint64_t page)
{
    const struct asked *a = asked_for(page);

    return a && !a->ahead;
}

unsigned dq_ask_faults(void)
{
    return asking.faults;
}

bool dq_ask_awake_pays(void)
{
    return dq_trial_way(&asking.awake);
}

unsigned dq_ask_ahead_count(void)
{
    return asking.ahead;
}

bool dq_ask_writes(uint64_t page)
{
    const struct asked *a = asked_for(page);

    return a && a->write;
}

static void faults_are_over(const struct asked *a, uint64_t ns)
{
    dq_trial_took(&asking.awake, ns);
    asking.faults -= a->faults;
    asking.waited_ns += a->faults * ns;
    dq_stat_set(wait_fault_us, asking.waited_ns / 1000);
}

void dq_ask_granted(uint64_t page, enum dq_page_state state)
{
    struct asked *a = asked_for(page);
    struct dq_waiter **at, *w;

    if (!a) {
        return;
    }
    if (a->waiters) {
        dq_batch_grants(); /* they may look at once */
    }
    for (at = &a->waiters; (w = *at);) {
        if (w->write && state != DQ_EXCLUSIVE) {
            at = &w->next;
        } else {
            *at = w->next;
            w->met(w, page);
        }
    }
    if (state == DQ_EXCLUSIVE || !a->write) {
        is_waited_for(a);
        if (a->faults) {
            faults_are_over(a, dq_node_now() - a->since);
        }
        g_hash_table_remove(asking.asked, GSIZE_TO_POINTER(page));
    }
}

bool dq_ask_is_idle(void)
{
    return g_hash_table_size(asking.asked) == 0;
}

static void append_run(gpointer key, gpointer value, gpointer runs)
{
    struct dq_run run = {GPOINTER_TO_SIZE(key), 1};

    (void)value;
    g_array_append_val((GArray *)runs, run);
}

void dq_ask_list(GArray *runs)
{
    g_hash_table_foreach(asking.asked, append_run, runs);
}

/* ---- holding back ---- */

void dq_ask_hold_back(void)
{
    asking.held_back = true;
}

void dq_ask_resume(void)
{
    struct postponed *p;

    asking.held_back = false;
    while ((p = g_queue_pop_head(&asking.postponed))) {
        if (!p->waiter) {
            dq_pager_fault(p->thread, p->page, p->write, p->protected);
        } else if (dq_pager_ask(p->page, p->waiter)) {
            p->waiter->met(p->waiter, p->page);
        }
        g_free(p);
    }
}

/* ---- many pages ---- */

static void want_is_ready(struct dq_want *w)
{
    if (!w->ready) {
        w->ready = true;
        g_queue_push_tail(&asking.ready, w);
    }
}

static void want_page_met(struct dq_waiter *waiter, uint64_t page)
{
    struct dq_want *w = ((struct want_page *)waiter)->want;

    (void)page;
    w->in_flight--;
    want_is_ready(w);
    g_free(waiter);
}

static void want_page(struct dq_want *w, uint64_t page)
{
    struct want_page *p = g_new(struct want_page, 1);

    *p = (struct want_page){{.met = want_page_met, .write = w->write}, w};
    if (dq_pager_ask(page, &p->waiter)) {
        g_free(p);
    } else {
        w->in_flight++;
    }
}

void dq_want_start(struct dq_want *w)
{
    if (w->run_count) {
        w->page = w->runs->page;
    }
    want_is_ready(w);
}

/* The gate comes last: w is its sleeper's. */
static void want_go_on(struct dq_want *w)
{
    while (w->run_count && w->in_flight < WINDOW) {
        if (w->page < w->runs->page + w->runs->count) {
            want_page(w, w->page++);
        } else if (--w->run_count) {
            w->page = (++w->runs)->page;
        }
    }
    if (w->run_count == 0 && w->in_flight == 0) {
        dq_gate_open(&w->done);
    }
}

void dq_ask_settle(void)
{
    struct dq_want *w;

    while ((w = g_queue_pop_head(&asking.ready))) {
        w->ready = false;
        want_go_on(w);
    }
}

static void post_want(void *arg)
{
    dq_want_start(arg);
    dq_ask_settle();
}

void dq_pager_want(uint64_t page, uint64_t count, bool write)
{
    struct dq_run run = {page, count};
    struct dq_want w = {.runs = &run, .run_count = 1, .write = write};

    if (dq_node_is_live() && count) {
        dq_node_post(post_want, &w);
        dq_gate_wait(&w.done);
    }
}
