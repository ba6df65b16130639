/*
 * Page splitting under random schedules: the real coherence engine, splitter and mover, with the nodes'
 * tables, the memory, the threads, system calls that pin a page, calls that change the memory map,
 * the network and the clock made here.
 *
 * One step is one event: a thread looks at its node's table, or accesses the place that it has found
 * there; a message is delivered (each channel is FIFO, any channel may be next); the mover hears of a
 * page; a node has waited for all its threads that may know old addresses; time passes; somebody asks
 * for a split or a join; the map is changed. Every word that is read is compared with the last value
 * written, and at the end all bytes of all pages. An address in a slot is good for as long as the slot
 * is open: one that is used when the slot has been opened again is an error, whatever is there.
 *
 *   split_sim --seeds A..B [--plant FAULT]         run these schedules
 *   split_sim --seed S [--plant FAULT] --trace     replay one and print it
 *   split_sim --plants                             the faults that can be planted
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
#include "dqemu/mover.h"
#include "dqemu/splitter.h"

#define MAX_NODES 4
#define MAX_THREADS 3
#define GROUP 4  /* pages side by side: the longest run */
#define GUEST 8  /* pages of the guest, in two groups */
#define SLOTS 24 /* that a schedule uses at once */

/* The guest's pages, then shadow pages. */
#define PLACES (GUEST + SLOTS * (int)DQ_SPLIT_GRANULES)
#define WORDS (int)(DQ_PAGE_SIZE / sizeof(uint64_t))
#define NOWHERE (-1)
#define STEPS_TO_DRAIN 100000

/* Faults planted beside splitter and mover: the checks must see each of them. */
#define PLANTS(X)                                                                                  \
    X(PAGE_STAYS_OPEN, "page-stays-open", "a node closes a page, and it can still be accessed")    \
    X(GRANULES_STAY_OPEN, "granules-stay-open", "a node closes granules, and they can ...")        \
    X(UNSEEN_PIN, "unseen-pin", "a node closes a page that a system call needs")                   \
    X(LOST_ANSWER, "lost-answer", "a SPLIT_DONE is lost")                                          \
    X(LOST_JOIN, "lost-join", "a system call's wish for a join is lost")                           \
    X(LOST_ARRIVAL, "lost-arrival", "the mover does not hear of a page")                           \
    X(NO_EXCLUSION, "no-exclusion", "the map is changed before its pages are joined")              \
    X(EARLY_INCLUSION, "early-inclusion", "the exclusion ends before the pages are forbidden")     \
    X(EARLY_RETIREMENT, "early-retirement", "a node answers SPLIT_RETIRE at once")                 \
    X(LOST_RETIREMENT, "lost-retirement", "a node does not answer SPLIT_RETIRE")

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
    struct dq_msg_split split;
    struct dq_msg_range range; /* RESET */
    uint32_t pages;            /* MAP: a bit per page of the guest; allowed or forbidden */
    bool allow;
    uint8_t *data; /* the page, if it travels along */
};

struct channel {
    GArray *packets; /* struct packet */
    unsigned head;
};

struct copy {
    bool writable;
    uint8_t *bytes; /* NULL: not here */
};

enum table { OPEN, CLOSED, SPLIT };

struct entry {
    enum table state;
    uint32_t slot;
    unsigned shift;
    bool forbidden; /* by the map */
    unsigned pins;
};

struct thread {
    bool busy;    /* has an access to do */
    bool waiting; /* asleep in its fault */
    bool asked;   /* a system call: for a join, and waits for the page to be opened */
    bool pins;    /* it is a system call */
    bool write;
    int page, word;
    int place;       /* where the table says that it is */
    unsigned opened; /* ... in a slot: how often it had been opened then */
    unsigned stall;  /* it is not its turn for so many times */
    bool noted;      /* its node waits for it, to answer SPLIT_RETIRE */
};

struct node {
    struct world *w;
    int number;
    struct dq_dir *dir;
    struct dq_cache *cache;
    struct copy copies[PLACES];
    struct entry table[GUEST];
    bool page_open[GUEST], slot_open[SLOTS]; /* the host lets accesses pass */
    unsigned opened[SLOTS];                  /* how often */
    bool retires;                            /* SPLIT_RETIRE is to be answered */
    struct thread threads[MAX_THREADS];
    uint64_t timer; /* 0: none */
};

/* What the mover waits for, and what its node has put off. */
struct arrival {
    struct dq_mover *mover;
    int place;
    bool here;
};

enum call { NO_CALL, EXCLUDING, EXCLUDED, FORBIDDING, RESETTING, ALLOWING };

struct world {
    uint64_t seed, random;
    enum plant plant;
    bool trace;
    int nodes, threads, pages;
    uint64_t number[PLACES];
    uint64_t content[GUEST][WORDS]; /* the last value written to each word */
    struct node node[MAX_NODES];
    struct channel channel[MAX_NODES][MAX_NODES];
    uint64_t now, values, steps;
    struct dq_splitter *splitter;
    GArray *moves;    /* struct dq_msg_split: to begin */
    GArray *arrivals; /* struct arrival */
    enum call call;
    uint32_t changing;   /* pages of the map call */
    uint32_t to_exclude; /* ... that the splitter has not been told of */
    int unanswered;      /* of the map call's round */
    unsigned slots;      /* those below have been used */
    int retiring;        /* nodes that have not answered SPLIT_RETIRE */
    uint64_t retired;    /* joins up to the last SPLIT_RETIRE that was told */
    uint64_t freed;      /* ... up to the last that all have answered */
    uint64_t used_again; /* slots */
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
    printf(" (step %" PRIu64 "); replay with: build/tests/split_sim --seed %" PRIu64
           "%s%s --trace\n",
           w->steps, w->seed, w->plant ? " --plant " : "", w->plant ? plants[w->plant].name : "");
    exit(1);
}

