/*
 * The schedule-exploring simulator: a few nodes of the real coherence engine under random
 * schedules, with the memory, the threads, the network and the clock made here.
 *
 * One step is one event: a thread of a node touches a page, a message is delivered (each channel
 * is FIFO, any channel may be next), time passes, a release is completed, a page rests, the map is
 * reset and has pages of files from then on, a file changes, a node freezes, gathers all pages and thaws.
 * After each step every copy is compared with the
 * last value written, and every page with the rule that a writer excludes everybody else.
 *
 *   sim --seeds A..B [--plant FAULT]         run these schedules
 *   sim --seed S [--plant FAULT] --trace     replay one and print it
 *   sim --plants                             the faults that can be planted
 *
 * Exit status: 0, or 1 after the first schedule that fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dqemu/coherence.h"

#define MAX_NODES 5
#define MAX_CHUNKS 3
#define MAX_WINDOW 4
#define MAX_PAGES (MAX_CHUNKS * MAX_WINDOW)
#define MAX_THREADS 3
#define STEPS_TO_DRAIN 20000

/* Faults planted below or beside the engine: the checks must see each of them. */
#define PLANTS(X)                                                                                  \
    X(LOST_INVALIDATION, "lost-invalidation", "a holder is not told to drop, but is said to have") \
    X(MISSING_DONE, "missing-done", "a DONE is lost")                                              \
    X(DROPPED_ACK, "dropped-ack", "an ACK is lost")                                                \
    X(EARLY_FETCH, "early-fetch", "a message of the home overtakes another to the same node")      \
    X(NO_BUSY, "no-busy", "the home hears DONE while the requester still waits")                   \
    X(MISCOUNTED_WAIT, "miscounted-wait", "WAIT names one answer too few")                         \
    X(BARE_UPGRADE, "bare-upgrade", "an upgrade does not wait for the other copies")               \
    X(FORGETFUL_RESET, "forgetful-reset", "a reset leaves one copy alive")                         \
    X(STALE_RUN, "stale-run", "a run is a page too long: one that somebody else may hold")         \
    X(ZERO_FILE, "zero-file", "a page of a file is granted as one of zeroes")                      \
    X(KEPT_FILE, "kept-file", "a home takes pages for a file's that are so no more")               \
    X(LATE_FILE, "late-file", "a page of a file is read again after others have got it")           \
    X(STALE_DATA, "stale-data", "a page is sent with its value of one write before")               \
    X(STILL_WRITABLE, "still-writable", "a page stays writable when it becomes Shared")            \
    X(STILL_THERE, "still-there", "a page stays readable when it is dropped")                      \
    X(LOST_WAKE, "lost-wake", "a page arrives and nobody is woken")

enum plant {
    PLANT_NONE,
#define X(id, name, help) PLANT_##id,
    PLANTS(X)
#undef X
};

static const struct {
    const char *name, *help;
} plants[] = {{"none", ""},
#define X(id, name, help) {name, help},
              PLANTS(X)
#undef X
};

static const char *const message_names[] = {"NONE",
#define X(name, body, trailing, help) #name,
                                            DQ_MESSAGES(X)
#undef X
};

struct packet {
    unsigned type;
    struct dq_msg_page m;
    uint64_t version; /* the page's content, if it travels along */
    uint32_t listed;  /* LISTED: a bit per page of the world */
};

struct channel {
    GArray *packets; /* struct packet */
    unsigned head;
};

struct copy {
    bool present, writable;
    bool releasing;   /* release() was refused, released() is due */
    bool written;     /* since it came */
    uint64_t version; /* the content */
    uint64_t before;  /* the content one write ago */
};

struct thread {
    bool busy;    /* has an access to do */
    bool waiting; /* asleep in its fault */
    bool write;
    int page;
};

struct world;

struct node {
    struct world *w;
    int number;
    struct dq_dir *dir;
    struct dq_cache *cache;
    struct copy copies[MAX_PAGES];
    struct thread threads[MAX_THREADS];
    uint64_t timer; /* 0: none */
};

struct page {
    uint64_t number;
    uint64_t last;  /* the value that every copy must have */
    bool forbidden; /* unmapped: no thread gets at it */
    uint64_t file;  /* what it has when it is touched; 0: it is no page of a file, and has zeroes */
    uint64_t here;  /* likewise, as far as the master knows: what it would read from the file */
    bool filled;    /* since the reset: the file is looked at no more */
    bool fixed;     /* it cannot be told whether it is: the file does not change */
    uint64_t snapshot; /* of `last` when the gathering began; 0: reset since, or not written */
};

