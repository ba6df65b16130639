/*
 * Requests about whole ranges, their homes' part in them, and the gathering before a fork.
 *
 * See dq_pager.c for the threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>

#include "dqemu/assert.h"
#include "dqemu/control.h"
#include "dqemu/ranges.h"
#include "dqemu/runtime.h"
#include "dqemu/uffd.h"

/* Runs in one LISTED. */
#define LIST_RUNS 4096
/* Guest page numbers are below this; a peer that names others is not believed. */
#define PAGE_LIMIT (UINT64_C(1) << (64 - DQ_PAGE_BITS))

/* A request to homes; each answers RESET_DONE with its cookie. */
struct call {
    uint64_t cookie;
    uint64_t homes;          /* a bit per node that has not answered */
    uint64_t page, fileless; /* pages that are of no file once all have answered */
    struct dq_gate done;
};

/* The gathering before a fork, or a move. */
struct gather {
    uint64_t page, count;
    uint64_t homes; /* a bit per node that has not listed all */
    bool missing;   /* a home has named a page that is not here */
    GArray *runs;
    struct dq_want want;
};

/* A range that the master takes over: see dq_range_settle(). */
struct own {
    uint64_t page, count;
    struct call call;
    int error;
};

static struct {
    GQueue calls;    /* struct call without all answers */
    uint64_t cookie; /* the last one used */
    GQueue owns;     /* struct own */
    bool owning;     /* the first of them is under way */
    struct gather *gather;
} range;

static_assert(DQ_MAX_NODES <= 64, "sets of nodes are 64 bits here");
static_assert(LIST_RUNS * sizeof(struct dq_run) + sizeof(struct dq_msg_range) <= DQ_MAX_BODY,
              "a LISTED fits");

static uint64_t everybody(void)
{
    return ~UINT64_C(0) >> (64 - dq_pager.count);
}

/* ---- calls to homes ---- */

/* On the loop. The homes that must answer are set by the caller. */
static void call_start(struct call *c)
{
    c->cookie = ++range.cookie;
    g_queue_push_tail(&range.calls, c);
}

/* A call has all its answers. The gate comes last: the call is its sleeper's. */
static void call_is_answered(struct call *c)
{
    struct own *o = g_queue_peek_head(&range.owns);

    g_queue_remove(&range.calls, c);
    /* what homes have asked for while it was a file's came before their answers */
    dq_ranges_clear(dq_pager.files, c->page, c->fileless);
    if (range.owning && c == &o->call) {
        range.owning = false;
        g_queue_pop_head(&range.owns);
        dq_ask_resume();
    }
    dq_gate_open(&c->done);
}

static int on_reset_done(int from, uint64_t cookie)
{
    uint64_t bit = UINT64_C(1) << from;

    for (GList *l = range.calls.head; l; l = l->next) {
        struct call *c = l->data;

        if (c->cookie == cookie && (c->homes & bit)) {
            c->homes &= ~bit;
            if (c->homes == 0) {
                call_is_answered(c);
            }
            return 0;
        }
    }
    return -EPROTO;
}

/* The homes of the range; all nodes if it is long. */
static uint64_t homes_of(uint64_t page, uint64_t count)
{
    uint64_t homes = 0, end = page + count;

    if (count / DQ_CHUNK_PAGES >= 4 * DQ_MAX_NODES) {
        return everybody();
    }
    for (uint64_t p = page; p < end; p = (p | (DQ_CHUNK_PAGES - 1)) + 1) {
        homes |= UINT64_C(1) << dq_home(p, dq_pager.count);
    }
    return homes;
}

static void send_range(uint64_t homes, unsigned type, const struct dq_msg_range *m)
{
    dq_batch_flush(); /* channels are in order */
    for (int n = 0; n < dq_pager.count; n++) {
        if (homes >> n & 1) {
            dq_node_emit(n, type, m, sizeof(*m), NULL, 0);
        }
    }
}

struct reset {
    uint64_t page, count;
    const void *file; /* NULL: none */
    struct call call;
};

static void post_reset(void *arg)
{
    struct reset *r = arg;
    uint64_t homes = homes_of(r->page, r->count);
    struct dq_msg_range m = {r->page, r->count, 0};

    r->call.homes = homes;
    if (r->file) {
        dq_ranges_set(dq_pager.files, r->page, r->count, (uintptr_t)r->file);
    } else {
        r->call.page = r->page;
        r->call.fileless = r->count;
    }
    call_start(&r->call);
    m.cookie = r->call.cookie;
    send_range(homes, r->file ? DQ_MSG_RESET_FILE : DQ_MSG_RESET, &m);
}

static void reset(uint64_t page, uint64_t count, const void *file)
{
    struct reset r = {.page = page, .count = count, .file = file};

    if (dq_node_is_live() && count) {
        dq_node_post(post_reset, &r);
        dq_gate_wait(&r.call.done);
    }
}