static uint64_t shadow_of(const struct world *w, uint32_t slot)
{
    return w->number[GUEST + slot * DQ_SPLIT_GRANULES];
}

static int place_of(struct world *w, uint64_t number)
{
    if (number - w->number[GUEST] < PLACES - GUEST) {
        return GUEST + (int)(number - w->number[GUEST]);
    }
    for (int i = 0; i < GUEST; i++) {
        if (w->number[i] == number) {
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

static struct packet pop(struct channel *c)
{
    struct packet p = g_array_index(c->packets, struct packet, c->head);

    if (++c->head == c->packets->len) {
        g_array_set_size(c->packets, 0);
        c->head = 0;
    }
    return p;
}

/* ---------------------------------------- callbacks: home and node, as the pager does */

static void dir_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    struct node *n = ctx;

    push(n->w, n->number, to, (struct packet){.type = type, .m = *m});
}

static void dir_reset_done(void *ctx, uint64_t cookie)
{
    struct node *n = ctx;

    (void)cookie;
    push(n->w, n->number, 0, (struct packet){.type = DQ_MSG_RESET_DONE});
}

static const struct dq_dir_ops dir_ops = {.send = dir_send, .reset_done = dir_reset_done};

static void wake(struct node *n, int place)
{
    for (int t = 0; t < n->w->threads; t++) {
        if (n->threads[t].place == place) {
            n->threads[t].waiting = false;
        }
    }
}

static void cache_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m,
                       bool with_page)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[place_of(n->w, m->page)];
    struct packet p = {.type = type, .m = *m};

    if (type == DQ_MSG_DONE && to == n->number) {
        if (dq_dir_message(n->dir, to, type, m)) {
            fail(n->w, "node %d refuses its own DONE of page %" PRIx64, n->number, m->page);
        }
        return;
    }
    if (with_page) {
        if (!c->bytes || c->writable) {
            fail(n->w, "node %d sends page %" PRIx64 " too early", n->number, m->page);
        }
        p.data = g_memdup2(c->bytes, DQ_PAGE_SIZE);
    }
    push(n->w, n->number, to, p);
}

static void cache_install(void *ctx, uint64_t page, uint32_t count, const void *data, bool writable)
{
    struct node *n = ctx;

    for (uint32_t i = 0; i < count; i++) {
        int place = place_of(n->w, page + i);
        struct copy *c = &n->copies[place];

        if (c->bytes) {
            fail(n->w, "node %d installs page %" PRIx64 " twice", n->number, page + i);
        }
        c->bytes = data ? g_memdup2(data, DQ_PAGE_SIZE) : g_malloc0(DQ_PAGE_SIZE);
        c->writable = writable;
        wake(n, place);
    }
}

static void cache_make_writable(void *ctx, uint64_t page)
{
    struct node *n = ctx;
    int place = place_of(n->w, page);

    n->copies[place].writable = true;
    wake(n, place);
}

static void cache_make_readonly(void *ctx, uint64_t page)
{
    struct node *n = ctx;

    n->copies[place_of(n->w, page)].writable = false;
}

static void cache_drop(void *ctx, uint64_t page)
{
    struct node *n = ctx;
    struct copy *c = &n->copies[place_of(n->w, page)];

    g_free(c->bytes);
    *c = (struct copy){.bytes = NULL};
}

static bool cache_release(void *ctx, uint64_t page)
{
    (void)ctx;
    (void)page;
    return true;
}

static void cache_timer(void *ctx, uint64_t when)
{
    struct node *n = ctx;

    n->timer = when;
}

/* The mover hears of it later. */
static void cache_granted(void *ctx, uint64_t page, enum dq_page_state state)
{
    struct node *n = ctx;
    int place = place_of(n->w, page);

    for (guint i = 0; n->number == 0 && state == DQ_EXCLUSIVE && i < n->w->arrivals->len; i++) {
        struct arrival *a = &g_array_index(n->w->arrivals, struct arrival, i);

        if (a->place == place && !plant(n->w, PLANT_LOST_ARRIVAL)) {
            a->here = true;
        }
    }
}