struct world {
    uint64_t seed, random;
    unsigned most_wish; /* for the length of a run: what does not leave the world */
    enum plant plant;
    bool trace;
    int nodes, threads, chunks, window, pages;
    struct page page[MAX_PAGES];
    struct node node[MAX_NODES];
    struct channel channel[MAX_NODES][MAX_NODES];
    uint64_t now, versions, steps, reset_cookie;
    bool refuses_release;
    int resetting; /* homes that have not said RESET_DONE; 0: no reset */
    int gathering; /* the node that gathers, or -1 */
    int lists;     /* homes that have not said LISTED */
    uint32_t to_gather;
    uint32_t changed; /* pages to check after this step */
};

/* ------------------------------------------------------------- tools */

static uint64_t draw(struct world *w, uint64_t below)
{
    uint64_t x = w->random += 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return (x ^ (x >> 31)) % below;
}

static bool chance(struct world *w, unsigned of)
{
    return draw(w, of) == 0;
}

static bool plant(struct world *w, enum plant p)
{
    return w->plant == p && chance(w, 4);
}

static void __attribute__((format(printf, 2, 3))) trace(struct world *w, const char *format, ...)
{
    va_list ap;

    if (!w->trace) {
        return;
    }
    printf("%5" PRIu64 " %7" PRIu64 "  ", w->steps, w->now);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
}

static void __attribute__((format(printf, 2, 3), noreturn))
fail(struct world *w, const char *format, ...)
{
    va_list ap;

    printf("seed %" PRIu64 " fails: ", w->seed);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf(" (step %" PRIu64 "); replay with: build/tests/sim --seed %" PRIu64 "%s%s --trace\n",
           w->steps, w->seed, w->plant ? " --plant " : "", w->plant ? plants[w->plant].name : "");
    exit(1);
}

/* The page of that number, which something happens to. */
static int index_of(struct world *w, uint64_t number)
{
    for (int i = 0; i < w->pages; i++) {
        if (w->page[i].number == number) {
            w->changed |= UINT32_C(1) << i;
            return i;
        }
    }
    fail(w, "page %" PRIx64 " is not of this world", number);
}

static void push(struct world *w, int from, int to, struct packet p)
{
    g_array_append_val(w->channel[from][to].packets, p);
}

static unsigned queued(const struct channel *c)
{
    return c->packets->len - c->head;
}

static struct packet pop(struct channel *c, unsigned skip)
{
    struct packet p = g_array_index(c->packets, struct packet, c->head + skip);

    for (unsigned i = c->head + skip; i > c->head; i--) {
        g_array_index(c->packets, struct packet, i) =
            g_array_index(c->packets, struct packet, i - 1);
    }
    if (++c->head == c->packets->len) {
        g_array_set_size(c->packets, 0);
        c->head = 0;
    }
    return p;
}

/* ------------------------------------------------- callbacks: the home */

static void dir_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    struct node *n = ctx;
    struct packet p = {.type = type, .m = *m};

    if (type == DQ_MSG_WAIT && plant(n->w, PLANT_MISCOUNTED_WAIT)) {
        p.m.count--;
    }
    if (type == DQ_MSG_WAIT && plant(n->w, PLANT_BARE_UPGRADE)) {
        p.type = DQ_MSG_GRANT_UP;
    }
    if (type == DQ_MSG_GRANT_ZERO && plant(n->w, PLANT_STALE_RUN) &&
        index_of(n->w, m->page) % n->w->window + (int)m->count < n->w->window) {
        p.m.count++;
    }
    if (type == DQ_MSG_INV && m->node != DQ_NODE_MAP && plant(n->w, PLANT_LOST_INVALIDATION)) {
        p.type = DQ_MSG_ACK;
        push(n->w, to, m->node, p);
        return;
    }
    if (type == DQ_MSG_INV && m->node == DQ_NODE_MAP && plant(n->w, PLANT_FORGETFUL_RESET)) {
        p.type = DQ_MSG_RACK;
        push(n->w, to, n->number, p);
        return;
    }
    if (type == DQ_MSG_GRANT_ZERO && m->node == DQ_NODE_FILE && plant(n->w, PLANT_ZERO_FILE)) {
        p.m.node = 0;
    }
    push(n->w, n->number, to, p);
    if ((type == DQ_MSG_FETCH_S || type == DQ_MSG_FETCH_M) && plant(n->w, PLANT_NO_BUSY)) {
        p.type = DQ_MSG_DONE;
        push(n->w, m->node, n->number, p);
    }
}

