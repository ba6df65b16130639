/*
 * Split pages on a node: see split.h.
 *
 * The words of the table, the count and `changes` are atomic and read by all threads. The worker
 * alone writes them. Everything of splitter, mover and sharing is the loop's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/split.h"

#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dqemu/check.h"
#include "dqemu/control.h"
#include "dqemu/runtime.h"
#include "dqemu/sharing.h"
#include "dqemu/stats.h"
#include "dqemu/uffd.h"

/*
 * Entry page % DQ_SPLIT_MOST is a word with page / DQ_SPLIT_MOST << PAGE_BIT if that page is split, else
 * NONE. Below: the slot << SLOT_BIT, and the granules' size as a power of two.
 */
static uint64_t table[DQ_SPLIT_MOST];
#define PAGE_BIT 30
#define SLOT_BIT 18 /* so that word & SLOT_MASK is the distance of the slot in bytes */
#define SLOT_MASK 0x3ffc0000u
#define SHIFT_MASK 15u
#define NONE (~UINT64_C(0) << PAGE_BIT)
_Static_assert((DQ_SPLIT_MOST - 1) << SLOT_BIT <= SLOT_MASK, "slots stay below the page");

unsigned dq_split_count;

static uint64_t *deltas; /* see dq_split_deltas() */
static size_t deltas_size;
static uint64_t closed[DQ_SPLIT_MOST];     /* page + 1, at the place that it has in the table */
static uint64_t slot_pages[DQ_SPLIT_MOST]; /* who has the slot, or had it last */
static bool slot_opened[DQ_SPLIT_MOST];    /* ... and not only in an attempt that was refused */
static uint32_t changes;                   /* counts what makes a closed page open or split */
static uint64_t shadow;
static const struct dq_split_ops *host;

#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_SEQ_CST)
#define STORE(place, value) __atomic_store_n(&(place), (value), __ATOMIC_SEQ_CST)

/* ------------------------------------------------------------- the table */

uint64_t dq_split_shadow(void)
{
    return __atomic_load_n(&shadow, __ATOMIC_RELAXED);
}

/* The word is that at the page's place in the table. */
static bool is_of(uint64_t word, uint64_t page)
{
    return word >> PAGE_BIT == page / DQ_SPLIT_MOST;
}

static bool fits_table(uint64_t page)
{
    return page / DQ_SPLIT_MOST < NONE >> PAGE_BIT;
}

/*
 * The worker sets one of the two places before it clears the other. So a page for which both are
 * clear was open at some moment, unless `closed` was set between the first look and the last.
 */
enum dq_split_state dq_split_state(uint64_t page)
{
    unsigned i = page % DQ_SPLIT_MOST;

    for (;;) {
        if (LOAD(closed[i]) == page + 1) {
            return DQ_PAGE_IS_CLOSED;
        }
        if (is_of(LOAD(table[i]), page)) {
            return DQ_PAGE_IS_SPLIT;
        }
        if (LOAD(closed[i]) != page + 1) {
            return DQ_PAGE_IS_OPEN;
        }
    }
}

uint64_t dq_split_redirect(uint64_t addr, unsigned size, bool *crosses)
{
    uint64_t page = addr >> DQ_PAGE_BITS, last = (addr + size - 1) >> DQ_PAGE_BITS;
    uint64_t word = LOAD(table[page % DQ_SPLIT_MOST]);
    unsigned offset = addr % DQ_PAGE_SIZE, shift = word & SHIFT_MASK;

    *crosses = false;
    if (!is_of(word, page)) {
        *crosses = last != page && (last - dq_split_shadow() >= DQ_SHADOW_PAGES) &&
                   is_of(LOAD(table[last % DQ_SPLIT_MOST]), last);
        return addr;
    }
    *crosses = last != page || offset >> shift != (offset + size - 1) >> shift;
    return (shadow << DQ_PAGE_BITS) + (word & SLOT_MASK) +
           ((uint64_t)(offset >> shift) << DQ_PAGE_BITS) + offset;
}

const uint64_t *dq_split_deltas(void)
{
    return deltas;
}

size_t dq_split_deltas_size(void)
{
    return deltas_size;
}