static bool cache_fill(void *ctx, uint64_t page)
{
    (void)ctx, (void)page;
    return false; /* no page is of a file */
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

/* ------------------------------------------------ callbacks: the mover, on node 0 */

static bool mover_want(void *ctx, struct dq_mover *mover, uint64_t page)
{
    struct world *w = ctx;
    struct arrival a = {.mover = mover, .place = place_of(w, page)};

    if (dq_cache_want(w->node[0].cache, page, true, 0, w->now)) {
        return true;
    }
    g_array_append_val(w->arrivals, a);
    return false;
}

static bool mover_has(void *ctx, uint64_t page)
{
    struct world *w = ctx;

    return dq_cache_state(w->node[0].cache, page) == DQ_EXCLUSIVE;
}

/* What is not here reads as zeroes, and writing it does not make it be here: as the kernel has it. */
static void mover_read(void *ctx, uint64_t page, uint32_t count, void *to)
{
    struct world *w = ctx;

    for (uint32_t i = 0; i < count; i++) {
        struct copy *c = &w->node[0].copies[place_of(w, page + i)];
        uint8_t *at = (uint8_t *)to + (size_t)i * DQ_PAGE_SIZE;

        if (c->bytes) {
            memcpy(at, c->bytes, DQ_PAGE_SIZE);
        } else {
            memset(at, 0, DQ_PAGE_SIZE);
        }
    }
}

static void mover_write(void *ctx, uint64_t page, uint32_t count, const void *from)
{
    struct world *w = ctx;

    for (uint32_t i = 0; i < count; i++) {
        struct copy *c = &w->node[0].copies[place_of(w, page + i)];

        if (c->bytes) {
            memcpy(c->bytes, (const uint8_t *)from + (size_t)i * DQ_PAGE_SIZE, DQ_PAGE_SIZE);
        }
    }
}

static void mover_clear(void *ctx, uint64_t page, uint32_t count)
{
    struct world *w = ctx;

    for (uint32_t i = 0; i < count; i++) {
        struct copy *c = &w->node[0].copies[place_of(w, page + i)];

        if (c->bytes) {
            memset(c->bytes, 0, DQ_PAGE_SIZE);
        }
    }
}

static void mover_moved(void *ctx, struct dq_mover *mover)
{
    struct world *w = ctx;

    trace(w, "page %d is moved", place_of(w, mover->what.page));
    if (chance(w, 2)) {
        for (unsigned i = 0; i < DQ_PAGE_SIZE >> mover->what.shift; i++) {
            dq_cache_let_go(w->node[0].cache, mover->shadow + i, w->now, w->now);
            dq_cache_rest(w->node[0].cache, mover->shadow + i, w->now);
        }
    }
    dq_splitter_moved(w->splitter, mover->what.page);
    g_free(mover);
}

static const struct dq_mover_ops mover_ops = {
    .want = mover_want,
    .has = mover_has,
    .read = mover_read,
    .write = mover_write,
    .clear = mover_clear,
    .moved = mover_moved,
};

/* ------------------------------------------------ callbacks: the splitter, on node 0 */

/* Each slot is of a page that is split, or on the way, or waits until no thread can know it. */
static uint64_t slots_in_use(const struct world *w)
{
    struct dq_splitter_stats s = dq_splitter_stats(w->splitter);

    return s.pages + s.merges - w->freed;
}

static void splitter_tell(void *ctx, const struct dq_msg_split *m)
{
    struct world *w = ctx;

    if (m->op == DQ_SPLIT_RETIRE) {
        w->retired = dq_splitter_stats(w->splitter).merges;
        w->retiring = w->nodes;
    }
    if (m->op == DQ_SPLIT_CLOSE && m->slot >= slots_in_use(w)) {
        fail(w, "slot %u is taken, and a lower one is free", m->slot);
    }
    w->slots = MAX(w->slots, m->slot + 1);
    for (int i = 0; i < w->nodes; i++) {
        push(w, 0, i, (struct packet){.type = DQ_MSG_SPLIT, .split = *m});
    }
}

static void splitter_move(void *ctx, const struct dq_msg_split *m)
{
    struct world *w = ctx;

    g_array_append_vals(w->moves, m, 1);
}

static void splitter_excluded(void *ctx)
{
    struct world *w = ctx;

    if (w->call != EXCLUDING && w->plant != PLANT_NO_EXCLUSION) {
        fail(w, "excluded, and nobody has asked for it");
    }
    w->call = w->call == EXCLUDING ? EXCLUDED : w->call;
}

static const struct dq_splitter_ops splitter_ops = {
    .tell = splitter_tell,
    .move = splitter_move,
    .excluded = splitter_excluded,
};

/* ------------------------------------------------------------- the map call */

static void tell_map(struct world *w, bool allow)
{
    w->unanswered = w->nodes;
    for (int i = 0; i < w->nodes; i++) {
        push(w, 0, i, (struct packet){.type = DQ_MSG_MAP, .pages = w->changing, .allow = allow});
    }
}

static void reset_pages(struct world *w)
{
    for (int p = 0; p < GUEST; p++) {
        if (w->changing >> p & 1) {
            w->unanswered += w->nodes;
            for (int i = 0; i < w->nodes; i++) {
                struct packet r = {.type = DQ_MSG_RESET};

                r.range = (struct dq_msg_range){.page = w->number[p], .count = 1};
                push(w, 0, i, r);
            }
        }
    }
}

/* What the thread that changes the map does next. False: it waits, or there is none. */
static bool step_call(struct world *w)
{
    if (w->call == EXCLUDED && w->to_exclude) {
        int p = __builtin_ctz(w->to_exclude), count = 1;

        while (p + count < GUEST && (p + count) % GROUP && w->to_exclude >> (p + count) & 1) {
            count++;
        }
        w->to_exclude &= ~(((1u << count) - 1) << p);
        trace(w, "the map call excludes pages %d to %d", p, p + count - 1);
        w->call = EXCLUDING;
        dq_splitter_exclude(w->splitter, w->number[p], (uint64_t)count);
        return true;
    }
    if (w->call == EXCLUDED && plant(w, PLANT_EARLY_INCLUSION)) {
        dq_splitter_include(w->splitter);
        return true;
    }
    if (w->call == EXCLUDED || (w->call == EXCLUDING && plant(w, PLANT_NO_EXCLUSION))) {
        trace(w, "the map call forbids its pages");
        w->call = FORBIDDING;
        tell_map(w, false);
        return true;
    }
    return false;
}

/* All have answered. */
static void go_on_with_call(struct world *w)
{
    if (w->call == FORBIDDING) {
        w->call = RESETTING;
        reset_pages(w);
    } else if (w->call == RESETTING) {
        for (int p = 0; p < GUEST; p++) {
            if (w->changing >> p & 1) {
                memset(w->content[p], 0, sizeof(w->content[p]));
            }
        }
        w->call = ALLOWING;
        tell_map(w, true);
    } else if (w->call == ALLOWING) {
        trace(w, "the map call is over");
        w->call = NO_CALL;
        if (w->plant != PLANT_NO_EXCLUSION) {
            dq_splitter_include(w->splitter);
        }
    } else {
        fail(w, "an answer to a map call, and there is none");
    }
}

static void call_is_answered(struct world *w)
{
    if (--w->unanswered == 0) {
        go_on_with_call(w);
    }
}

static void start_call(struct world *w)
{
    if (w->call != NO_CALL) {
        return;
    }
    w->changing = 0;
    for (int ranges = 1 + (int)draw(w, 2); ranges > 0; ranges--) {
        int first = (int)draw(w, GUEST), last = first / GROUP * GROUP + GROUP - 1;

        last = first + (int)draw(w, (uint64_t)(last - first + 1));
        for (int p = first; p <= last; p++) {
            w->changing |= 1u << p;
        }
    }
    trace(w, "a map call for pages %x", w->changing);
    w->to_exclude = w->changing;
    w->call = EXCLUDED;
}

/* ------------------------------------------------------------- what a node is told */

/* Who sleeps in a fault there looks again, and traps. */
static void wake_accesses(struct node *n, int page)
{
    for (int t = 0; t < n->w->threads; t++) {
        if (n->threads[t].page == page) {
            n->threads[t].waiting = false;
        }
    }
}

static bool close_page(struct node *n, int page)
{
    struct entry *e = &n->table[page];

    e->state = CLOSED;
    if ((e->pins && !plant(n->w, PLANT_UNSEEN_PIN)) || e->forbidden) {
        return false;
    }
    n->page_open[page] = plant(n->w, PLANT_PAGE_STAYS_OPEN);
    wake_accesses(n, page);
    return true;
}

static void close_granules(struct node *n, int page)
{
    struct entry *e = &n->table[page];

    e->state = CLOSED;
    n->slot_open[e->slot] = plant(n->w, PLANT_GRANULES_STAY_OPEN);
    wake_accesses(n, page);
}

static void open_entry(struct node *n, int page, const struct dq_msg_split *m)
{
    struct entry *e = &n->table[page];

    e->state = m->op == DQ_SPLIT_OPEN ? SPLIT : OPEN;
    e->slot = m->slot;
    e->shift = m->shift;
    if (e->state == SPLIT) {
        n->slot_open[m->slot] = true;
        n->w->used_again += n->number == 0 && n->opened[m->slot];
        n->opened[m->slot]++;
    } else {
        n->page_open[page] = true;
    }
    for (int t = 0; t < n->w->threads; t++) {
        if (n->threads[t].page == page) {
            n->threads[t].asked = false;
        }
    }
}

/* Pages that are not open have places of their own in the node's table. */
static void check_place(struct node *n, int page)
{
    for (int p = 0; p < GUEST; p++) {
        if (p != page && n->table[p].state != OPEN &&
            n->w->number[p] % DQ_SPLIT_MOST == n->w->number[page] % DQ_SPLIT_MOST) {
            fail(n->w, "node %d: pages %d and %d have one place in the table", n->number, p, page);
        }
    }
}

/* Threads that have looked where a word is, and have not been there. */
static void on_retire(struct node *n)
{
    bool early = plant(n->w, PLANT_EARLY_RETIREMENT);

    for (int t = 0; t < n->w->threads; t++) {
        n->threads[t].noted = n->threads[t].busy && n->threads[t].place != NOWHERE && !early;
    }
    n->retires = !plant(n->w, PLANT_LOST_RETIREMENT);
}

static bool have_all_passed(const struct node *n)
{
    for (int t = 0; t < n->w->threads; t++) {
        if (n->threads[t].noted) {
            return false;
        }
    }
    return true;
}

/* Nodes answer SPLIT_RETIRE, if they may. */
static bool step_retire(struct world *w)
{
    struct packet p = {.type = DQ_MSG_SPLIT_DONE,
                       .split = {.op = DQ_SPLIT_RETIRE, .shift = DQ_SPLIT_LEAST_SHIFT}};
    bool did = false;

    for (int i = 0; i < w->nodes; i++) {
        struct node *n = &w->node[i];

        if (n->retires && have_all_passed(n)) {
            trace(w, "node %d: no thread knows old addresses", i);
            n->retires = false;
            push(w, i, 0, p);
            did = true;
        }
    }
    return did;
}

static void on_split(struct node *n, struct dq_msg_split m)
{
    static const enum table before[] = {OPEN, CLOSED, SPLIT, CLOSED};
    int page;

    if (m.op == DQ_SPLIT_RETIRE) {
        on_retire(n);
        return;
    }
    page = place_of(n->w, m.page);
    if (n->table[page].state != before[m.op]) {
        fail(n->w, "node %d is told %d of page %d, whose table says %d", n->number, m.op, page,
             n->table[page].state);
    }
    check_place(n, page);
    if (m.op == DQ_SPLIT_CLOSE) {
        m.refused = !close_page(n, page);
    } else if (m.op == DQ_JOIN_CLOSE) {
        close_granules(n, page);
    } else {
        open_entry(n, page, &m);
    }
    if (!plant(n->w, PLANT_LOST_ANSWER)) {
        push(n->w, n->number, 0, (struct packet){.type = DQ_MSG_SPLIT_DONE, .split = m});
    }
}

static void abandon(struct node *n, struct thread *t)
{
    n->table[t->page].pins -= t->pins;
    t->busy = t->noted = false;
}

static void on_map(struct node *n, uint32_t pages, bool allow)
{
    for (int p = 0; p < GUEST; p++) {
        if (pages >> p & 1) {
            n->table[p].forbidden = !allow;
        }
    }
    for (int t = 0; t < n->w->threads; t++) {
        if (n->threads[t].busy && pages >> n->threads[t].page & 1) {
            abandon(n, &n->threads[t]); /* a signal, or an error */
        }
    }
    push(n->w, n->number, 0, (struct packet){.type = DQ_MSG_MAPPED});
}

static void on_ask(struct world *w, const struct dq_msg_split *m)
{
    if (m->op == DQ_SPLIT_CLOSE && slots_in_use(w) < SLOTS) {
        dq_splitter_ask(w->splitter, m->page, m->shift, w->now);
    } else if (m->op == DQ_JOIN_CLOSE && m->left == DQ_SPLIT_REGRET) {
        dq_splitter_regret(w->splitter, m->page);
    } else if (m->op == DQ_JOIN_CLOSE) {
        dq_splitter_join(w->splitter, m->page);
    }
}

static int on_done(struct world *w, int from, const struct dq_msg_split *m)
{
    if (m->op == DQ_SPLIT_RETIRE && --w->retiring == 0) {
        w->freed = w->retired;
    }
    return dq_splitter_done(w->splitter, from, m, w->now);
}

static int handle(struct node *n, int from, struct packet *p)
{
    struct world *w = n->w;

    switch (p->type) {
    case DQ_MSG_SPLIT:
        on_split(n, p->split);
        return 0;
    case DQ_MSG_SPLIT_DONE:
        return on_done(w, from, &p->split);
    case DQ_MSG_SPLIT_ASK:
        on_ask(w, &p->split);
        return 0;
    case DQ_MSG_MAP:
        on_map(n, p->pages, p->allow);
        return 0;
    case DQ_MSG_MAPPED:
    case DQ_MSG_RESET_DONE:
        call_is_answered(w);
        return 0;
    case DQ_MSG_RESET:
        dq_dir_reset(n->dir, p->range.page, p->range.count, false, 0);
        return 0;
    case DQ_MSG_GET_S:
    case DQ_MSG_GET_X:
    case DQ_MSG_DONE:
    case DQ_MSG_RACK:
        return dq_dir_message(n->dir, from, p->type, &p->m);
    default:
        return dq_cache_message(n->cache, from, p->type, &p->m, p->data, w->now);
    }
}

static void deliver(struct world *w, int from, int to)
{
    struct channel *c = &w->channel[from][to];
    struct packet p;

    p = pop(c);
    trace(w,
          "%d -> %d %s page %" PRIx64 " count %u node %u; split: page %" PRIx64 " op %u slot %u "
          "shift %u refused %u",
          from, to, message_names[p.type], p.m.page, p.m.count, p.m.node, p.split.page, p.split.op,
          p.split.slot, p.split.shift, p.split.refused);
    if (handle(&w->node[to], from, &p)) {
        fail(w, "node %d refuses %s of page %" PRIx64 " from node %d", to, message_names[p.type],
             p.type == DQ_MSG_SPLIT_DONE ? p.split.page : p.m.page, from);
    }
    g_free(p.data);
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

/* ------------------------------------------------------------- threads */

static void access_word(struct node *n, struct thread *t)
{
    struct world *w = n->w;
    uint64_t *last = &w->content[t->page][t->word];
    uint64_t *here = (uint64_t *)(void *)n->copies[t->place].bytes + t->word;

    if (t->write) {
        *here = *last = ++w->values;
    }
    trace(w, "node %d thread %d %s word %d of page %d at place %d: %" PRIu64, n->number,
          (int)(t - n->threads), t->write ? "writes" : "reads", t->word, t->page, t->place, *here);
    if (*here != *last) {
        fail(w, "node %d reads %" PRIu64 " instead of %" PRIu64 " in word %d of page %d, place %d",
             n->number, *here, *last, t->word, t->page, t->place);
    }
    n->table[t->page].pins -= t->pins;
    t->busy = t->noted = false;
}

static void ask_master(struct world *w, int node, int page, struct dq_msg_split m)
{
    m.page = w->number[page];
    push(w, node, 0, (struct packet){.type = DQ_MSG_SPLIT_ASK, .split = m});
}

static void want_join(struct node *n, struct thread *t)
{
    trace(n->w, "node %d thread %d wants page %d joined", n->number, (int)(t - n->threads),
          t->page);
    t->asked = true;
    if (!plant(n->w, PLANT_LOST_JOIN)) {
        ask_master(n->w, n->number, t->page, (struct dq_msg_split){.op = DQ_JOIN_CLOSE});
    }
}

/* Where does the node's table say that the word is? False: it has to wait. */
static bool look(struct node *n, struct thread *t)
{
    const struct entry *e = &n->table[t->page];
    unsigned granule = (unsigned)t->word * sizeof(uint64_t) >> e->shift;

    if (e->forbidden) {
        abandon(n, t);
        return true;
    }
    if (t->pins && e->state == SPLIT && !t->asked) {
        want_join(n, t);
        return true;
    }
    if (e->state == CLOSED || t->asked) {
        return false;
    }
    t->place = e->state == SPLIT ? (int)(GUEST + e->slot * DQ_SPLIT_GRANULES + granule) : t->page;
    t->opened = e->state == SPLIT ? n->opened[e->slot] : 0;
    t->stall = e->state == SPLIT && chance(n->w, 8) ? (unsigned)draw(n->w, 100) : 0;
    trace(n->w, "node %d thread %d finds word %d of page %d at place %d", n->number,
          (int)(t - n->threads), t->word, t->page, t->place);
    return true;
}

static bool may_access(const struct copy *c, const struct thread *t)
{
    return c->bytes && (c->writable || !t->write);
}

static int slot_at(int place)
{
    return (place - GUEST) / (int)DQ_SPLIT_GRANULES;
}

/* However long ago the thread has found the place: does the host let the access pass now? */
static bool is_open(const struct node *n, int place)
{
    return place < GUEST ? n->page_open[place] : n->slot_open[slot_at(place)];
}

static void check_address(const struct node *n, const struct thread *t)
{
    if (t->place >= GUEST && t->opened != n->opened[slot_at(t->place)]) {
        fail(n->w, "node %d: an old address, of page %d, reaches slot %d, which is open again",
             n->number, t->page, slot_at(t->place));
    }
}

/* It traps: it begins anew. What the kernel does for a system call cannot. */
static bool step_trap(struct node *n, struct thread *t)
{
    trace(n->w, "node %d thread %d traps at place %d", n->number, (int)(t - n->threads), t->place);
    if (t->pins) {
        fail(n->w, "node %d: a system call meets page %d, which is closed", n->number, t->page);
    }
    t->place = NOWHERE;
    t->noted = false;
    return true;
}

static bool run_thread(struct node *n, struct thread *t)
{
    struct world *w = n->w;

    if (t->place == NOWHERE) {
        return look(n, t);
    }
    if (!is_open(n, t->place)) {
        return step_trap(n, t);
    }
    check_address(n, t);
    if (may_access(&n->copies[t->place], t) ||
        dq_cache_want(n->cache, w->number[t->place], t->write, (unsigned)draw(w, 3), w->now)) {
        access_word(n, t);
    } else {
        t->waiting = true;
    }
    return true;
}

/* A few words that lie in many granules, or in few. */
static int draw_word(struct world *w)
{
    return chance(w, 4) ? (int)draw(w, WORDS) : (int)draw(w, 4) * (WORDS / 4) + (int)draw(w, 2);
}

/* One thread that can run, does; it chooses what if `fresh` allows new accesses. */
static bool step_thread(struct world *w, bool fresh)
{
    struct node *n = &w->node[draw(w, (uint64_t)w->nodes)];
    struct thread *t = &n->threads[draw(w, (uint64_t)w->threads)];

    if (t->waiting || (!t->busy && !fresh)) {
        return false;
    }
    if (t->busy && t->stall) {
        t->stall--;
        return true;
    }
    if (!t->busy) {
        *t = (struct thread){
            .busy = true, .write = chance(w, 2), .pins = chance(w, 8), .place = NOWHERE};
        t->page = (int)draw(w, (uint64_t)w->pages);
        t->word = draw_word(w);
        n->table[t->page].pins += t->pins;
    }
    return run_thread(n, t);
}

/* ------------------------------------------------------------- other events */

/* What node 0 has put off: a move begins, or goes on. */
static bool step_mover(struct world *w)
{
    if (w->moves->len && chance(w, 2)) {
        struct dq_msg_split m = g_array_index(w->moves, struct dq_msg_split, 0);

        g_array_remove_index(w->moves, 0);
        trace(w, "page %d is going to be moved", place_of(w, m.page));
        dq_mover_start(g_new(struct dq_mover, 1), &m, shadow_of(w, m.slot), &mover_ops, w);
        return true;
    }
    for (guint i = 0; i < w->arrivals->len; i++) {
        struct arrival a = g_array_index(w->arrivals, struct arrival, i);

        if (a.here) {
            trace(w, "the mover hears of place %d", a.place);
            g_array_remove_index(w->arrivals, i);
            dq_mover_came(a.mover);
            return true;
        }
    }
    return w->moves->len > 0;
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
            n->timer = 0;
            dq_cache_tick(n->cache, w->now);
        }
    }
    return timers;
}