void dq_pager_reset(uint64_t page, uint64_t count)
{
    reset(page, count, NULL);
}

void dq_pager_reset_file(uint64_t page, uint64_t count, const void *file)
{
    reset(page, count, file);
}

struct growth {
    uint64_t page, count, more;
    void *file;
    int error;
};

/* On the loop, which reads there. */
static void grow_file(void *arg)
{
    struct growth *g = arg;
    void *to = mremap(g->file, g->count << DQ_PAGE_BITS, (g->count + g->more) << DQ_PAGE_BITS,
                      MREMAP_MAYMOVE);

    g->error = to == MAP_FAILED ? errno : 0;
    if (!g->error) {
        dq_ranges_set(dq_pager.files, g->page, g->count, (uintptr_t)to);
    }
    g->file = to;
}

void *dq_pager_grow_file(uint64_t page, uint64_t count, void *file, uint64_t more)
{
    struct growth g = {page, count, more, file, 0};

    dq_node_call(grow_file, &g);
    errno = g.error;
    return g.file;
}

/* ---- taking over what is there already ---- */

/* The pages of the run that the engine does not know of are ours, and their homes hear of it. */
static void own_run(void *arg, uintptr_t at, size_t pages)
{
    uint64_t page = (at - dq_pager.guest_base) >> DQ_PAGE_BITS, end = page + pages;

    (void)arg;
    while (page < end) {
        struct dq_msg_range m = {.page = page};

        while (page < end && dq_cache_state(dq_pager.cache, page) == DQ_INVALID) {
            page++;
        }
        m.count = page - m.page;
        if (m.count) {
            dq_cache_own(dq_pager.cache, m.page, m.count);
            send_range(homes_of(m.page, m.count), DQ_MSG_OWN, &m);
        }
        page += m.count == 0;
    }
}

/*
 * Between the look at what is present and the homes' answer, no request of this node may
 * reach a home: it would be granted untouched pages that are not. So requests made before
 * are answered first, and those made meanwhile are postponed.
 */
void dq_range_settle(void)
{
    struct own *o = g_queue_peek_head(&range.owns);
    struct dq_msg_range last = {0};

    if (range.owning || !o || !dq_ask_is_idle()) {
        return;
    }
    range.owning = true;
    dq_ask_hold_back();
    o->error = dq_uffd_present(dq_pager.guest_base + (o->page << DQ_PAGE_BITS),
                               o->count << DQ_PAGE_BITS, own_run, NULL);
    o->call.homes = everybody();
    call_start(&o->call);
    last.cookie = o->call.cookie;
    send_range(everybody(), DQ_MSG_OWN, &last);
}

static void post_own(void *arg)
{
    g_queue_push_tail(&range.owns, arg);
    dq_range_settle();
}

int dq_pager_own(uint64_t start, uint64_t length)
{
    struct own o = {.page = start >> DQ_PAGE_BITS, .count = length >> DQ_PAGE_BITS};

    if (!dq_node_is_live() || length == 0) {
        return 0;
    }
    dq_node_post(post_own, &o);
    dq_gate_wait(&o.call.done);
    if (o.error) {
        dq_control_error(125, "node %d cannot find out which pages are in use: %s", dq_pager.self,
                         g_strerror(-o.error));
    }
    return o.error;
}

/* ---- gathering ---- */

/*
 * A home lists what it has promised to another node, even if it is still here: what leaves
 * only after the thaw. So it is the cache that knows.
 */
static bool is_missing(const struct dq_run *runs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (uint64_t p = runs[i].page; p < runs[i].page + runs[i].count; p++) {
            if (dq_cache_state(dq_pager.cache, p) == DQ_INVALID) {
                return true;
            }
        }
    }
    return false;
}

static int on_listed(int from, uint64_t more, const struct dq_run *runs, size_t n)
{
    struct gather *g = range.gather;
    uint64_t bit = UINT64_C(1) << from;

    if (!g || !(g->homes & bit) || more > 1) {
        return -EPROTO;
    }
    for (size_t i = 0; i < n; i++) {
        if (runs[i].page >= PAGE_LIMIT || runs[i].count > PAGE_LIMIT - runs[i].page) {
            return -EPROTO;
        }
    }
    g_array_append_vals(g->runs, runs, (guint)n);
    g->missing |= is_missing(runs, n);
    if (!more) {
        g->homes &= ~bit;
    }
    if (g->homes) {
        return 0;
    }
    range.gather = NULL;
    g->want.runs = (const struct dq_run *)g->runs->data;
    g->want.run_count = g->runs->len;
    dq_want_start(&g->want);
    return 0;
}