/* On the worker. */
static void set_deltas(const struct dq_msg_split *m, bool split)
{
    uint64_t *lines = deltas + m->page * (DQ_PAGE_SIZE / DQ_SPLIT_LINE);
    uint64_t slot = (shadow + (uint64_t)m->slot * DQ_SPLIT_GRANULES) << DQ_PAGE_BITS;

    for (uint64_t i = 0; i < DQ_PAGE_SIZE / DQ_SPLIT_LINE; i++) {
        uint64_t granule = i * DQ_SPLIT_LINE >> m->shift;

        STORE(lines[i], split ? slot + (granule << DQ_PAGE_BITS) - (m->page << DQ_PAGE_BITS) : 0);
    }
}

uint64_t dq_split_page_of(uint64_t addr)
{
    uint64_t page = addr >> DQ_PAGE_BITS;

    if (!dq_split_is_shadow(page)) {
        return page;
    }
    return LOAD(slot_pages[(page - shadow) / DQ_SPLIT_GRANULES]);
}

bool dq_split_was_split(uint64_t page)
{
    for (unsigned i = 0; i < DQ_SPLIT_MOST; i++) {
        if (LOAD(slot_opened[i]) && LOAD(slot_pages[i]) == page) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------- waiting */

uint32_t dq_split_changes(void)
{
    return LOAD(changes);
}

/* Signals that come meanwhile wait, or make the caller look again. */
static void await_change(uint32_t seen)
{
    bool counted = dq_awake_end();

    syscall(SYS_futex, &changes, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    if (counted) {
        dq_awake_begin();
    }
}

static void tell_change(void)
{
    __atomic_fetch_add(&changes, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &changes, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void dq_split_wait(uint64_t page)
{
    uint32_t seen = LOAD(changes);

    while (dq_split_state(page) == DQ_PAGE_IS_CLOSED) {
        await_change(seen);
        seen = LOAD(changes);
    }
}

void dq_split_join(uint64_t page)
{
    struct dq_msg_split ask = {.page = page, .op = DQ_JOIN_CLOSE};
    uint32_t seen = LOAD(changes);
    enum dq_split_state state;

    while ((state = dq_split_state(page)) != DQ_PAGE_IS_OPEN) {
        if (state == DQ_PAGE_IS_SPLIT) {
            dq_node_send(0, DQ_MSG_SPLIT_ASK, &ask, sizeof(ask));
        }
        await_change(seen);
        seen = LOAD(changes);
    }
}

/* What a home needs for its advice; the loop's. No `sharing`: nothing is ever split. */
static struct {
    struct dq_sharing *sharing;
    bool force;
    int timer;    /* timerfd: dq_sharing_due() ... */
    uint64_t due; /* ... as it was set last */
} home = {.timer = -1};

/* ------------------------------------------------------------- threads */

/*
 * A thread notes what it pins, and then looks whether it is split; the worker closes a page, and
 * then looks whether it is pinned. One of them sees the other.
 */
#define MOST_PINS 16u

/* What others may want to know of a thread. Kept for the next one when it ends. */
struct member {
    unsigned pins; /* more than MOST_PINS: everything */
    struct {
        uint64_t first, last;
    } of[MOST_PINS];
    const bool *running; /* see dq_split_register(); NULL: never */
    bool entered;
    uint32_t passed;
    uint32_t noted; /* `passed` when the others began to wait for it */
    bool awaited;
    bool in_use;
    struct member *next;
};

static pthread_mutex_t members_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list; innermost */
static struct member *members;
static __thread struct member *me;
static pthread_key_t member_key;

static void leave_members(void *member)
{
    struct member *m = member;

    STORE(m->pins, 0);
    STORE(m->entered, false);
    STORE(m->running, NULL);
    STORE(m->passed, m->passed + 1);
    STORE(m->in_use, false);
}

static struct member *myself(void)
{
    struct member *m = me;

    if (m) {
        return m;
    }
    pthread_mutex_lock(&members_lock);
    for (m = members; m && LOAD(m->in_use); m = m->next) {
    }
    if (!m) {
        m = g_new0(struct member, 1);
        m->next = members;
        members = m;
    }
    STORE(m->in_use, true);
    pthread_mutex_unlock(&members_lock);
    pthread_setspecific(member_key, m);
    me = m;
    return m;
}

void dq_split_register(const bool *running)
{
    if (home.sharing) {
        STORE(myself()->running, running);
    }
}

/* With the lock: who looks at it meanwhile has it. */
void dq_split_unregister(void)
{
    if (me) {
        pthread_mutex_lock(&members_lock);
        STORE(me->running, NULL);
        pthread_mutex_unlock(&members_lock);
    }
}

void dq_split_passed(void)
{
    if (me) {
        __atomic_store_n(&me->passed, me->passed + 1, __ATOMIC_SEQ_CST);
    }
}

void dq_split_enter(void)
{
    STORE(myself()->entered, true);
}

void dq_split_leave(void)
{
    STORE(me->entered, false);
}

static bool is_between(const struct member *m)
{
    const bool *running = LOAD(m->running);

    return LOAD(m->entered) || (running && LOAD(*running));
}

/* Wait for all that are between a look and an access now. */
static void note_members(void)
{
    pthread_mutex_lock(&members_lock);
    for (struct member *m = members; m; m = m->next) {
        m->noted = LOAD(m->passed);
        m->awaited = is_between(m);
    }
    pthread_mutex_unlock(&members_lock);
}

static bool have_all_passed(void)
{
    bool all = true;

    pthread_mutex_lock(&members_lock);
    for (struct member *m = members; m; m = m->next) {
        m->awaited = m->awaited && is_between(m) && LOAD(m->passed) == m->noted;
        all &= !m->awaited;
    }
    pthread_mutex_unlock(&members_lock);
    return all;
}

static bool is_pinned(uint64_t page)
{
    bool pinned = false;

    pthread_mutex_lock(&members_lock);
    for (const struct member *p = members; p && !pinned; p = p->next) {
        unsigned n = LOAD(p->pins);

        pinned = n > MOST_PINS;
        for (unsigned i = 0; i < n && !pinned; i++) {
            pinned = LOAD(p->of[i].first) <= page && page <= LOAD(p->of[i].last);
        }
    }
    pthread_mutex_unlock(&members_lock);
    return pinned;
}

static void join_range(uint64_t first, uint64_t last)
{
    if (last - first < DQ_SPLIT_MOST) {
        for (uint64_t page = first; page <= last; page++) {
            dq_split_join(page);
        }
        return;
    }
    for (unsigned i = 0; i < DQ_SPLIT_MOST; i++) {
        uint64_t word = LOAD(table[i]), page = LOAD(closed[i]);

        page = page ? page - 1 : (word >> PAGE_BIT) * DQ_SPLIT_MOST + i;
        if (page >= first && page <= last) {
            dq_split_join(page);
        }
    }
}

void dq_split_pin(uint64_t addr, uint64_t length)
{
    uint64_t first = addr >> DQ_PAGE_BITS, last = (addr + length - 1) >> DQ_PAGE_BITS;
    struct member *m;

    if (!dq_split_shadow() || length == 0) {
        return;
    }
    m = myself();
    if (m->pins < MOST_PINS) {
        __atomic_store_n(&m->of[m->pins].first, first, __ATOMIC_RELAXED);
        __atomic_store_n(&m->of[m->pins].last, last, __ATOMIC_RELAXED);
    }
    STORE(m->pins, MIN(m->pins, MOST_PINS) + 1);
    if (dq_split_any()) {
        join_range(first, last);
    }
}

void dq_split_unpin(void)
{
    if (me && me->pins) {
        __atomic_store_n(&me->pins, 0, __ATOMIC_RELEASE);
    }
}

/* ------------------------------------------------------------- the master's messages */

static uint64_t first_of_slot(const struct dq_msg_split *m)
{
    return shadow + (uint64_t)m->slot * DQ_SPLIT_GRANULES;
}

/*
 * The shadow pages are opened here already, since the host may have no room for the mapping, and
 * now the node may refuse. Nobody knows an address in the slot: it was retired.
 */
static void close_page(const struct dq_msg_split *m, struct dq_msg_split *done)
{
    __atomic_fetch_add(&dq_split_count, 1, __ATOMIC_SEQ_CST);
    STORE(slot_opened[m->slot], false);
    STORE(slot_pages[m->slot], m->page);
    STORE(closed[m->page % DQ_SPLIT_MOST], m->page + 1);
    done->refused = is_pinned(m->page) ||
                    !host->open_shadow(first_of_slot(m), DQ_PAGE_SIZE >> m->shift) ||
                    !host->close_page(m->page);
}

/* On the worker. Nobody can have the page's place in the table but it: the splitter sees to that. */
static void apply(const struct dq_msg_split *m, struct dq_msg_split *done)
{
    unsigned i = m->page % DQ_SPLIT_MOST, count = DQ_PAGE_SIZE >> m->shift;
    uint64_t first = first_of_slot(m);
    bool none;

    switch (m->op) {
    case DQ_SPLIT_CLOSE:
        close_page(m, done);
        break;
    case DQ_SPLIT_OPEN:
        STORE(slot_opened[m->slot], true);
        STORE(table[i], m->page / DQ_SPLIT_MOST << PAGE_BIT | m->slot << SLOT_BIT | m->shift);
        set_deltas(m, true);
        STORE(closed[i], 0);
        tell_change();
        break;
    case DQ_JOIN_CLOSE:
        STORE(closed[i], m->page + 1);
        STORE(table[i], NONE);
        set_deltas(m, false);
        host->close_shadow(first, count);
        break;
    case DQ_JOIN_OPEN:
        host->close_shadow(first, count); /* after a refusal it is still open */
        host->open_page(m->page);
        STORE(closed[i], 0);
        none = __atomic_sub_fetch(&dq_split_count, 1, __ATOMIC_SEQ_CST) == 0;
        tell_change();
        if (none) {
            host->forget_all(); /* afterwards: who waits may have a lock that it needs */
        }
        break;
    }
}

/* ---- retiring slots: the worker, then the loop until all threads have passed */

#define LOOK_AGAIN_NS 1000000

static int quiet_timer = -1; /* timerfd */

static void post_retired(void *arg)
{
    struct dq_msg_split done = {.op = DQ_SPLIT_RETIRE, .shift = DQ_SPLIT_LEAST_SHIFT};

    (void)arg;
    if (have_all_passed()) {
        dq_node_send(0, DQ_MSG_SPLIT_DONE, &done, sizeof(done));
    } else {
        dq_node_set_timer(quiet_timer, dq_node_now() + LOOK_AGAIN_NS);
    }
}

static void on_quiet_timer(void)
{
    if (dq_node_timer_expired(quiet_timer)) {
        post_retired(NULL);
    }
}

static void work_retire(void *arg)
{
    (void)arg;
    host->forget_addresses();
    note_members();
    dq_node_post(post_retired, NULL);
}

static void work_apply(void *arg)
{
    struct dq_msg_split *m = arg, done = *m;

    apply(m, &done);
    dq_node_send(0, DQ_MSG_SPLIT_DONE, &done, sizeof(done));
    g_free(m);
}

static bool is_sound(const struct dq_msg_split *m)
{
    return fits_table(m->page) && m->slot < DQ_SPLIT_MOST && m->op <= DQ_SPLIT_RETIRE &&
           m->shift >= DQ_SPLIT_LEAST_SHIFT && m->shift <= DQ_SPLIT_MOST_SHIFT;
}

/* ------------------------------------------------------------- advice of homes */

static void ask_master(uint64_t page, unsigned op, unsigned shift, unsigned left)
{
    struct dq_msg_split m = {
        .page = page, .op = (uint8_t)op, .shift = (uint8_t)shift, .left = (uint8_t)left};

    dq_node_send(0, DQ_MSG_SPLIT_ASK, &m, sizeof(m));
}

static void set_timer(void)
{
    uint64_t when = dq_sharing_due(home.sharing);

    if (when != home.due) {
        home.due = when;
        dq_node_set_timer(home.timer, when);
    }
}

static void on_timer(void)
{
    uint32_t slot;
    int node;

    if (!dq_node_timer_expired(home.timer)) {
        return;
    }
    while (dq_sharing_idle(home.sharing, dq_node_now(), &slot, &node)) {
        ask_master(LOAD(slot_pages[slot]), DQ_JOIN_CLOSE, 0, 1 + (unsigned)node);
    }
    set_timer();
}

bool dq_split_is_wanted(void)
{
    return home.sharing != NULL;
}

void dq_split_asked(uint64_t page, int from, bool write, unsigned at)
{
    uint64_t now, place = page - shadow;
    unsigned shift;

    if (!home.sharing || !dq_split_shadow()) {
        return;
    }
    now = dq_node_now();
    if (place < DQ_SHADOW_PAGES) {
        uint32_t slot = (uint32_t)(place / DQ_SPLIT_GRANULES);

        if (dq_split_state(LOAD(slot_pages[slot])) != DQ_PAGE_IS_SPLIT) {
            return; /* the mover, which asks for all of them */
        }
        if (dq_sharing_slot_asked(home.sharing, slot, place % DQ_SPLIT_GRANULES, from, now)) {
            ask_master(LOAD(slot_pages[slot]), DQ_JOIN_CLOSE, 0, DQ_SPLIT_REGRET);
        }
        set_timer();
    } else if ((at && at <= DQ_PAGE_SIZE) || home.force) {
        shift = dq_sharing_asked(home.sharing, page, from, write, (at - 1) % DQ_PAGE_SIZE, now);
        if (shift) {
            ask_master(page, DQ_SPLIT_CLOSE, shift, 0);
        }
    }
}

/* ------------------------------------------------------------- on the master */

static struct {
    struct dq_splitter *splitter;
    uint64_t used[DQ_SPLIT_MOST]; /* per slot, a bit per granule that threads here have written */
    struct dq_gate *excluded;     /* who waits for the exclusion */
} master;

/*
 * A map call that finds no page split, or on the way, does not ask the loop: it sets `excluding`
 * and looks at `coordinated`; the loop counts there first, and then looks at `excluding`.
 */
static unsigned coordinated; /* pages of the splitter */
static bool excluding;       /* a map call is under way */
static bool exclusion_told;  /* ... and the splitter knows; its caller's */

static void tell_stats(void)
{
    struct dq_splitter_stats s = dq_splitter_stats(master.splitter);

    STORE(coordinated, s.pages);
    dq_stat_set(splits, s.splits);
    dq_stat_set(merges, s.merges);
    dq_stat_set(shadow_pages, s.shadow_most);
}

static void splitter_tell(void *ctx, const struct dq_msg_split *m)
{
    (void)ctx;
    if (m->op == DQ_SPLIT_OPEN) {
        master.used[m->slot] = 0;
    }
    for (int n = 0; n < dq_pager.count; n++) {
        dq_node_send(n, DQ_MSG_SPLIT, m, sizeof(*m));
    }
}

struct mover_waiter {
    struct dq_waiter waiter; /* first: see mover_page_came() */
    struct dq_mover *mover;
};

/* Who has been waiting for a page must not ask for others at once. */
static void post_mover_came(void *mover)
{
    dq_mover_came(mover);
    dq_ask_settle();
}

static void mover_page_came(struct dq_waiter *waiter, uint64_t page)
{
    struct mover_waiter *w = (struct mover_waiter *)waiter;

    (void)page;
    dq_node_post(post_mover_came, w->mover);
    g_free(w);
}

static bool mover_want(void *ctx, struct dq_mover *mover, uint64_t page)
{
    struct mover_waiter *w = g_new(struct mover_waiter, 1);

    (void)ctx;
    *w = (struct mover_waiter){{.met = mover_page_came, .write = true}, mover};
    if (!dq_pager_ask(page, &w->waiter)) {
        return false;
    }
    g_free(w);
    return true;
}

static bool mover_has(void *ctx, uint64_t page)
{
    (void)ctx;
    return dq_cache_state(dq_pager.cache, page) == DQ_EXCLUSIVE;
}

static void mover_read(void *ctx, uint64_t page, uint32_t count, void *to)
{
    (void)ctx;
    dq_batch_flush();
    dq_uffd_read(dq_pager_host(page), to, count);
    for (uint32_t i = 0; i < count; i++) {
        dq_ahead_read(page + i, (uint8_t *)to + (size_t)i * DQ_PAGE_SIZE);
    }
}

static void forget_ahead(uint64_t page, uint32_t count)
{
    dq_batch_flush();
    for (uint32_t i = 0; i < count; i++) {
        dq_ahead_drop(page + i);
    }
}

static void mover_write(void *ctx, uint64_t page, uint32_t count, const void *from)
{
    (void)ctx;
    forget_ahead(page, count);
    dq_uffd_copy(dq_pager_host(page), from, count, true);
}

static void mover_clear(void *ctx, uint64_t page, uint32_t count)
{
    (void)ctx;
    forget_ahead(page, count);
    dq_check_moved(dq_split_page_of(page << DQ_PAGE_BITS), page, count);
    dq_uffd_discard(dq_pager_host(page), count); /* held and absent: zeroes */
}

/* At rest, so that this node's first write to each is noticed: see dq_split_used(). */
static void rest_shadow(const struct dq_mover *mover)
{
    uint64_t now = dq_node_now();

    for (uint64_t i = 0; i < DQ_PAGE_SIZE >> mover->what.shift; i++) {
        dq_cache_let_go(dq_pager.cache, mover->shadow + i, now, now);
        dq_cache_rest(dq_pager.cache, mover->shadow + i, now);
    }
}

static void mover_moved(void *ctx, struct dq_mover *mover)
{
    (void)ctx;
    if (mover->what.op == DQ_SPLIT_OPEN) {
        dq_check_moved(mover->what.page, mover->shadow, DQ_PAGE_SIZE >> mover->what.shift);
        rest_shadow(mover);
    }
    dq_splitter_moved(master.splitter, mover->what.page);
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

static void post_move(void *arg)
{
    struct dq_msg_split *m = arg;

    dq_mover_start(g_new(struct dq_mover, 1), m, shadow + (uint64_t)m->slot * DQ_SPLIT_GRANULES,
                   &mover_ops, NULL);
    dq_ask_settle();
    g_free(m);
}

/* Not from within the splitter: a move may be over at once. */
static void splitter_move(void *ctx, const struct dq_msg_split *m)
{
    (void)ctx;
    dq_node_post(post_move, g_memdup2(m, sizeof(*m)));
}

static void splitter_excluded(void *ctx)
{
    struct dq_gate *gate = master.excluded;

    (void)ctx;
    master.excluded = NULL;
    dq_gate_open(gate);
}

static const struct dq_splitter_ops splitter_ops = {
    .tell = splitter_tell,
    .move = splitter_move,
    .excluded = splitter_excluded,
};

static void try_to_split(uint64_t page, unsigned shift)
{
    STORE(coordinated, dq_splitter_stats(master.splitter).pages + 1);
    if (!LOAD(excluding)) {
        dq_splitter_ask(master.splitter, page, shift, dq_node_now());
    }
    tell_stats();
}

/* This node has parts, too, of which their home has not heard: they have been here since the move. */
static bool has_used(uint64_t page)
{
    uint64_t word = LOAD(table[page % DQ_SPLIT_MOST]);

    return is_of(word, page) && master.used[(word & SLOT_MASK) >> SLOT_BIT];
}

static int on_ask(const struct dq_msg_split *m)
{
    if (m->op == DQ_SPLIT_CLOSE && is_sound(m)) {
        try_to_split(m->page, m->shift);
    } else if (m->op == DQ_JOIN_CLOSE && m->left == DQ_SPLIT_REGRET) {
        dq_splitter_regret(master.splitter, m->page);
    } else if (m->op == DQ_JOIN_CLOSE && m->left <= dq_pager.count) {
        if (m->left <= 1 || !has_used(m->page)) {
            dq_splitter_join(master.splitter, m->page);
        }
    } else {
        return -EPROTO;
    }
    return 0;
}

bool dq_split_used(uint64_t page)
{
    uint64_t place = page - shadow;

    if (!dq_split_is_shadow(page)) {
        return false;
    }
    master.used[place / DQ_SPLIT_GRANULES] |= UINT64_C(1) << place % DQ_SPLIT_GRANULES;
    return true;
}

void dq_split_gone(uint64_t page)
{
    uint64_t place = page - shadow;

    if (dq_split_is_shadow(page)) {
        master.used[place / DQ_SPLIT_GRANULES] &= ~(UINT64_C(1) << place % DQ_SPLIT_GRANULES);
    }
}

struct exclusion {
    uint64_t page, count;
    struct dq_gate done;
};

static void post_exclude(void *arg)
{
    struct exclusion *e = arg;

    master.excluded = &e->done;
    dq_splitter_exclude(master.splitter, e->page, e->count);
}

void dq_split_exclude(uint64_t page, uint64_t count)
{
    struct exclusion e = {.page = page, .count = count};

    if (!dq_split_shadow() || !master.splitter || !count) {
        return;
    }
    STORE(excluding, true);
    if (LOAD(coordinated)) {
        exclusion_told = true;
        dq_node_post(post_exclude, &e);
        dq_gate_wait(&e.done);
    }
}

static void post_include(void *arg)
{
    (void)arg;
    dq_splitter_include(master.splitter);
}

/* If the splitter was told, its own ranges exclude until it hears of the end. */
void dq_split_include(void)
{
    STORE(excluding, false);
    if (exclusion_told) {
        exclusion_told = false;
        dq_node_post(post_include, NULL);
    }
}

/* ------------------------------------------------------------- messages */

static int on_split(int from, const struct dq_msg_split *m)
{
    struct dq_msg_split done = *m;

    if (from != 0 || !is_sound(m)) {
        return -EPROTO;
    }
    if (!host) { /* this node could not open it: it refuses, and sees nothing else */
        done.refused = m->op == DQ_SPLIT_CLOSE;
        dq_node_send(0, DQ_MSG_SPLIT_DONE, &done, sizeof(done));
        return 0;
    }
    if (m->op == DQ_JOIN_OPEN) {
        dq_sharing_forget(home.sharing, m->slot);
        set_timer();
    }
    if (m->op == DQ_SPLIT_RETIRE) {
        dq_node_work(work_retire, NULL);
    } else {
        dq_node_work(work_apply, g_memdup2(m, sizeof(*m)));
    }
    return 0;
}

/* Bodies are copied: they may lie at any address. */
int dq_split_message(int from, unsigned type, const void *body)
{
    struct dq_msg_split m;
    int err;

    memcpy(&m, body, sizeof(m));
    if (!home.sharing) {
        return -EPROTO;
    }
    if (type == DQ_MSG_SPLIT) {
        return on_split(from, &m);
    }
    if (!master.splitter) {
        return -EPROTO;
    }
    if (type == DQ_MSG_SPLIT_ASK) {
        return on_ask(&m);
    }
    err = dq_splitter_done(master.splitter, from, &m, dq_node_now());
    tell_stats();
    return err;
}

/* ------------------------------------------------------------- life */

static void clear_table(void)
{
    for (unsigned i = 0; i < DQ_SPLIT_MOST; i++) {
        STORE(table[i], NONE);
    }
}

/* Slots that are retired together: for each time, all threads are made to leave translated code once. */
#define RETIRE 1024u

int dq_split_start(const struct dq_config *cfg)
{
    struct dq_sharing_rules rules = {
        .window = cfg->split_window & ~1u,
        .share = cfg->split_share,
        .period_ns = (uint64_t)cfg->split_period_ms * 1000000u,
        .take_ns = (uint64_t)cfg->split_take_us * 1000u,
        .idle_ns = (uint64_t)cfg->split_idle_ms * 1000000u,
        .force = cfg->split_force,
    };

    if (cfg->split_pages == 0) {
        return 0;
    }
    home.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    quiet_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (home.timer < 0 || quiet_timer < 0) {
        return -errno;
    }
    pthread_key_create(&member_key, leave_members);
    home.force = cfg->split_force;
    home.sharing = dq_sharing_new(&rules);
    dq_node_watch(home.timer, on_timer);
    dq_node_watch(quiet_timer, on_quiet_timer);
    if (cfg->node == 0) {
        master.splitter =
            dq_splitter_new(cfg->nodes, cfg->split_pages, (uint64_t)cfg->split_cool_ms * 1000000u,
                            cfg->split_force, cfg->split_force ? 4 : RETIRE, &splitter_ops, NULL);
    }
    return 0;
}

void dq_split_open(uint64_t first, uint64_t limit, void *place, const struct dq_split_ops *ops)
{
    size_t size = limit * (DQ_PAGE_SIZE / DQ_SPLIT_LINE) * sizeof(*deltas);

    if (home.sharing) {
        clear_table();
        deltas = mmap(place, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (deltas == MAP_FAILED) {
            deltas = NULL;
            dq_control_log("no addresses left for splitting pages: %s", g_strerror(errno));
            return;
        }
        madvise(deltas, size, MADV_DONTDUMP);
        madvise(deltas, size, MADV_NOHUGEPAGE);
        deltas_size = size;
        host = ops;
        __atomic_store_n(&shadow, first, __ATOMIC_RELEASE);
    }
}

void dq_split_forked(void)
{
    pthread_mutex_init(&members_lock, NULL);
    me = NULL;
    if (deltas) { /* mlockall() would populate it */
        munmap(deltas, deltas_size);
        deltas = NULL;
        deltas_size = 0;
    }
    shadow = 0;
    clear_table();
    memset(closed, 0, sizeof(closed));
    dq_split_count = 0;
    if (home.timer >= 0) {
        close(home.timer);
        close(quiet_timer);
        home.timer = -1;
    }
    home.sharing = NULL;
}