static void step_rest(struct world *w)
{
    struct node *n = &w->node[draw(w, (uint64_t)w->nodes)];

    dq_cache_rest(n->cache, w->number[draw(w, GUEST + w->slots * DQ_SPLIT_GRANULES)], w->now);
}

/* Small granules mean many pages to move: they come less often. */
static unsigned draw_shift(struct world *w)
{
    static const unsigned shifts[] = {11, 11, 11, 11, 10, 10, 10, 10, 9, 9, 8, 7};

    return chance(w, 40) ? DQ_SPLIT_LEAST_SHIFT : shifts[draw(w, G_N_ELEMENTS(shifts))];
}

static void step_ask(struct world *w, enum dq_split_op op)
{
    int node = (int)draw(w, (uint64_t)w->nodes), page = (int)draw(w, (uint64_t)w->pages);
    struct dq_msg_split m = {.op = (uint8_t)op, .shift = (uint8_t)draw_shift(w)};

    m.left = op == DQ_JOIN_CLOSE && chance(w, 16) ? DQ_SPLIT_REGRET : 0;
    ask_master(w, node, page, m);
}

/* ---------------------------------------------------------- schedules */

static void step(struct world *w)
{
    uint64_t dice = draw(w, 430);

    if (dice < 220) {
        step_deliver(w);
    } else if (dice < 360) {
        step_thread(w, true);
    } else if (dice < 380) {
        step_clock(w);
    } else if (dice < 400) {
        step_mover(w);
    } else if (dice < 410) {
        step_ask(w, DQ_SPLIT_CLOSE);
    } else if (dice < 414) {
        step_ask(w, DQ_JOIN_CLOSE);
    } else if (dice < 416) {
        start_call(w);
    } else if (dice < 422) {
        step_call(w);
    } else if (dice < 426) {
        step_retire(w);
    } else {
        step_rest(w);
    }
}