static void dir_reset_done(void *ctx, uint64_t cookie)
{
    struct node *n = ctx;

    if (cookie != n->w->reset_cookie) {
        fail(n->w, "node %d: reset_done with a wrong cookie", n->number);
    }
    push(n->w, n->number, 0, (struct packet){.type = DQ_MSG_RESET_DONE});
}

static const struct dq_dir_ops dir_ops = {.send = dir_send, .reset_done = dir_reset_done};

/* ------------------------------------------------ callbacks: the node */

static bool carries_page(unsigned type)
{
    return type == DQ_MSG_DATA_S || type == DQ_MSG_DATA_X || type == DQ_MSG_DATA_M;
}

static void wake(struct node *n, int page)
{
    if (plant(n->w, PLANT_LOST_WAKE)) {
        return;
    }
    for (int t = 0; t < n->w->threads; t++) {
        if (n->threads[t].page == page) {
            n->threads[t].waiting = false;
        }
    }
}

static void cache_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m,
                       bool with_page)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[index_of(n->w, m->page)];
    struct packet p = {.type = type, .m = *m};

    if (with_page != carries_page(type)) {
        fail(n->w, "node %d: %s with_page=%d", n->number, message_names[type], with_page);
    }
    if (with_page) {
        if (!c->present || (c->writable && n->w->plant != PLANT_STILL_WRITABLE)) {
            fail(n->w, "node %d sends page %" PRIx64 " that is %s", n->number, m->page,
                 c->present ? "still writable" : "not there");
        }
        if (m->flags & DQ_PAGE_CLEAN && c->written) {
            fail(n->w, "node %d says of page %" PRIx64 " that it was not written to", n->number,
                 m->page);
        }
        p.version = plant(n->w, PLANT_STALE_DATA) ? c->before : c->version;
        if (n->number == 0 && plant(n->w, PLANT_LATE_FILE)) {
            p.version = n->w->page[index_of(n->w, m->page)].file;
        }
    }
    if ((type == DQ_MSG_DONE && plant(n->w, PLANT_MISSING_DONE)) ||
        (type == DQ_MSG_ACK && plant(n->w, PLANT_DROPPED_ACK))) {
        return;
    }
    if (type == DQ_MSG_DONE && to == n->number) {
        if (dq_dir_message(n->dir, to, type, m)) {
            fail(n->w, "node %d refuses its own DONE of page %" PRIx64, n->number, m->page);
        }
        return;
    }
    push(n->w, n->number, to, p);
}

static void cache_install(void *ctx, uint64_t page, uint32_t count, const void *data, bool writable)
{
    struct node *n = ctx;
    uint64_t version = 0;

    if (data) {
        memcpy(&version, data, sizeof(version));
    }
    for (uint32_t i = 0; i < count; i++) {
        struct copy *c = &n->copies[index_of(n->w, page + i)];

        if (c->present) {
            fail(n->w, "node %d installs page %" PRIx64 " twice", n->number, page + i);
        }
        *c = (struct copy){
            .present = true, .writable = writable, .version = version, .before = version};
        wake(n, index_of(n->w, page + i));
    }
}

static bool cache_fill(void *ctx, uint64_t page)
{
    struct node *n = ctx;
    int index = index_of(n->w, page);
    struct page *p = &n->w->page[index];

    if (n->number != 0 || !p->here) {
        return false;
    }
    if (n->copies[index].present) {
        fail(n->w, "node %d fills page %" PRIx64 " twice", n->number, page);
    }
    n->copies[index] =
        (struct copy){.present = true, .writable = true, .version = p->here, .before = p->here};
    p->filled = true;
    wake(n, index);
    return true;
}

static void cache_make_writable(void *ctx, uint64_t page)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[index_of(n->w, page)];

    if (!c->present || c->writable) {
        fail(n->w, "node %d upgrades page %" PRIx64 " that is not Shared", n->number, page);
    }
    c->writable = true;
    wake(n, index_of(n->w, page));
}

static void cache_make_readonly(void *ctx, uint64_t page)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[index_of(n->w, page)];

    if (!c->present || !c->writable) {
        fail(n->w, "node %d downgrades page %" PRIx64 " that is not Exclusive", n->number, page);
    }
    c->writable = plant(n->w, PLANT_STILL_WRITABLE);
}

