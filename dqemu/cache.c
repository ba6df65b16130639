/*
 * The node side of the coherence engine: see coherence.h for the protocol's table.
 *
 * Page states stand in blocks of 64 pages, a few bits each, that exist only while one of their
 * pages is held. What is going on with a page (a request that is out, an answer that is due, a
 * hold time) stands in a side table, for as long as it goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/coherence.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "dqemu/assert.h"

#define BLOCK_PAGES 64u
#define MAX_PAGES (UINT64_C(1) << (64 - DQ_PAGE_BITS))
#define UNKNOWN (-1)
#define SWEEP_LEAST 64u

#define KEPT UINT64_MAX /* in place of the end of a hold time: see dq_cache_keep() */

/* A hold time may double so often; the own hold times of so many pages are remembered, as a power. */
#define MOST_DOUBLED 2u
#define KEPT_BITS 8u

/* A page that was written to after so many reads that moved it is taken to be, the next times. */
#define SURE_AFTER 2u
#define CHECKED_AFTER 8u /* so many of them: then it is Clean again for once, to see */

struct block {
    uint64_t held;     /* a bit per page: not Invalid */
    uint64_t writable; /* Exclusive */
    uint64_t clean;    /* Clean */
    uint64_t rested;   /* Clean by dq_cache_rest(): written to before */
};

struct active {
    uint64_t page;
    uint64_t arrived, hold; /* the page is not given away before this time */
    unsigned get;           /* DQ_MSG_GET_S or DQ_MSG_GET_X is out; 0: none */
    bool escalate;          /* write access was wanted while GET_S was out */
    int need, got;          /* GET_X: answers of holders; need comes with WAIT */
    unsigned due;           /* DQ_MSG_FETCH_* or INV is not answered yet; 0: none */
    unsigned due_to;
    bool was_clean; /* when it stopped being the only copy for the sake of `due` */
    bool releasing; /* release() said false, dq_cache_released() will come */
    GList link;     /* in dq_cache.due, if due */
};

/*
 * What was learned of a page that comes and goes as the only copy.
 *
 * How long it is to be held when it comes as the only copy. If it was wanted back soon after
 * it was given away, a longer hold time would have saved two transfers: a thread that had waited
 * for it had not run yet, say, because others had the processor, or it was the next to take the
 * lock. If not, the page was held in vain. "Soon" is within the longest hold time.
 *
 * Whether who reads it will write to it, as one does who takes a lock: then it need not come Clean,
 * which costs a local fault when it is written to.
 */
struct keep {
    uint64_t page;
    uint64_t given; /* when; 0: it was not, or that was heeded already */
    unsigned doubled;
    unsigned written; /* how often in a row it came Clean and was written to; up to SURE_AFTER */
    unsigned trusted; /* how often it came writable for that since it was Clean last */
};

struct dq_cache {
    int node, nodes;
    uint64_t hold_ns;
    struct keep keeps[1u << KEPT_BITS]; /* by a hash of the page; the later one stays */
    const struct dq_cache_ops *ops;
    void *ctx;
    uint64_t held;      /* pages that are not Invalid */
    GHashTable *blocks; /* page / BLOCK_PAGES -> struct block */
    GHashTable *active; /* &active->page -> struct active */
    unsigned sweep_at;  /* size of `active` at which entries whose hold time is over go */
    GQueue due;
    uint64_t timer; /* what was asked for last, 0: nothing */
    bool frozen;
};

/* ------------------------------------------------------------- states */

static gpointer block_key(uint64_t page)
{
    return (gpointer)(uintptr_t)(page / BLOCK_PAGES);
}

enum dq_page_state dq_cache_state(const struct dq_cache *c, uint64_t page)
{
    const struct block *b = g_hash_table_lookup(c->blocks, block_key(page));
    uint64_t bit = UINT64_C(1) << (page % BLOCK_PAGES);

    if (!b || !(b->held & bit)) {
        return DQ_INVALID;
    }
    if (b->writable & bit) {
        return DQ_EXCLUSIVE;
    }
    return b->clean & bit ? DQ_CLEAN : DQ_SHARED;
}