/* Nothing new: do what is left in random order. False: there was nothing to do. */
static bool step_drain(struct world *w)
{
    bool did = false;

    if (chance(w, 4)) {
        step_clock(w);
    }
    if (chance(w, 2)) {
        did |= step_thread(w, false);
    }
    if (chance(w, 2)) {
        did |= step_mover(w);
        did |= step_call(w);
        did |= step_retire(w);
    }
    did |= step_deliver(w);
    return did;
}

/* Is there somebody who could do something, if it were his turn? */
static bool is_quiet(struct world *w)
{
    for (guint i = 0; i < w->arrivals->len; i++) {
        if (g_array_index(w->arrivals, struct arrival, i).here) {
            return false;
        }
    }
    for (int i = 0; i < w->nodes; i++) {
        if (w->node[i].retires && have_all_passed(&w->node[i])) {
            return false;
        }
        for (int t = 0; t < w->threads; t++) {
            const struct thread *at = &w->node[i].threads[t];

            if (at->busy && !at->waiting && !at->asked &&
                w->node[i].table[at->page].state != CLOSED) {
                return false;
            }
        }
    }
    return !w->moves->len && w->call != EXCLUDED;
}

/* Everything is done, and nobody waits. */
static void check_end(struct world *w)
{
    for (int i = 0; i < w->nodes; i++) {
        for (int t = 0; t < w->threads; t++) {
            if (w->node[i].threads[t].busy) {
                fail(w, "node %d thread %d waits for page %d for ever", i, t,
                     w->node[i].threads[t].page);
            }
        }
        for (int p = 0; p < GUEST; p++) {
            if (w->node[i].table[p].state == CLOSED || w->node[i].table[p].pins) {
                fail(w, "node %d: page %d stays closed, or pinned", i, p);
            }
            if (w->node[i].table[p].state != w->node[0].table[p].state) {
                fail(w, "nodes 0 and %d do not agree about page %d", i, p);
            }
        }
    }
    if (w->call != NO_CALL) {
        fail(w, "the map call does not end");
    }
    if (w->arrivals->len) {
        fail(w, "the mover waits for ever");
    }
    if (w->retiring) {
        fail(w, "%d nodes do not answer SPLIT_RETIRE", w->retiring);
    }
}