static void cache_drop(void *ctx, uint64_t page)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[index_of(n->w, page)];

    if (!c->present) {
        fail(n->w, "node %d drops page %" PRIx64 " that is not there", n->number, page);
    }
    if (n->w->gathering == n->number) {
        fail(n->w, "node %d drops page %" PRIx64 " while it is frozen", n->number, page);
    }
    c->present = plant(n->w, PLANT_STILL_THERE);
    c->writable = false;
}

static bool cache_release(void *ctx, uint64_t page)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[index_of(n->w, page)];

    if (!c->present || (c->writable && n->w->plant != PLANT_STILL_WRITABLE) || c->releasing) {
        fail(n->w, "node %d releases page %" PRIx64 " that is not Shared", n->number, page);
    }
    c->releasing = n->w->refuses_release && chance(n->w, 3);
    return !c->releasing;
}

static void cache_timer(void *ctx, uint64_t when)
{
    struct node *n = ctx;

    if (when <= n->w->now || (n->timer && n->timer <= when)) {
        fail(n->w, "node %d sets a useless timer", n->number);
    }
    n->timer = when;
}

static void cache_granted(void *ctx, uint64_t page, enum dq_page_state state)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[index_of(n->w, page)];

    if (!c->present || c->writable != (state == DQ_EXCLUSIVE)) {
        fail(n->w, "node %d is granted state %d of page %" PRIx64 " but does not have it",
             n->number, state, page);
    }
}

static const struct dq_cache_ops cache_ops = {
    .send = cache_send,
    .install = cache_install,
    .fill = cache_fill,
    .make_writable = cache_make_writable,
    .make_readonly = cache_make_readonly,
    .drop = cache_drop,
    .release = cache_release,
    .timer = cache_timer,
    .granted = cache_granted,
};

/* ------------------------------------------------------------- checks */

static void check_page(struct world *w, int page)
{
    int copies = 0, writers = 0;

    for (int i = 0; i < w->nodes; i++) {
        struct node *n = &w->node[i];
        struct copy *c = &n->copies[page];
        enum dq_page_state state = dq_cache_state(n->cache, w->page[page].number);

        copies += c->present;
        writers += c->present && c->writable;
        if (c->present && !w->page[page].forbidden && c->version != w->page[page].last) {
            fail(w, "node %d reads %" PRIu64 " instead of %" PRIu64 " in page %d", i, c->version,
                 w->page[page].last, page);
        }
        if (c->present != (state != DQ_INVALID) ||
            (c->present && c->writable != (state == DQ_EXCLUSIVE))) {
            fail(w, "node %d: the engine believes state %d of page %d", i, state, page);
        }
    }
    if (writers > 1 || (writers && copies > 1)) {
        fail(w, "page %d has %d writers and %d copies", page, writers, copies);
    }
}

/* What this step has to do with; now and then everything, in case it went behind our back. */
static void check(struct world *w)
{
    if (w->steps % 32 == 0) {
        w->changed = ~UINT32_C(0);
    }
    for (int p = 0; p < w->pages; p++) {
        if (w->changed >> p & 1) {
            check_page(w, p);
        }
    }
    w->changed = 0;
}

/* ------------------------------------------------------------- events */

static void access_page(struct node *n, struct thread *t)
{
    struct world *w = n->w;
    struct copy *c = &n->copies[t->page];

    t->busy = false;
    w->changed |= UINT32_C(1) << t->page;
    if (t->write) {
        c->written = true;
        c->before = c->version;
        c->version = w->page[t->page].last = ++w->versions;
    }
    trace(w, "node %d thread %d %s page %d: %" PRIu64, n->number, (int)(t - n->threads),
          t->write ? "writes" : "reads", t->page, c->version);
}

static bool may_access(const struct copy *c, const struct thread *t)
{
    return c->present && (c->writable || !t->write);
}

static void run_thread(struct node *n, struct thread *t)
{
    struct world *w = n->w;
    struct copy *c = &n->copies[t->page];
    unsigned wish = (unsigned)draw(w, w->most_wish + 1);

    if (w->page[t->page].forbidden) {
        t->busy = false;
    } else if (may_access(c, t)) {
        access_page(n, t);
    } else if (dq_cache_want(n->cache, w->page[t->page].number, t->write, wish, w->now)) {
        if (!may_access(c, t)) {
            fail(w, "node %d: the engine denies the fault in page %d", n->number, t->page);
        }
        access_page(n, t);
    } else {
        trace(w, "node %d thread %d waits to %s page %d", n->number, (int)(t - n->threads),
              t->write ? "write" : "read", t->page);
        t->waiting = true;
    }
}