bool dq_cache_is_rested(const struct dq_cache *c, uint64_t page)
{
    const struct block *b = g_hash_table_lookup(c->blocks, block_key(page));

    return b && b->rested >> (page % BLOCK_PAGES) & 1;
}

/* The only copy, written to or not. */
static bool is_sole(const struct dq_cache *c, uint64_t page)
{
    return dq_cache_state(c, page) >= DQ_CLEAN;
}

static void set_state(struct dq_cache *c, uint64_t page, enum dq_page_state state)
{
    struct block *b = g_hash_table_lookup(c->blocks, block_key(page));
    uint64_t bit = UINT64_C(1) << (page % BLOCK_PAGES);

    if (!b) {
        b = g_new0(struct block, 1);
        g_hash_table_insert(c->blocks, block_key(page), b);
    }
    c->held -= b->held >> (page % BLOCK_PAGES) & 1;
    c->held += state != DQ_INVALID;
    b->held = state == DQ_INVALID ? b->held & ~bit : b->held | bit;
    b->writable = state == DQ_EXCLUSIVE ? b->writable | bit : b->writable & ~bit;
    b->clean = state == DQ_CLEAN ? b->clean | bit : b->clean & ~bit;
    b->rested &= ~bit;
    if (!b->held) {
        g_hash_table_remove(c->blocks, block_key(page));
    }
}

static struct active *active_of(const struct dq_cache *c, uint64_t page)
{
    return g_hash_table_lookup(c->active, &page);
}

static bool is_over(const struct active *a, uint64_t now)
{
    return !a->get && !a->due && a->hold <= now;
}

static gboolean is_over_at(gpointer key, gpointer value, gpointer now)
{
    (void)key;
    return is_over(value, *(uint64_t *)now);
}

static struct active *make_active(struct dq_cache *c, uint64_t page, uint64_t now)
{
    struct active *a = active_of(c, page);

    if (a) {
        return a;
    }
    if (g_hash_table_size(c->active) >= c->sweep_at) {
        g_hash_table_foreach_remove(c->active, is_over_at, &now);
        c->sweep_at = MAX(SWEEP_LEAST, 2 * g_hash_table_size(c->active));
    }
    a = g_new0(struct active, 1);
    a->page = page;
    a->need = UNKNOWN;
    a->link.data = a;
    g_hash_table_insert(c->active, &a->page, a);
    return a;
}

/* Only the hold time is left, or not even that: then forget it. */
static void settle(struct dq_cache *c, struct active *a, uint64_t now)
{
    if (is_over(a, now)) {
        g_hash_table_remove(c->active, &a->page);
    }
}

/* -------------------------------------------------------- hold times */

static struct keep *keep_of(struct dq_cache *c, uint64_t page)
{
    return &c->keeps[page * 0x9e3779b97f4a7c15ull >> (64 - KEPT_BITS)];
}

static uint64_t hold_time(struct dq_cache *c, uint64_t page)
{
    const struct keep *k = keep_of(c, page);

    return c->hold_ns << (k->page == page && is_sole(c, page) ? k->doubled : 0);
}

/* It is not the only copy any more. */
static void given_away(struct dq_cache *c, uint64_t page, bool clean, uint64_t now)
{
    struct keep *k = keep_of(c, page);

    if (k->page != page) {
        *k = (struct keep){.page = page};
    }
    k->given = now;
    if (clean) {
        k->written = k->trusted = 0;
    }
}

static void was_written(struct dq_cache *c, uint64_t page)
{
    struct keep *k = keep_of(c, page);

    if (k->page == page && !dq_cache_is_rested(c, page)) {
        k->written = MIN(k->written + 1, SURE_AFTER);
        k->trusted = 0;
    }
}

/* Will it be written to? */
static bool is_trusted(struct dq_cache *c, uint64_t page)
{
    struct keep *k = keep_of(c, page);

    return k->page == page && k->written == SURE_AFTER && k->trusted++ < CHECKED_AFTER;
}