static void drain(struct world *w)
{
    uint64_t limit = w->steps + STEPS_TO_DRAIN;

    for (; step_drain(w) || step_clock(w) || !is_quiet(w); w->steps++) {
        if (w->steps > limit) {
            fail(w, "the schedule does not end");
        }
    }
    check_end(w);
}

static void check_content(struct world *w, int page, const uint64_t *there)
{
    static const uint64_t zeroes[WORDS];

    for (int i = 0; i < WORDS; i++) {
        if ((there ? there : zeroes)[i] != w->content[page][i]) {
            fail(w, "word %d of page %d is %" PRIu64 " instead of %" PRIu64 " at the end", i, page,
                 (there ? there : zeroes)[i], w->content[page][i]);
        }
    }
}

/* All pages are joined: every copy of each is what was written to it. */
static void check_pages(struct world *w)
{
    w->changing = w->to_exclude = (1u << GUEST) - 1;
    w->call = EXCLUDED;
    while (w->call != EXCLUDED || w->to_exclude) {
        if (!step_call(w) && !step_drain(w) && !step_clock(w) && is_quiet(w)) {
            fail(w, "the last exclusion does not end");
        }
        w->steps++;
    }
    w->call = NO_CALL;
    dq_splitter_include(w->splitter);
    drain(w);
    if (dq_splitter_stats(w->splitter).pages || dq_splitter_stats(w->splitter).shadow) {
        fail(w, "pages are split in spite of the exclusion");
    }
    for (int p = 0; p < GUEST; p++) {
        bool some = false;

        for (int i = 0; i < w->nodes; i++) {
            const uint8_t *bytes = w->node[i].copies[p].bytes;

            if (bytes) {
                check_content(w, p, (const uint64_t *)(const void *)bytes);
                some = true;
            }
        }
        if (!some) {
            check_content(w, p, NULL);
        }
    }
}