/* One thread that can run, does; it chooses what if `fresh` allows new accesses. */
static bool step_thread(struct world *w, bool fresh)
{
    struct node *n = &w->node[draw(w, (uint64_t)w->nodes)];
    struct thread *t = &n->threads[draw(w, (uint64_t)w->threads)];

    if (t->waiting || (!t->busy && !fresh)) {
        return false;
    }
    if (!t->busy) {
        *t = (struct thread){.busy = true, .write = chance(w, 2)};
        t->page = (int)draw(w, (uint64_t)w->pages);
    }
    run_thread(n, t);
    return true;
}

struct listing {
    struct world *w;
    uint32_t listed;
};

static void list_run(void *arg, uint64_t page, uint64_t count)
{
    struct listing *l = arg;

    for (uint64_t i = 0; i < count; i++) {
        l->listed |= UINT32_C(1) << index_of(l->w, page + i);
    }
}

/* The pages that are touched, as the homes believe, but for those that every node has. */
static uint32_t all_touched(struct world *w)
{
    struct listing l = {.w = w};

    for (int i = 0; i < w->nodes; i++) {
        for (int h = 0; h < w->nodes; h++) {
            dq_dir_list(w->node[h].dir, i, 0, UINT64_MAX, list_run, &l);
        }
    }
    return l.listed;
}

static bool is_present(struct world *w, int page)
{
    bool is = false;

    for (int i = 0; i < w->nodes; i++) {
        is |= w->node[i].copies[page].present;
    }
    return is;
}

/* Requests from before may have come after a home's reset, and have touched pages again. */
static void reset_is_done(struct world *w)
{
    uint32_t touched;

    if (--w->resetting) {
        return;
    }
    trace(w, "the reset is over");
    touched = all_touched(w);
    for (int p = 0; p < w->pages; p++) {
        if (w->page[p].forbidden) {
            w->page[p].forbidden = false;
            w->page[p].last = w->page[p].here = w->page[p].file;
            w->page[p].filled = is_present(w, p);
            w->page[p].fixed = !w->page[p].filled && touched >> p & 1;
            w->changed |= UINT32_C(1) << p;
        }
    }
}

static void deliver(struct world *w, int from, int to)
{
    struct channel *c = &w->channel[from][to];
    bool overtakes = queued(c) > 1 && w->plant == PLANT_EARLY_FETCH && plant(w, w->plant);
    struct packet p = pop(c, overtakes);
    struct node *n = &w->node[to];
    bool data = carries_page(p.type);
    int error = 0;

    trace(w, "%d -> %d %s page %" PRIx64 " count %u node %u flags %u version %" PRIu64, from, to,
          message_names[p.type], p.m.page, p.m.count, p.m.node, p.m.flags, p.version);
    switch (p.type) {
    case DQ_MSG_RESET:
    case DQ_MSG_RESET_FILE:
        dq_dir_reset(n->dir, p.m.page, p.m.count,
                     p.type == DQ_MSG_RESET_FILE || plant(w, PLANT_KEPT_FILE), w->reset_cookie);
        break;
    case DQ_MSG_RESET_DONE:
        reset_is_done(w);
        break;
    case DQ_MSG_LISTED:
        w->to_gather |= p.listed;
        w->lists--;
        break;
    case DQ_MSG_GET_S:
    case DQ_MSG_GET_X:
    case DQ_MSG_DONE:
    case DQ_MSG_RACK:
        error = dq_dir_message(n->dir, from, p.type, &p.m);
        break;
    default:
        error = dq_cache_message(n->cache, from, p.type, &p.m, data ? &p.version : NULL, w->now);
        break;
    }
    if (error) {
        fail(w, "node %d refuses %s of page %" PRIx64 " from node %d", to, message_names[p.type],
             p.m.page, from);
    }
}

static bool step_deliver(struct world *w)
{
    int all = w->nodes * w->nodes, first = (int)draw(w, (uint64_t)all);

    for (int i = 0; i < all; i++) {
        int at = (first + i) % all;

        if (queued(&w->channel[at / w->nodes][at % w->nodes])) {
            deliver(w, at / w->nodes, at % w->nodes);
            return true;
        }
    }
    return false;
}