static void wanted_back(struct dq_cache *c, uint64_t page, uint64_t now)
{
    struct keep *k = keep_of(c, page);

    if (k->page != page || !k->given) {
        return;
    }
    if (now - k->given <= c->hold_ns << MOST_DOUBLED) {
        k->doubled = MIN(k->doubled + 1, MOST_DOUBLED);
    } else if (k->doubled) {
        k->doubled--;
    }
    k->given = 0;
}

/* ------------------------------------------------------------ asking */

static void send(struct dq_cache *c, int to, unsigned type, uint64_t page, unsigned flags,
                 bool with_page)
{
    struct dq_msg_page m = {.page = page, .count = 1, .flags = (uint16_t)flags};

    c->ops->send(c->ctx, to, type, &m, with_page);
}

static void send_home(struct dq_cache *c, unsigned type, uint64_t page, unsigned flags)
{
    send(c, dq_home(page, c->nodes), type, page, flags, false);
}

static bool is_home(const struct dq_cache *c, uint64_t page)
{
    return dq_home(page, c->nodes) == c->node;
}

static void ask(struct dq_cache *c, struct active *a, unsigned type, unsigned wish, uint64_t now)
{
    a->get = type;
    a->escalate = false;
    wanted_back(c, a->page, now);
    send_home(c, type, a->page, wish);
}

/* Access without a message. */
static bool may_access(struct dq_cache *c, uint64_t page, bool write)
{
    enum dq_page_state state = dq_cache_state(c, page);

    if (state == DQ_CLEAN && write) {
        was_written(c, page);
        set_state(c, page, DQ_EXCLUSIVE);
        c->ops->make_writable(c->ctx, page);
        return true;
    }
    return state == DQ_EXCLUSIVE || (state != DQ_INVALID && !write);
}

bool dq_cache_want(struct dq_cache *c, uint64_t page, bool write, unsigned wish, uint64_t now)
{
    struct active *a;

    if (may_access(c, page, write)) {
        return true;
    }
    a = make_active(c, page, now);
    if (!a->get) {
        ask(c, a, write ? DQ_MSG_GET_X : DQ_MSG_GET_S, wish, now);
    } else if (write && a->get == DQ_MSG_GET_S) {
        a->escalate = true;
    }
    return false;
}

/* Access has arrived: keep it for the hold time. */
static void arrived(struct dq_cache *c, struct active *a, uint64_t now)
{
    a->arrived = now;
    a->hold = now + hold_time(c, a->page);
    c->ops->granted(c->ctx, a->page, dq_cache_state(c, a->page));
}

/* The request that is out has been answered. */
static void answered(struct dq_cache *c, struct active *a, uint64_t now)
{
    a->get = 0;
    a->need = UNKNOWN;
    a->got = 0;
    arrived(c, a, now);
    if (a->escalate && !may_access(c, a->page, true)) {
        ask(c, a, DQ_MSG_GET_X, 0, now);
    }
    settle(c, a, now);
}

/* Likewise, by others than the home, which waits for the end of it. */
static void answered_done(struct dq_cache *c, struct active *a, unsigned flags, uint64_t now)
{
    send_home(c, DQ_MSG_DONE, a->page, flags);
    answered(c, a, now);
}

/* Likewise, by the page from a node that may be the home. */
static void answered_by(struct dq_cache *c, struct active *a, int from, unsigned flags,
                        uint64_t now)
{
    if (from == dq_home(a->page, c->nodes)) {
        answered(c, a, now);
    } else {
        answered_done(c, a, flags, now);
    }
}

static void upgrade(struct dq_cache *c, const struct active *a)
{
    set_state(c, a->page, DQ_EXCLUSIVE);
    c->ops->make_writable(c->ctx, a->page);
}

/* ------------------------------------------------------ giving away */

static void arm(struct dq_cache *c, uint64_t when)
{
    if (!c->timer || when < c->timer) {
        c->timer = when;
        c->ops->timer(c->ctx, when);
    }
}