/* ------------------------------------------------------------- worlds */

/* The second group of pages may have the same places in the nodes' tables. */
static void lay_out(struct world *w)
{
    uint64_t second = (chance(w, 2) ? DQ_SPLIT_MOST : DQ_CHUNK_PAGES) * (1 + draw(w, 5));
    uint64_t shadow = (UINT64_C(1) << 30) + DQ_CHUNK_PAGES * draw(w, 8);

    for (int p = 0; p < GUEST; p++) {
        w->number[p] = 1000 * DQ_CHUNK_PAGES + (p < GROUP ? 0 : second) + (uint64_t)(p % GROUP);
    }
    for (int i = GUEST; i < PLACES; i++) {
        w->number[i] = shadow + (uint64_t)(i - GUEST);
    }
}

static void make_node(struct world *w, int i, unsigned run, uint64_t hold)
{
    struct node *n = &w->node[i];

    n->w = w;
    n->number = i;
    memset(n->page_open, true, sizeof(n->page_open));
    n->dir = dq_dir_new(i, w->nodes, run, &dir_ops, n);
    n->cache = dq_cache_new(i, w->nodes, hold, &cache_ops, n);
    for (int to = 0; to < w->nodes; to++) {
        w->channel[i][to].packets = g_array_new(FALSE, FALSE, sizeof(struct packet));
    }
}