/* False: no timer was set. */
static bool step_clock(struct world *w)
{
    bool timers = false;

    w->now += 1 + draw(w, 60);
    for (int i = 0; i < w->nodes; i++) {
        struct node *n = &w->node[i];

        timers |= n->timer != 0;
        if (n->timer && n->timer <= w->now) {
            trace(w, "node %d: its timer rings", i);
            n->timer = 0;
            dq_cache_tick(n->cache, w->now);
        }
    }
    return timers;
}

static bool step_released(struct world *w)
{
    int all = w->nodes * w->pages, first = (int)draw(w, (uint64_t)all);

    for (int i = 0; i < all; i++) {
        int at = (first + i) % all;
        struct node *n = &w->node[at / w->pages];
        struct copy *c = &n->copies[at % w->pages];

        if (c->releasing) {
            trace(w, "node %d has released page %d", n->number, at % w->pages);
            c->releasing = false;
            dq_cache_released(n->cache, w->page[at % w->pages].number, w->now);
            return true;
        }
    }
    return false;
}

/* A node supposes that it has done with a page. */
static void step_rest(struct world *w)
{
    struct node *n = &w->node[draw(w, (uint64_t)w->nodes)];
    int page = (int)draw(w, (uint64_t)w->pages);

    if (dq_cache_rest(n->cache, w->page[page].number, w->now)) {
        trace(w, "node %d rests page %d", n->number, page);
    }
}

/*
 * The map is changed: nobody may use the range, then every home resets its pages of it. If they are of a
 * file from now on, the master knows that first; if they were, it knows last that they are no more.
 */
static void reset(struct world *w, int first, int last, bool file)
{
    uint64_t page = w->page[first].number;

    if (w->resetting) {
        return;
    }
    w->reset_cookie++;
    w->resetting = w->nodes;
    for (int p = first; p <= last; p++) {
        w->page[p].forbidden = true;
        w->page[p].snapshot = 0;
        w->page[p].file = file ? ++w->versions : 0;
        w->page[p].here = file ? w->page[p].file : w->page[p].here;
    }
    trace(w, "reset of pages %d to %d%s", first, last, file ? ", a file's" : "");
    for (int i = 0; i < w->nodes; i++) {
        struct packet p = {.type = file ? DQ_MSG_RESET_FILE : DQ_MSG_RESET};

        p.m.page = page;
        p.m.count = (uint32_t)(w->page[last].number - page + 1);
        push(w, 0, i, p);
    }
}

static void step_reset(struct world *w)
{
    int first = (int)draw(w, (uint64_t)w->pages);
    int last = first + (int)draw(w, (uint64_t)(w->pages - first));

    reset(w, first, last, chance(w, 2));
}

/* Somebody writes to a file: that shows in a page that nobody has touched. */
static void step_file(struct world *w)
{
    struct page *p = &w->page[draw(w, (uint64_t)w->pages)];

    if (p->file && !p->forbidden && !p->fixed) {
        p->here = p->file = ++w->versions;
        p->last = p->filled ? p->last : p->file;
        trace(w, "the file of page %d changes", (int)(p - w->page));
    }
}

static void start_gathering(struct world *w)
{
    if (w->gathering >= 0) {
        return;
    }
    w->gathering = (int)draw(w, (uint64_t)w->nodes);
    w->lists = w->nodes;
    w->to_gather = 0;
    dq_cache_freeze(w->node[w->gathering].cache);
    trace(w, "node %d freezes", w->gathering);
    for (int p = 0; p < w->pages; p++) {
        bool touched = w->page[p].last != w->page[p].file;

        w->page[p].snapshot = w->page[p].forbidden || !touched ? 0 : w->page[p].last;
    }
    for (int i = 0; i < w->nodes; i++) {
        struct listing l = {.w = w};

        dq_dir_list(w->node[i].dir, w->gathering, 0, UINT64_MAX, list_run, &l);
        push(w, i, w->gathering, (struct packet){.type = DQ_MSG_LISTED, .listed = l.listed});
    }
}