static void answer_is_out(struct dq_cache *c, struct active *a, uint64_t now)
{
    a->due = 0;
    g_queue_unlink(&c->due, &a->link);
    settle(c, a, now);
}

static void send_page(struct dq_cache *c, const struct active *a, unsigned type, unsigned flags)
{
    send(c, (int)a->due_to, type, a->page, flags, true);
}

/* With the page that the home itself has sent, the home is done (see coherence.h). */
static void home_is_done(struct dq_cache *c, const struct active *a, unsigned flags)
{
    if (is_home(c, a->page)) {
        send_home(c, DQ_MSG_DONE, a->page, flags);
    }
}

/*
 * Drop the page and say so: neither an ACK nor the page may be on its way while the old copy can be
 * read, so nothing comes between page and drop.
 */
static void surrender(struct dq_cache *c, struct active *a, uint64_t now)
{
    unsigned flags = a->due == DQ_MSG_FETCH_M && a->was_clean ? DQ_PAGE_CLEAN : 0;

    if (a->due != DQ_MSG_INV) {
        send_page(c, a, a->due == DQ_MSG_FETCH_X ? DQ_MSG_DATA_X : DQ_MSG_DATA_M, flags);
    }
    set_state(c, a->page, DQ_INVALID);
    c->ops->drop(c->ctx, a->page);
    if (a->due == DQ_MSG_INV && a->due_to == DQ_NODE_MAP) {
        send_home(c, DQ_MSG_RACK, a->page, 0);
    } else if (a->due == DQ_MSG_INV) {
        send(c, (int)a->due_to, DQ_MSG_ACK, a->page, 0, false);
    } else if (a->due == DQ_MSG_FETCH_M) {
        home_is_done(c, a, flags);
    }
    answer_is_out(c, a, now);
}

/*
 * True if the page must stay as it is for now. A read copy is given out at any time; a reset
 * does not wait for the hold time, since nobody may use the page any more.
 */
static bool must_wait(struct dq_cache *c, const struct active *a, uint64_t now)
{
    bool reads = a->due == DQ_MSG_FETCH_S;

    if (reads && dq_cache_state(c, a->page) == DQ_SHARED) {
        return false;
    }
    if (a->releasing || (c->frozen && !reads)) {
        return true;
    }
    if (a->hold > now && a->due_to != DQ_NODE_MAP && !c->frozen) {
        if (a->hold != KEPT) {
            arm(c, a->hold);
        }
        return true;
    }
    return false;
}

/* Answer what is due for the page, if that may be now. May free `a`. */
static void give(struct dq_cache *c, struct active *a, uint64_t now)
{
    if (must_wait(c, a, now)) {
        return;
    }
    a->was_clean |= dq_cache_state(c, a->page) == DQ_CLEAN && !dq_cache_is_rested(c, a->page);
    if (is_sole(c, a->page) && a->due_to != DQ_NODE_MAP) {
        given_away(c, a->page, a->was_clean, now);
    }
    if (dq_cache_state(c, a->page) == DQ_EXCLUSIVE) {
        c->ops->make_readonly(c->ctx, a->page);
    }
    set_state(c, a->page, DQ_SHARED);
    if (a->due == DQ_MSG_FETCH_S) {
        send_page(c, a, DQ_MSG_DATA_S, 0);
        home_is_done(c, a, 0);
        answer_is_out(c, a, now);
    } else if (c->ops->release(c->ctx, a->page)) {
        surrender(c, a, now);
    } else {
        a->releasing = true;
    }
}

static void give_all(struct dq_cache *c, uint64_t now)
{
    GList *next;

    for (GList *l = c->due.head; l; l = next) {
        next = l->next;
        give(c, l->data, now);
    }
}

void dq_cache_released(struct dq_cache *c, uint64_t page, uint64_t now)
{
    struct active *a = active_of(c, page);

    dq_assert(a && a->releasing);
    a->releasing = false;
    if (!c->frozen) {
        surrender(c, a, now);
    }
}

