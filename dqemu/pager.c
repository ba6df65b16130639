/*
 * The pager: between the faults of this process (uffd.c), the coherence engine (dir.c,
 * cache.c), and the threads that ask for pages.
 *
 * All state here is the loop's alone; other threads reach it by posting, and sleep at a gate
 * on their own stack. After each step of the engine, settle() lets the larger requests go on:
 * the engine's callbacks themselves only note what happened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dqemu/assert.h"
#include "dqemu/coherence.h"
#include "dqemu/control.h"
#include "dqemu/gate.h"
#include "dqemu/runtime.h"
#include "dqemu/stats.h"
#include "dqemu/uffd.h"

/* Pages that one request asks for at a time: bounds the queues to the homes. */
#define WINDOW 256
/* Runs in one LISTED. */
#define LIST_RUNS 4096
/* Guest page numbers are below this; a peer that names others is not believed. */
#define PAGE_LIMIT (UINT64_C(1) << (64 - DQ_PAGE_BITS))

/* A page that was asked for and is not here yet. */
struct asked {
    bool write;
    struct dq_waiter *waiters;
};

/* A request that came while a range was being taken over: it is made afterwards. */
struct postponed {
    struct dq_waiter *waiter; /* NULL: a fault */
    uint64_t page;
    bool write, protected;
};

/* Pages that are wanted one by one, at most WINDOW at a time. */
struct want {
    const struct dq_run *runs;
    size_t run_count;
    uint64_t page; /* the next one, within runs[0] */
    bool write;
    unsigned in_flight;
    bool ready; /* in pager.ready */
    struct dq_gate done;
};
struct want_page {
    struct dq_waiter waiter;
    struct want *want;
};

/* A request to homes; each answers RESET_DONE with its cookie. */
struct call {
    uint64_t cookie;
    uint64_t homes; /* a bit per node that has not answered */
    struct dq_gate done;
};

/* The gathering before a fork. */
struct gather {
    uint64_t homes; /* a bit per node that has not listed all */
    GArray *runs;
    struct want want;
};

/* Ranges that the master takes over: see take_over(). */
struct own {
    uint64_t page, count;
    struct call call;
    int error;
};

static struct {
    int self, count;
    uintptr_t guest_base; /* before there is anything to fault */
    struct dq_dir *dir;
    struct dq_cache *cache;
    int timer;         /* timerfd of the hold time */
    GHashTable *asked; /* page -> struct asked */
    GQueue ready;      /* struct want with room for more */
    GQueue calls;      /* struct call without all answers */
    uint64_t cookie;   /* the last one used */
    GQueue owns;       /* struct own; the first is under way once `asked` is empty */
    bool owning;       /* its pages are being taken over: requests are postponed */
    GQueue postponed;  /* struct postponed */
    struct gather *gather;
} pager = {.timer = -1};

static_assert(DQ_MAX_NODES <= 64, "sets of nodes are 64 bits here");

static uintptr_t host_of(uint64_t page)
{
    return pager.guest_base + (page << DQ_PAGE_BITS);
}

static uint64_t everybody(void)
{
    return ~UINT64_C(0) >> (64 - pager.count);
}

/* ---- what the engine does ---- */

static void engine_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m,
                        bool with_page)
{
    static uint8_t bytes[DQ_PAGE_SIZE];

    (void)ctx;
    if (type == DQ_MSG_ACK || type == DQ_MSG_DATA_X) {
        dq_stat_add(invalidations, 1);
    }
    if (with_page) {
        /* An absent page that is held: see fill_absent(). */
        dq_uffd_read(host_of(m->page), bytes);
        dq_stat_add(pages_out, 1);
    }
    dq_node_emit(to, type, m, sizeof(*m), with_page ? bytes : NULL);
}

static void directory_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    (void)ctx;
    dq_node_emit(to, type, m, sizeof(*m), NULL);
}

static void reset_done(void *ctx, uint64_t cookie)
{
    struct dq_msg_range m = {.cookie = cookie};

    (void)ctx;
    dq_node_emit(0, DQ_MSG_RESET_DONE, &m, sizeof(m), NULL);
}

static bool is_about_to_be_written(uint64_t page)
{
    const struct asked *a = g_hash_table_lookup(pager.asked, GSIZE_TO_POINTER(page));

    return a && a->write;
}