/* Ask for what is still missing; if that is nothing, check that all is here, and thaw. */
static void step_gathering(struct world *w)
{
    struct node *n = &w->node[w->gathering];
    uint32_t missing = 0;

    if (w->lists) {
        return;
    }
    for (int p = 0; p < w->pages; p++) {
        if (w->to_gather >> p & 1 && !w->page[p].forbidden && !n->copies[p].present) {
            dq_cache_want(n->cache, w->page[p].number, false, 0, w->now);
            missing |= UINT32_C(1) << p;
        }
    }
    if (missing) {
        return;
    }
    for (int p = 0; p < w->pages; p++) {
        if (w->page[p].snapshot && !n->copies[p].present) {
            fail(w, "node %d has gathered everything but page %d", n->number, p);
        }
    }
    trace(w, "node %d thaws", n->number);
    w->gathering = -1;
    dq_cache_thaw(n->cache, w->now);
}

/* ---------------------------------------------------------- schedules */

static void step(struct world *w)
{
    uint64_t dice = draw(w, 430);

    if (dice < 200) {
        step_deliver(w);
    } else if (dice < 360) {
        step_thread(w, true);
    } else if (dice < 380) {
        step_clock(w);
    } else if (dice < 390) {
        step_released(w);
    } else if (dice < 392) {
        step_reset(w);
    } else if (dice < 393) {
        start_gathering(w);
    } else if (dice >= 420) {
        step_file(w);
    } else if (dice >= 400) {
        step_rest(w);
    } else if (w->gathering >= 0) {
        step_gathering(w);
    }
}

/* No new accesses: do what is left in random order. False: there was nothing to do. */
static bool step_drain(struct world *w)
{
    bool did = false;

    if (w->gathering >= 0) {
        step_gathering(w);
        did = true;
    }
    if (chance(w, 4)) {
        step_clock(w);
    }
    if (chance(w, 2)) {
        did |= step_thread(w, false);
    }
    if (chance(w, 2)) {
        did |= step_released(w);
    }
    did |= step_deliver(w);
    return did;
}

static bool is_quiet(struct world *w)
{
    for (int i = 0; i < w->nodes; i++) {
        for (int t = 0; t < w->threads; t++) {
            if (w->node[i].threads[t].busy && !w->node[i].threads[t].waiting) {
                return false;
            }
        }
        for (int p = 0; p < w->pages; p++) {
            if (w->node[i].copies[p].releasing) {
                return false;
            }
        }
    }
    return true;
}

static void drain(struct world *w)
{
    uint64_t limit = w->steps + STEPS_TO_DRAIN;

    for (; step_drain(w) || step_clock(w) || !is_quiet(w); w->steps++) {
        check(w);
        if (w->steps > limit) {
            fail(w, "the schedule does not end");
        }
    }
    for (int i = 0; i < w->nodes; i++) {
        for (int t = 0; t < w->threads; t++) {
            if (w->node[i].threads[t].waiting) {
                fail(w, "node %d thread %d waits for page %d for ever", i, t,
                     w->node[i].threads[t].page);
            }
        }
    }
    if (w->resetting) {
        fail(w, "the reset does not end");
    }
}

/* Nothing is on its way: what the homes believe is what the nodes have. */
static void check_directories(struct world *w)
{
    for (int i = 0; i < w->nodes; i++) {
        struct listing l = {.w = w};

        for (int h = 0; h < w->nodes; h++) {
            dq_dir_list(w->node[h].dir, i, 0, UINT64_MAX, list_run, &l);
        }
        for (int p = 0; p < w->pages; p++) {
            bool held = false, here = w->node[i].copies[p].present;

            for (int n = 0; n < w->nodes; n++) {
                held |= w->node[n].copies[p].present;
            }
            if ((l.listed >> p & 1) != (held && !here)) {
                fail(w, "the directory is wrong about node %d and page %d", i, p);
            }
        }
    }
}

/* Every page still works: somebody writes it, somebody reads it. */
static void touch_everything(struct world *w)
{
    for (int p = 0; p < w->pages; p++) {
        for (int i = 0; i < 2; i++) {
            struct node *n = &w->node[draw(w, (uint64_t)w->nodes)];

            n->threads[0] = (struct thread){.busy = true, .write = i == 0, .page = p};
            run_thread(n, &n->threads[0]);
        }
    }
    for (int p = 0; p < w->pages; p++) {
        drain(w);
    }
}

static void own_everything(struct world *w)
{
    for (int p = 0; p < w->pages; p++) {
        for (int i = 0; i < w->nodes; i++) {
            dq_dir_own(w->node[i].dir, 0, w->page[p].number, 1);
        }
        dq_cache_own(w->node[0].cache, w->page[p].number, 1);
        w->node[0].copies[p] = (struct copy){.present = true, .writable = true};
    }
}