void dq_cache_keep(struct dq_cache *c, uint64_t page, uint64_t now)
{
    dq_assert(dq_cache_state(c, page) == DQ_EXCLUSIVE);
    make_active(c, page, now)->hold = KEPT;
}

void dq_cache_let_go(struct dq_cache *c, uint64_t page, uint64_t when, uint64_t now)
{
    struct active *a = active_of(c, page);

    if (!a || a->hold <= now || when < a->arrived) {
        return;
    }
    a->hold = now;
    if (a->due) {
        give(c, a, now);
    } else {
        settle(c, a, now);
    }
}

bool dq_cache_rest(struct dq_cache *c, uint64_t page, uint64_t now)
{
    const struct active *a = active_of(c, page);
    struct block *b;

    if (dq_cache_state(c, page) != DQ_EXCLUSIVE || (a && a->hold > now)) {
        return false;
    }
    c->ops->make_readonly(c->ctx, page);
    set_state(c, page, DQ_CLEAN);
    b = g_hash_table_lookup(c->blocks, block_key(page));
    b->rested |= UINT64_C(1) << (page % BLOCK_PAGES);
    return true;
}

bool dq_cache_holds_back(const struct dq_cache *c)
{
    return c->timer != 0;
}

void dq_cache_tick(struct dq_cache *c, uint64_t now)
{
    c->timer = 0;
    give_all(c, now);
}

void dq_cache_freeze(struct dq_cache *c)
{
    c->frozen = true;
}

void dq_cache_thaw(struct dq_cache *c, uint64_t now)
{
    c->frozen = false;
    give_all(c, now);
}

/* ---------------------------------------------------------- messages */

/*
 * GRANT_ZERO: every page of the run is Invalid here, whether we asked for it or not. Where it is a page
 * of a file, it is granted alone.
 */
static int on_grant_zero(struct dq_cache *c, const struct dq_msg_page *m, uint64_t now)
{
    struct active *asked = active_of(c, m->page + m->flags);
    bool file = m->node == DQ_NODE_FILE;
    struct active *a;

    if (m->count == 0 || m->flags >= m->count || (m->node && !file) || (file && m->count != 1) ||
        m->page % DQ_CHUNK_PAGES + m->count > DQ_CHUNK_PAGES || !asked || !asked->get ||
        asked->need != UNKNOWN || asked->got) {
        return -EPROTO;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        if (dq_cache_state(c, m->page + i) != DQ_INVALID) {
            return -EPROTO;
        }
    }
    if (file && !c->ops->fill(c->ctx, m->page)) {
        return -EPROTO;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        set_state(c, m->page + i, DQ_EXCLUSIVE);
    }
    if (!file) {
        c->ops->install(c->ctx, m->page, m->count, NULL, true);
    }
    for (uint32_t i = 0; i < m->count; i++) {
        a = active_of(c, m->page + i);
        if (a == asked) {
            answered(c, a, now);
        } else if (a && a->get) {
            a->escalate = false;
            arrived(c, a, now);
        }
    }
    return 0;
}

static int on_grant_up(struct dq_cache *c, struct active *a, uint64_t now)
{
    enum dq_page_state state;

    if (!a || !a->get || a->need != UNKNOWN || a->got || a->due) {
        return -EPROTO;
    }
    state = dq_cache_state(c, a->page);
    if (state == DQ_INVALID || (state == DQ_SHARED && a->get != DQ_MSG_GET_X)) {
        return -EPROTO;
    }
    if (state == DQ_SHARED) {
        upgrade(c, a);
    }
    answered(c, a, now);
    return 0;
}

static bool counts_answers(const struct active *a)
{
    return a && a->get == DQ_MSG_GET_X && !a->due;
}