/* Zeroes for a run: only what is about to be written gets memory of its own now. */
static void install_zeroes(uint64_t page, uint32_t count, bool writable)
{
    uint64_t end = page + count, from = page;

    dq_stat_add(zero_grants, count);
    for (uint64_t p = page; p < end; p++) {
        if (is_about_to_be_written(p)) {
            if (p > from) {
                dq_uffd_zero(host_of(from), p - from, writable, false);
            }
            dq_uffd_zero(host_of(p), 1, writable, true);
            from = p + 1;
        }
    }
    if (end > from) {
        dq_uffd_zero(host_of(from), end - from, writable, false);
    }
}

static void engine_install(void *ctx, uint64_t page, uint32_t count, const void *data,
                           bool writable)
{
    (void)ctx;
    if (data) {
        dq_uffd_copy(host_of(page), data, writable);
        dq_stat_add(pages_in, 1);
    } else {
        install_zeroes(page, count, writable);
    }
}

static void engine_make_writable(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_uffd_unprotect(host_of(page));
    dq_stat_add(upgrades, 1);
}

static void engine_make_readonly(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_uffd_protect(host_of(page));
}

static void engine_drop(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_uffd_discard(host_of(page));
}

static bool engine_release(void *ctx, uint64_t page)
{
    (void)ctx;
    return dq_code_release(page);
}