static void post_gather(void *arg)
{
    struct gather *g = arg;
    struct dq_msg_range m = {g->page, g->count, 0};

    dq_assert(!range.gather);
    range.gather = g;
    g->homes = homes_of(g->page, g->count);
    /*
     * A home counts this node among the holders from the moment it serves its request, so a
     * page that is on its way here is in no home's list.
     */
    dq_ask_list(g->runs);
    send_range(g->homes, DQ_MSG_LIST, &m);
}

/* The child's memory will be what is present. */
static void post_freeze(void *arg)
{
    (void)arg;
    dq_ahead_show_all();
    dq_cache_freeze(dq_pager.cache);
}

/* One round: true if something had been missing. */
static bool gather_round(uint64_t page, uint64_t count)
{
    struct gather g = {
        .page = page, .count = count, .runs = g_array_new(FALSE, FALSE, sizeof(struct dq_run))};

    dq_node_post(post_gather, &g);
    dq_gate_wait(&g.want.done);
    g_array_free(g.runs, TRUE);
    return g.missing;
}

/*
 * Threads elsewhere go on meanwhile: one may write a page that nobody had touched, and then
 * its address into a page that is fetched later. So until a round finds nothing missing. It
 * ends: what is here stays, and the memory that is mapped (the map stands still) is finite.
 */
void dq_pager_gather(uint64_t page, uint64_t count)
{
    if (!dq_node_is_live()) {
        return;
    }
    dq_node_post(post_freeze, NULL);
    while (gather_round(page, count)) {
    }
}

static void post_thaw(void *arg)
{
    (void)arg;
    dq_ahead_resume();
    dq_cache_thaw(dq_pager.cache, dq_node_now());
    dq_ask_settle();
}

void dq_pager_thaw(void)
{
    dq_node_post(post_thaw, NULL);
}

/* The home's side. */
struct listing {
    int to;
    GArray *runs;
};

static void send_listed(struct listing *l, bool more)
{
    struct dq_msg_range m = {.count = more};

    dq_batch_flush();
    dq_node_send2(l->to, DQ_MSG_LISTED, &m, sizeof(m), l->runs->data,
                  l->runs->len * sizeof(struct dq_run));
    g_array_set_size(l->runs, 0);
}

static void list_run(void *arg, uint64_t page, uint64_t count)
{
    struct listing *l = arg;
    struct dq_run run = {page, count};

    if (l->runs->len == LIST_RUNS) {
        send_listed(l, true);
    }
    g_array_append_val(l->runs, run);
}

static void on_list(int from, const struct dq_msg_range *m)
{
    struct listing l = {from, g_array_new(FALSE, FALSE, sizeof(struct dq_run))};

    dq_dir_list(dq_pager.dir, from, m->page, m->count, list_run, &l);
    send_listed(&l, false);
    g_array_free(l.runs, TRUE);
}

/* ---- messages ---- */

/* OWN, RESET, RESET_FILE and RESET_DONE go both ways with the master only. */
void dq_range_reset_done(uint64_t cookie)
{
    struct dq_msg_range m = {.cookie = cookie};

    dq_batch_flush();
    dq_node_emit(0, DQ_MSG_RESET_DONE, &m, sizeof(m), NULL, 0);
}

static int on_own(const struct dq_msg_range *m)
{
    int err = dq_dir_own(dq_pager.dir, 0, m->page, m->count);

    if (err == 0 && m->cookie) {
        dq_range_reset_done(m->cookie);
    }
    return err;
}

static int on_master(unsigned type, const struct dq_msg_range *m)
{
    switch (type) {
    case DQ_MSG_OWN:
        return on_own(m);
    case DQ_MSG_RESET:
    case DQ_MSG_RESET_FILE:
        dq_dir_reset(dq_pager.dir, m->page, m->count, type == DQ_MSG_RESET_FILE, m->cookie);
        return 0;
    case DQ_MSG_LIST:
        on_list(0, m);
        return 0;
    default:
        return -EPROTO;
    }
}

/* Bodies are copied: they may lie at any address. */
int dq_range_message(int from, unsigned type, const void *body, size_t length)
{
    struct dq_msg_range m;
    size_t more = length - sizeof(m);
    struct dq_run *runs;
    int err;

    memcpy(&m, body, sizeof(m));
    if (m.page > PAGE_LIMIT || m.count > PAGE_LIMIT - m.page || more % sizeof(*runs)) {
        return -EPROTO;
    }
    if (type == DQ_MSG_RESET_DONE) {
        return on_reset_done(from, m.cookie);
    }
    if (type == DQ_MSG_LISTED) {
        runs = g_memdup2((const uint8_t *)body + sizeof(m), more);
        err = on_listed(from, m.count, runs, more / sizeof(*runs));
        g_free(runs);
        return err;
    }
    return from == 0 ? on_master(type, &m) : -EPROTO;
}