static int on_wait(struct dq_cache *c, struct active *a, uint32_t count, uint64_t now)
{
    if (!counts_answers(a) || a->need != UNKNOWN || count == 0 || count >= (uint32_t)c->nodes ||
        (uint32_t)a->got > count) {
        return -EPROTO;
    }
    if (is_sole(c, a->page) ||
        ((uint32_t)a->got == count && dq_cache_state(c, a->page) != DQ_SHARED)) {
        return -EPROTO;
    }
    a->need = (int)count;
    if (a->got == a->need) {
        upgrade(c, a);
        answered_done(c, a, 0, now);
    }
    return 0;
}

/* Without WAIT we do not know yet how many; there cannot be more than the others. */
static bool one_more_expected(const struct dq_cache *c, const struct active *a)
{
    return a->got < (a->need == UNKNOWN ? c->nodes - 1 : a->need);
}

static int on_ack(struct dq_cache *c, struct active *a, uint64_t now)
{
    bool last = counts_answers(a) && a->got + 1 == a->need;
    enum dq_page_state state;

    if (!counts_answers(a) || !one_more_expected(c, a)) {
        return -EPROTO;
    }
    state = dq_cache_state(c, a->page);
    if (is_sole(c, a->page) || (last && state != DQ_SHARED)) {
        return -EPROTO;
    }
    a->got++;
    if (last) {
        upgrade(c, a);
        answered_done(c, a, 0, now);
    }
    return 0;
}

/* Until the last answer, the page may be read: the other copies that still exist equal it. */
static int on_data_x(struct dq_cache *c, struct active *a, const void *data, uint64_t now)
{
    bool last = counts_answers(a) && a->got + 1 == a->need;

    if (!counts_answers(a) || !one_more_expected(c, a) || !data ||
        dq_cache_state(c, a->page) != DQ_INVALID) {
        return -EPROTO;
    }
    a->got++;
    set_state(c, a->page, last ? DQ_EXCLUSIVE : DQ_SHARED);
    c->ops->install(c->ctx, a->page, 1, data, last);
    if (last) {
        answered_done(c, a, 0, now);
    } else {
        arrived(c, a, now);
    }
    return 0;
}

/* Who only reads gets it Clean: who fetches it next learns whether it was written to. */
static int on_data_m(struct dq_cache *c, struct active *a, int from, unsigned flags,
                     const void *data, uint64_t now)
{
    bool write;

    if (!a || !a->get || a->due || a->got || a->need != UNKNOWN || !data ||
        (flags & ~DQ_PAGE_CLEAN) || dq_cache_state(c, a->page) != DQ_INVALID) {
        return -EPROTO;
    }
    write = a->get == DQ_MSG_GET_X || a->escalate || is_trusted(c, a->page);
    set_state(c, a->page, write ? DQ_EXCLUSIVE : DQ_CLEAN);
    c->ops->install(c->ctx, a->page, 1, data, write);
    answered_by(c, a, from, flags, now);
    return 0;
}

/* A run that was granted meanwhile, and shared since, may have brought the page before. */
static int on_data_s(struct dq_cache *c, struct active *a, int from, const void *data, uint64_t now)
{
    if (!a || a->get != DQ_MSG_GET_S || a->due || !data || is_sole(c, a->page)) {
        return -EPROTO;
    }
    if (dq_cache_state(c, a->page) == DQ_INVALID) {
        set_state(c, a->page, DQ_SHARED);
        c->ops->install(c->ctx, a->page, 1, data, false);
    }
    answered_by(c, a, from, 0, now);
    return 0;
}

/*
 * An untouched page of a file counts as this node's if another wants it: it is Exclusive here, from now
 * on, as if it had been granted before. False: it is none.
 */
static bool own_file(struct dq_cache *c, unsigned type, uint64_t page)
{
    if ((type != DQ_MSG_FETCH_S && type != DQ_MSG_FETCH_M) || !c->ops->fill(c->ctx, page)) {
        return false;
    }
    set_state(c, page, DQ_EXCLUSIVE);
    return true;
}