static void engine_timer(void *ctx, uint64_t when)
{
    struct itimerspec t = {
        .it_value = {(time_t)(when / 1000000000u), (long)(when % 1000000000u)},
    };

    (void)ctx;
    timerfd_settime(pager.timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void engine_granted(void *ctx, uint64_t page, enum dq_page_state state)
{
    struct asked *a = g_hash_table_lookup(pager.asked, GSIZE_TO_POINTER(page));
    struct dq_waiter **at, *w;

    (void)ctx;
    if (!a) {
        return;
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
        g_hash_table_remove(pager.asked, GSIZE_TO_POINTER(page));
    }
}

static const struct dq_cache_ops cache_ops = {
    .send = engine_send,
    .install = engine_install,
    .make_writable = engine_make_writable,
    .make_readonly = engine_make_readonly,
    .drop = engine_drop,
    .release = engine_release,
    .timer = engine_timer,
    .granted = engine_granted,
};

static const struct dq_dir_ops dir_ops = {
    .send = directory_send,
    .reset_done = reset_done,
};

/* ---- asking for pages ---- */

static bool ask(uint64_t page, bool write, struct dq_waiter *w)
{
    struct asked *a;

    if (dq_cache_want(pager.cache, page, write, dq_node_now())) {
        return true;
    }
    a = g_hash_table_lookup(pager.asked, GSIZE_TO_POINTER(page));
    if (!a) {
        a = g_new0(struct asked, 1);
        g_hash_table_insert(pager.asked, GSIZE_TO_POINTER(page), a);
    }
    a->write |= write;
    if (w) {
        w->next = a->waiters;
        a->waiters = w;
    }
    return false;
}

static void postpone(uint64_t page, bool write, bool protected, struct dq_waiter *w)
{
    struct postponed *p = g_new(struct postponed, 1);

    *p = (struct postponed){.waiter = w, .page = page, .write = write, .protected = protected};
    g_queue_push_tail(&pager.postponed, p);
}

bool dq_pager_ask(uint64_t page, struct dq_waiter *w)
{
    if (pager.owning) {
        postpone(page, w->write, false, w);
        return false;
    }
    if (ask(page, w->write, w)) {
        return true;
    }
    if (w->write) {
        dq_stat_add(faults_write, 1);
    } else {
        dq_stat_add(faults_read, 1);
    }
    return false;
}

static void want_is_ready(struct want *w)
{
    if (!w->ready) {
        w->ready = true;
        g_queue_push_tail(&pager.ready, w);
    }
}

static void want_page_met(struct dq_waiter *waiter, uint64_t page)
{
    struct want *w = ((struct want_page *)waiter)->want;

    (void)page;
    w->in_flight--;
    want_is_ready(w);
    g_free(waiter);
}

static void want_page(struct want *w, uint64_t page)
{
    struct want_page *p = g_new(struct want_page, 1);

    *p = (struct want_page){{.met = want_page_met, .write = w->write}, w};
    if (dq_pager_ask(page, &p->waiter)) {
        g_free(p);
    } else {
        w->in_flight++;
    }
}

static void want_start(struct want *w)
{
    if (w->run_count) {
        w->page = w->runs->page;
    }
    want_is_ready(w);
}

static void want_go_on(struct want *w)
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

static void own_next(void);

/* After each entry into the engine: what became possible by it. */
static void settle(void)
{
    struct want *w;

    while ((w = g_queue_pop_head(&pager.ready))) {
        w->ready = false;
        want_go_on(w);
    }
    own_next();
}

static void post_want(void *arg)
{
    want_start(arg);
    settle();
}

void dq_pager_want(uint64_t page, uint64_t count, bool write)
{
    struct dq_run run = {page, count};
    struct want w = {.runs = &run, .run_count = 1, .write = write};

    if (dq_node_is_live() && count) {
        dq_node_post(post_want, &w);
        dq_gate_wait(&w.done);
    }
}

void dq_pager_released(uint64_t page)
{
    dq_cache_released(pager.cache, page, dq_node_now());
}

/* ---- faults ---- */

/*
 * The access is allowed already, so this fault is an echo: of a thread that a signal took out
 * of its wait and that faulted again, or of two threads that fault on one page. Waking would
 * do, but for a page that is held and absent. It can be: the range was not registered when the
 * page was granted, or somebody discarded it behind our back. Then its content is zeroes, here
 * and for whoever fetches it, and a wake alone would let the thread fault for ever.
 */
static void answer_echo(uint64_t page, bool protected)
{
    bool writable = dq_cache_state(pager.cache, page) == DQ_EXCLUSIVE;

    if (!protected) {
        dq_uffd_zero(host_of(page), 1, writable, true);
    } else if (writable) {
        dq_uffd_unprotect(host_of(page));
    } else {
        dq_uffd_wake(host_of(page), 1);
    }
}

static void fault(uint64_t page, bool write, bool protected)
{
    if (pager.owning) {
        postpone(page, write, protected, NULL);
    } else if (ask(page, write, NULL)) {
        answer_echo(page, protected);
    } else if (write) {
        dq_stat_add(faults_write, 1);
    } else {
        dq_stat_add(faults_read, 1);
    }
}

static void on_faults(void)
{
    struct uffd_msg events[64];
    int n = dq_uffd_events(events, G_N_ELEMENTS(events));

    for (int i = 0; i < n; i++) {
        uint64_t flags = events[i].arg.pagefault.flags;

        if (events[i].event == UFFD_EVENT_PAGEFAULT) {
            bool protected = flags & UFFD_PAGEFAULT_FLAG_WP;

            fault((events[i].arg.pagefault.address - pager.guest_base) >> DQ_PAGE_BITS,
                  protected || flags & UFFD_PAGEFAULT_FLAG_WRITE, protected);
        }
    }
    settle();
}

static void on_timer(void)
{
    uint64_t expired;

    if (read(pager.timer, &expired, sizeof(expired)) == (ssize_t)sizeof(expired)) {
        dq_cache_tick(pager.cache, dq_node_now());
        settle();
    }
}

/* ---- calls to homes ---- */

/* On the loop. The homes that must answer are set by the caller. */
static void call_start(struct call *c)
{
    c->cookie = ++pager.cookie;
    g_queue_push_tail(&pager.calls, c);
}

static int on_reset_done(int from, uint64_t cookie)
{
    uint64_t bit = UINT64_C(1) << from;

    for (GList *l = pager.calls.head; l; l = l->next) {
        struct call *c = l->data;

        if (c->cookie == cookie && (c->homes & bit)) {
            c->homes &= ~bit;
            if (c->homes == 0) {
                g_queue_delete_link(&pager.calls, l);
                if (pager.owning && c == &((struct own *)pager.owns.head->data)->call) {
                    pager.owning = false;
                    g_queue_pop_head(&pager.owns);
                }
                dq_gate_open(&c->done);
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
        homes |= UINT64_C(1) << dq_home(p, pager.count);
    }
    return homes;
}

static void send_range(uint64_t homes, unsigned type, const struct dq_msg_range *m)
{
    for (int n = 0; n < pager.count; n++) {
        if (homes >> n & 1) {
            dq_node_emit(n, type, m, sizeof(*m), NULL);
        }
    }
}

struct reset {
    uint64_t page, count;
    struct call call;
};

static void post_reset(void *arg)
{
    struct reset *r = arg;
    uint64_t homes = homes_of(r->page, r->count);
    struct dq_msg_range m = {r->page, r->count, 0};

    r->call.homes = homes;
    call_start(&r->call);
    m.cookie = r->call.cookie;
    send_range(homes, DQ_MSG_RESET, &m);
}

void dq_pager_reset(uint64_t page, uint64_t count)
{
    struct reset r = {.page = page, .count = count};

    if (dq_node_is_live() && count) {
        dq_node_post(post_reset, &r);
        dq_gate_wait(&r.call.done);
    }
}

/* ---- taking over what is there already ---- */

/* The pages of the run that the engine does not know of are ours, and their homes hear of it. */
static void own_run(void *arg, uintptr_t at, size_t pages)
{
    uint64_t page = (at - pager.guest_base) >> DQ_PAGE_BITS, end = page + pages;

    (void)arg;
    while (page < end) {
        struct dq_msg_range m = {.page = page};

        while (page < end && dq_cache_state(pager.cache, page) == DQ_INVALID) {
            page++;
        }
        m.count = page - m.page;
        if (m.count) {
            dq_cache_own(pager.cache, m.page, m.count);
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
static void own_next(void)
{
    struct own *o = g_queue_peek_head(&pager.owns);
    struct dq_msg_range last = {0};

    if (pager.owning || !o || g_hash_table_size(pager.asked)) {
        return;
    }
    pager.owning = true;
    o->error = dq_uffd_present(host_of(o->page), o->count << DQ_PAGE_BITS, own_run, NULL);
    o->call.homes = everybody();
    call_start(&o->call);
    last.cookie = o->call.cookie;
    send_range(everybody(), DQ_MSG_OWN, &last);
}

static void resume_postponed(void)
{
    struct postponed *p;

    while (!pager.owning && (p = g_queue_pop_head(&pager.postponed))) {
        if (!p->waiter) {
            fault(p->page, p->write, p->protected);
        } else if (dq_pager_ask(p->page, p->waiter)) {
            p->waiter->met(p->waiter, p->page);
        }
        g_free(p);
    }
}

static void post_own(void *arg)
{
    g_queue_push_tail(&pager.owns, arg);
    settle();
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
        dq_control_error(125, "node %d cannot find out which pages are in use: %s", pager.self,
                         g_strerror(-o.error));
    }
    return o.error;
}

/* ---- gathering ---- */

static int on_listed(int from, uint64_t more, const struct dq_run *runs, size_t n)
{
    struct gather *g = pager.gather;
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
    if (!more) {
        g->homes &= ~bit;
    }
    if (g->homes) {
        return 0;
    }
    pager.gather = NULL;
    g->want.runs = (const struct dq_run *)g->runs->data;
    g->want.run_count = g->runs->len;
    want_start(&g->want);
    return 0;
}

/*
 * A home counts this node among the holders from the moment it serves its request, so a page
 * that is on its way here is in no home's list.
 */
static void list_asked(gpointer key, gpointer value, gpointer arg)
{
    struct dq_run run = {GPOINTER_TO_SIZE(key), 1};

    (void)value;
    g_array_append_val((GArray *)arg, run);
}

static void post_gather(void *arg)
{
    struct gather *g = arg;
    struct dq_msg_range m = {0};

    dq_assert(!pager.gather);
    pager.gather = g;
    g->homes = everybody();
    dq_cache_freeze(pager.cache);
    g_hash_table_foreach(pager.asked, list_asked, g->runs);
    send_range(everybody(), DQ_MSG_LIST, &m);
}

void dq_pager_gather(void)
{
    struct gather g = {.runs = NULL};

    if (!dq_node_is_live()) {
        return;
    }
    g.runs = g_array_new(FALSE, FALSE, sizeof(struct dq_run));
    dq_node_post(post_gather, &g);
    dq_gate_wait(&g.want.done);
    g_array_free(g.runs, TRUE);
}

static void post_thaw(void *arg)
{
    (void)arg;
    dq_cache_thaw(pager.cache, dq_node_now());
    settle();
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

static void on_list(int from)
{
    struct listing l = {from, g_array_new(FALSE, FALSE, sizeof(struct dq_run))};

    dq_dir_list(pager.dir, from, list_run, &l);
    send_listed(&l, false);
    g_array_free(l.runs, TRUE);
}

/* ---- messages ---- */

static int on_own(int from, const struct dq_msg_range *m)
{
    int err = dq_dir_own(pager.dir, from, m->page, m->count);
    struct dq_msg_range answer = {.cookie = m->cookie};

    if (err == 0 && m->cookie) {
        dq_node_emit(from, DQ_MSG_RESET_DONE, &answer, sizeof(answer), NULL);
    }
    return err;
}

/* Bodies are copied: they may lie at any address. */
static int on_range(int from, unsigned type, const void *body, size_t length)
{
    struct dq_msg_range m;
    size_t more = length - sizeof(m);
    struct dq_run *runs;
    int err;

    memcpy(&m, body, sizeof(m));
    if (m.page > PAGE_LIMIT || m.count > PAGE_LIMIT - m.page || more % sizeof(struct dq_run)) {
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
    if (from != 0) {
        return -EPROTO;
    }
    if (type == DQ_MSG_OWN) {
        return on_own(from, &m);
    }
    if (type == DQ_MSG_RESET) {
        dq_dir_reset(pager.dir, m.page, m.count, m.cookie);
    } else {
        on_list(from);
    }
    return 0;
}

static int on_page(int from, unsigned type, const void *body, size_t length)
{
    struct dq_msg_page m;
    const void *data = length > sizeof(m) ? (const uint8_t *)body + sizeof(m) : NULL;

    memcpy(&m, body, sizeof(m));
    switch (type) {
    case DQ_MSG_GET_S:
    case DQ_MSG_GET_X:
    case DQ_MSG_DONE:
    case DQ_MSG_RACK:
        return dq_dir_message(pager.dir, from, type, &m);
    default:
        return dq_cache_message(pager.cache, from, type, &m, data, dq_node_now());
    }
}

int dq_pager_message(int from, unsigned type, const void *body, size_t length)
{
    int err = type >= DQ_MSG_OWN ? on_range(from, type, body, length)
                                 : on_page(from, type, body, length);

    if (err == 0) {
        resume_postponed();
        settle();
    }
    return err;
}

/* ---- opening ---- */

int dq_pager_start(const struct dq_config *cfg)
{
    pager.self = cfg->node;
    pager.count = cfg->nodes;
    pager.asked = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    pager.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (pager.timer < 0) {
        return -errno;
    }
    pager.dir = dq_dir_new(cfg->node, cfg->nodes, cfg->run_pages, &dir_ops, NULL);
    pager.cache = dq_cache_new(cfg->node, cfg->nodes, (uint64_t)cfg->hold_us * 1000, &cache_ops,
                               NULL);
    dq_node_watch(pager.timer, on_timer);
    return 0;
}

static int report_open_error(int err)
{
    if (err == -ENOSYS) {
        dq_control_error(125, "node %d: this kernel has no userfaultfd with write protection; "
                         "Linux 5.7 or newer is needed, with CONFIG_USERFAULTFD", pager.self);
    } else if (err == -EPERM) {
        dq_control_error(125, "node %d may not use userfaultfd; run as root, or let root do "
                         "\"sysctl vm.unprivileged_userfaultfd=1\" or give this user access to "
                         "/dev/userfaultfd", pager.self);
    } else {
        dq_control_error(125, "node %d cannot open userfaultfd: %s", pager.self, g_strerror(-err));
    }
    return err;
}

static void watch_faults(void *arg)
{
    (void)arg;
    dq_node_watch(dq_uffd_fd(), on_faults);
}

int dq_pager_open(uintptr_t guest_base)
{
    int err;

    if (!dq_node_is_live()) {
        return 0;
    }
    err = dq_uffd_open();
    if (err) {
        return report_open_error(err);
    }
    pager.guest_base = guest_base;
    dq_node_call(watch_faults, NULL);
    return 0;
}

int dq_pager_register(uint64_t start, uint64_t length)
{
    return dq_node_is_live() ? dq_uffd_register(pager.guest_base + start, length) : 0;
}

int dq_pager_unregister(uint64_t start, uint64_t length)
{
    return dq_node_is_live() ? dq_uffd_unregister(pager.guest_base + start, length) : 0;
}

void dq_pager_forked(void)
{
    dq_uffd_close();
    close(pager.timer);
    pager.timer = -1;
}