static void set_up(struct world *w)
{
    static const uint64_t holds[] = {0, 1, 50}, cools[] = {0, 0, 100, 1000};
    uint64_t hold = holds[draw(w, G_N_ELEMENTS(holds))];
    unsigned run = 1u << draw(w, 3), most = 1 + (unsigned)draw(w, 3);
    unsigned retire = 1 + (unsigned)draw(w, 3);

    w->now = 1;
    w->nodes = 2 + (int)draw(w, MAX_NODES - 1);
    w->threads = 1 + (int)draw(w, MAX_THREADS);
    w->pages = 1 + (int)draw(w, GUEST);
    lay_out(w);
    for (int i = 0; i < w->nodes; i++) {
        make_node(w, i, run, hold);
    }
    w->splitter = dq_splitter_new(w->nodes, most, cools[draw(w, G_N_ELEMENTS(cools))], chance(w, 2),
                                  retire, &splitter_ops, w);
    w->moves = g_array_new(FALSE, FALSE, sizeof(struct dq_msg_split));
    w->arrivals = g_array_new(FALSE, FALSE, sizeof(struct arrival));
    trace(w,
          "%d nodes, %d threads each, %d pages, %u split at once, %u slots retired together, "
          "runs of %u, hold %" PRIu64,
          w->nodes, w->threads, w->pages, most, retire, run, hold);
}

static void tear_down(struct world *w)
{
    for (int i = 0; i < w->nodes; i++) {
        struct node *n = &w->node[i];

        dq_dir_free(n->dir);
        dq_cache_free(n->cache);
        for (int p = 0; p < PLACES; p++) {
            g_free(n->copies[p].bytes);
        }
        for (int to = 0; to < w->nodes; to++) {
            g_array_free(w->channel[i][to].packets, TRUE);
        }
    }
    dq_splitter_free(w->splitter);
    g_array_free(w->moves, TRUE);
    g_array_free(w->arrivals, TRUE);
}

/* What was done in all schedules: they would prove little if pages were hardly ever split. */
static uint64_t splits, merges, values, used_again;

static void run_schedule(uint64_t seed, enum plant plant, bool trace)
{
    static struct world world;
    struct world *w = &world;
    uint64_t steps;

    memset(w, 0, sizeof(*w));
    w->seed = seed;
    w->random = seed * 0xd1342543de82ef95ull + 1;
    w->plant = plant;
    w->trace = trace;
    set_up(w);
    for (steps = 500 + draw(w, 2500); w->steps < steps; w->steps++) {
        step(w);
    }
    drain(w);
    check_pages(w);
    splits += dq_splitter_stats(w->splitter).splits;
    merges += dq_splitter_stats(w->splitter).merges;
    values += w->values;
    used_again += w->used_again;
    tear_down(w);
}

static int usage(void)
{
    fprintf(stderr,
            "usage: split_sim --seeds A..B | --seed S [--trace] [--plant FAULT] | --plants\n");
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
    printf("%" PRIu64 " schedules: no fault; %" PRIu64 " splits, %" PRIu64
           " of them in slots used again, %" PRIu64 " joins, %" PRIu64 " writes\n",
           last - first + 1, splits, used_again, merges, values);
    return 0;
}