static int on_demand(struct dq_cache *c, unsigned type, const struct dq_msg_page *m, uint64_t now)
{
    struct active *a = active_of(c, m->page);
    bool to_map = type == DQ_MSG_INV && m->node == DQ_NODE_MAP;

    if ((a && (a->due || a->got || a->need != UNKNOWN)) ||
        (!to_map && (m->node >= c->nodes || m->node == c->node))) {
        return -EPROTO;
    }
    if (dq_cache_state(c, m->page) == DQ_INVALID && !own_file(c, type, m->page)) {
        return -EPROTO;
    }
    if (type == DQ_MSG_FETCH_M && !is_sole(c, m->page)) {
        return -EPROTO;
    }
    a = make_active(c, m->page, now);
    a->due = type;
    a->due_to = m->node;
    a->was_clean = false;
    g_queue_push_tail_link(&c->due, &a->link);
    give(c, a, now);
    return 0;
}

int dq_cache_message(struct dq_cache *c, int from, unsigned type, const struct dq_msg_page *m,
                     const void *data, uint64_t now)
{
    bool from_home;

    if (from < 0 || from >= c->nodes || m->page >= MAX_PAGES) {
        return -EPROTO;
    }
    from_home = from == dq_home(m->page, c->nodes);
    switch (type) {
    case DQ_MSG_GRANT_ZERO:
        return from_home ? on_grant_zero(c, m, now) : -EPROTO;
    case DQ_MSG_GRANT_UP:
        return from_home ? on_grant_up(c, active_of(c, m->page), now) : -EPROTO;
    case DQ_MSG_WAIT:
        return from_home ? on_wait(c, active_of(c, m->page), m->count, now) : -EPROTO;
    case DQ_MSG_FETCH_S:
    case DQ_MSG_FETCH_X:
    case DQ_MSG_FETCH_M:
    case DQ_MSG_INV:
        return from_home ? on_demand(c, type, m, now) : -EPROTO;
    case DQ_MSG_DATA_S:
        return from != c->node ? on_data_s(c, active_of(c, m->page), from, data, now) : -EPROTO;
    case DQ_MSG_DATA_X:
        return from != c->node ? on_data_x(c, active_of(c, m->page), data, now) : -EPROTO;
    case DQ_MSG_DATA_M:
        return from != c->node ? on_data_m(c, active_of(c, m->page), from, m->flags, data, now)
                               : -EPROTO;
    case DQ_MSG_ACK:
        return from != c->node ? on_ack(c, active_of(c, m->page), now) : -EPROTO;
    default:
        return -EPROTO;
    }
}

/* ------------------------------------------------------------- life */

void dq_cache_own(struct dq_cache *c, uint64_t page, uint64_t count)
{
    for (uint64_t p = page; p < page + count; p++) {
        dq_assert(dq_cache_state(c, p) == DQ_INVALID && !active_of(c, p));
        set_state(c, p, DQ_EXCLUSIVE);
    }
}

struct dq_cache *dq_cache_new(int node, int nodes, uint64_t hold_ns, const struct dq_cache_ops *ops,
                              void *ctx)
{
    struct dq_cache *c = g_new0(struct dq_cache, 1);

    dq_assert(node >= 0 && node < nodes && nodes < (int)DQ_NODE_MAP);
    c->node = node;
    c->nodes = nodes;
    c->hold_ns = hold_ns;
    c->ops = ops;
    c->ctx = ctx;
    c->blocks = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    c->active = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    c->sweep_at = SWEEP_LEAST;
    g_queue_init(&c->due);
    return c;
}

void dq_cache_free(struct dq_cache *c)
{
    if (c) {
        g_hash_table_destroy(c->active);
        g_hash_table_destroy(c->blocks);
        g_free(c);
    }
}

uint64_t dq_cache_held(const struct dq_cache *c)
{
    return c->held;
}

size_t dq_cache_memory(const struct dq_cache *c)
{
    size_t slot = 3 * sizeof(void *); /* of a hash table, and what the allocator adds */

    return sizeof(*c) + g_hash_table_size(c->blocks) * (sizeof(struct block) + slot) +
           g_hash_table_size(c->active) * (sizeof(struct active) + slot);
}