static void set_up(struct world *w)
{
    static const uint64_t holds[] = {0, 1, 50, 200};
    unsigned run = 1 + (unsigned)draw(w, MAX_WINDOW);
    uint64_t hold = holds[draw(w, G_N_ELEMENTS(holds))];

    w->nodes = 2 + (int)draw(w, MAX_NODES - 1);
    w->threads = 1 + (int)draw(w, MAX_THREADS);
    w->chunks = 1 + (int)draw(w, MAX_CHUNKS);
    /* a run does not leave the world: the window is a whole number of runs */
    w->window = (int)(run * (1 + draw(w, MAX_WINDOW / run)));
    w->pages = w->chunks * w->window;
    w->most_wish = w->window % 4 == 0 ? 2 : w->window % 2 == 0;
    w->refuses_release = chance(w, 2);
    w->now = 1;
    w->gathering = -1;
    for (int p = 0; p < w->pages; p++) {
        w->page[p].number =
            1000 * DQ_CHUNK_PAGES * (1 + (uint64_t)(p / w->window)) + (uint64_t)(p % w->window);
    }
    for (int i = 0; i < w->nodes; i++) {
        struct node *n = &w->node[i];

        n->w = w;
        n->number = i;
        n->dir = dq_dir_new(i, w->nodes, run, &dir_ops, n);
        n->cache = dq_cache_new(i, w->nodes, hold, &cache_ops, n);
        for (int to = 0; to < w->nodes; to++) {
            struct channel *c = &w->channel[i][to];

            c->head = 0;
            c->packets = c->packets ? g_array_set_size(c->packets, 0)
                                    : g_array_new(FALSE, FALSE, sizeof(struct packet));
        }
    }
    trace(w, "%d nodes, %d threads each, %d chunks of %d pages, runs of %u, hold %" PRIu64,
          w->nodes, w->threads, w->chunks, w->window, run, hold);
}

static void run_schedule(uint64_t seed, enum plant plant, bool trace)
{
    static struct world world;
    struct world *w = &world;
    struct channel channels[MAX_NODES][MAX_NODES];
    uint64_t steps;

    memcpy(channels, w->channel, sizeof(channels));
    memset(w, 0, sizeof(*w));
    memcpy(w->channel, channels, sizeof(channels));
    w->seed = seed;
    w->random = seed * 0xd1342543de82ef95ull + 1;
    w->plant = plant;
    w->trace = trace;
    set_up(w);
    if (chance(w, 3)) {
        own_everything(w);
    }
    if (chance(w, 2)) {
        reset(w, 0, w->pages - 1, true);
    }
    for (steps = 50 + draw(w, 400); w->steps < steps; w->steps++) {
        step(w);
        check(w);
    }
    drain(w);
    check_directories(w);
    touch_everything(w);
    check_directories(w);
    for (int i = 0; i < w->nodes; i++) {
        dq_dir_free(w->node[i].dir);
        dq_cache_free(w->node[i].cache);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: sim --seeds A..B | --seed S [--trace] [--plant FAULT] | --plants\n");
    return 2;
}

static enum plant plant_by_name(const char *name)
{
    for (unsigned i = 1; i < G_N_ELEMENTS(plants); i++) {
        if (g_strcmp0(plants[i].name, name) == 0) {
            return (enum plant)i;
        }
    }
    exit(usage());
}

int main(int argc, char **argv)
{
    uint64_t first = 1, last = 0;
    enum plant plant = PLANT_NONE;
    bool trace = false;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (!strcmp(argv[i], "--plants")) {
            for (unsigned p = 1; p < G_N_ELEMENTS(plants); p++) {
                printf("%s\t%s\n", plants[p].name, plants[p].help);
            }
            return 0;
        } else if (!strcmp(argv[i], "--trace")) {
            trace = true;
        } else if (!strcmp(argv[i], "--plant")) {
            plant = plant_by_name(value);
            i++;
        } else if (!strcmp(argv[i], "--seed")) {
            first = last = strtoull(value, NULL, 10);
            i++;
        } else if (!strcmp(argv[i], "--seeds") &&
                   sscanf(value, "%" SCNu64 "..%" SCNu64, &first, &last) == 2) {
            i++;
        } else {
            return usage();
        }
    }
    if (last < first) {
        return usage();
    }
    for (uint64_t seed = first; seed <= last; seed++) {
        run_schedule(seed, plant, trace);
    }
    printf("%" PRIu64 " schedules: no fault\n", last - first + 1);
    return 0;
}
