/*
 * The home side of the coherence engine: see coherence.h for the protocol's table.
 *
 * Entries stand in blocks of 64 pages that exist only while one of their pages is touched: a set
 * of holders per page, one bit that says that the only holder may write, and one that says that
 * readers will write. A transaction and
 * its queue of waiters stand in a side table, for as long as the page is busy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/coherence.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "dqemu/assert.h"
#include "dqemu/ranges.h"

#define BLOCK_PAGES 64u
#define MAX_PAGES (UINT64_C(1) << (64 - DQ_PAGE_BITS))
#define NOBODY (-1)
#define MASTER 0 /* who has the files */

struct block {
    unsigned touched;            /* entries with at least one holder */
    uint64_t exclusive;          /* a bit per page */
    uint64_t migratory;          /* likewise; see coherence.h */
    uint16_t owner[BLOCK_PAGES]; /* the latest exclusive one */
    uint64_t holders[];          /* BLOCK_PAGES sets of dq_dir.words words, a bit per node */
};

struct reset {
    uint64_t cookie;
    uint64_t left; /* pages that are not untouched yet */
};

struct waiter {
    unsigned type; /* DQ_MSG_GET_S, DQ_MSG_GET_X, DQ_MSG_RESET */
    int from;
    unsigned wish; /* the run wished for, as a power of two; 0: none */
    struct reset *reset;
};

struct busy {
    uint64_t page;
    int requester; /* who ends it with DONE; NOBODY: the last RACK ends it */
    struct reset *reset;
    GQueue waiters; /* struct waiter, owned */
};

struct dq_dir {
    int node, nodes;
    unsigned words; /* of a set of nodes */
    unsigned run_pages;
    const struct dq_dir_ops *ops;
    void *ctx;
    uint64_t touched, most_touched; /* pages: now, and ever at once */
    struct dq_ranges *files;        /* pages that begin with the content of a file */
    GHashTable *blocks;             /* page / BLOCK_PAGES -> struct block */
    GHashTable *busy;               /* &busy->page -> struct busy */
};

int dq_home(uint64_t page, int nodes)
{
    uint64_t x = page / DQ_CHUNK_PAGES;

    /* splitmix64: neighbouring chunks go to different nodes whatever their stride */
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return (int)((x ^ (x >> 31)) % (uint64_t)nodes);
}

/* ------------------------------------------------------------- entries */

static gpointer block_key(uint64_t page)
{
    return (gpointer)(uintptr_t)(page / BLOCK_PAGES);
}

static struct block *block_of(const struct dq_dir *d, uint64_t page)
{
    return g_hash_table_lookup(d->blocks, block_key(page));
}

static uint64_t *block_set(const struct dq_dir *d, struct block *b, uint64_t page)
{
    return b->holders + (page % BLOCK_PAGES) * d->words;
}

static int set_count(const struct dq_dir *d, const uint64_t *set)
{
    int n = 0;

    for (unsigned i = 0; i < d->words; i++) {
        n += __builtin_popcountll(set[i]);
    }
    return n;
}

static bool set_has(const uint64_t *set, int node)
{
    return set[node / 64] >> (node % 64) & 1;
}

static void set_add(uint64_t *set, int node)
{
    set[node / 64] |= UINT64_C(1) << (node % 64);
}

/* The first member at or after node; NOBODY at the end. */
static int set_next(const struct dq_dir *d, const uint64_t *set, int node)
{
    for (unsigned i = (unsigned)node / 64; i < d->words; i++) {
        uint64_t word = set[i];

        if (i == (unsigned)node / 64) {
            word &= ~UINT64_C(0) << (node % 64);
        }
        if (word) {
            return (int)(i * 64) + __builtin_ctzll(word);
        }
    }
    return NOBODY;
}

/* The holders of a page, or NULL if it is untouched. */
static uint64_t *holders_of(const struct dq_dir *d, uint64_t page)
{
    struct block *b = block_of(d, page);

    if (!b) {
        return NULL;
    }
    return set_next(d, block_set(d, b, page), 0) == NOBODY ? NULL : block_set(d, b, page);
}

static void make_exclusive(struct dq_dir *d, uint64_t page, int owner)
{
    struct block *b = block_of(d, page);
    uint64_t *set;

    if (!b) {
        b = g_malloc0(sizeof(*b) + BLOCK_PAGES * d->words * sizeof(uint64_t));
        g_hash_table_insert(d->blocks, block_key(page), b);
    }
    set = block_set(d, b, page);
    if (set_next(d, set, 0) == NOBODY) {
        b->touched++;
        d->touched++;
        d->most_touched = MAX(d->most_touched, d->touched);
    }
    memset(set, 0, d->words * sizeof(*set));
    set_add(set, owner);
    b->owner[page % BLOCK_PAGES] = (uint16_t)owner;
    b->exclusive |= UINT64_C(1) << (page % BLOCK_PAGES);
}

/* The owner becomes a sharer; so does node. */
static void make_shared(struct dq_dir *d, uint64_t page, int node)
{
    struct block *b = block_of(d, page);

    b->exclusive &= ~(UINT64_C(1) << (page % BLOCK_PAGES));
    set_add(block_set(d, b, page), node);
}

static bool is_exclusive(const struct dq_dir *d, uint64_t page)
{
    return block_of(d, page)->exclusive >> (page % BLOCK_PAGES) & 1;
}

static bool is_migratory(const struct dq_dir *d, uint64_t page)
{
    return block_of(d, page)->migratory >> (page % BLOCK_PAGES) & 1;
}

static void set_migratory(struct dq_dir *d, uint64_t page, bool is)
{
    uint64_t bit = UINT64_C(1) << (page % BLOCK_PAGES);
    struct block *b = block_of(d, page);

    b->migratory = is ? b->migratory | bit : b->migratory & ~bit;
}

/* True if nobody holds the page any more: it is untouched then. */
static bool remove_holder(struct dq_dir *d, uint64_t page, int node)
{
    struct block *b = block_of(d, page);
    uint64_t *set = block_set(d, b, page);

    set[node / 64] &= ~(UINT64_C(1) << (node % 64));
    if (set_next(d, set, 0) != NOBODY) {
        return false;
    }
    b->exclusive &= ~(UINT64_C(1) << (page % BLOCK_PAGES));
    b->migratory &= ~(UINT64_C(1) << (page % BLOCK_PAGES));
    d->touched--;
    if (--b->touched == 0) {
        g_hash_table_remove(d->blocks, block_key(page));
    }
    return true;
}

/* -------------------------------------------------------- transactions */

static void send(struct dq_dir *d, int to, unsigned type, uint64_t page, unsigned count,
                 unsigned node)
{
    struct dq_msg_page m = {.page = page, .count = MAX(count, 1), .node = (uint16_t)node};

    d->ops->send(d->ctx, to, type, &m);
}

static struct busy *busy_of(const struct dq_dir *d, uint64_t page)
{
    return g_hash_table_lookup(d->busy, &page);
}

/* Is the page, which nobody has touched, to have the content of a file? */
static bool has_file(const struct dq_dir *d, uint64_t page)
{
    uintptr_t unused;

    return dq_ranges_has(d->files, page, &unused);
}

/*
 * The untouched, idle neighbours of an untouched page, within an aligned window. The content of a file is
 * that of the moment in which a page is touched: so such a page is granted alone.
 */
static void grant_untouched(struct dq_dir *d, uint64_t page, int r, unsigned wish)
{
    uint64_t low, high;
    bool file = dq_ranges_stretch(d->files, page, &low, &high);
    uint64_t run = file ? 1 : wish ? UINT64_C(1) << wish : d->run_pages;
    uint64_t chunk = page - page % DQ_CHUNK_PAGES;
    uint64_t offset = page % DQ_CHUNK_PAGES;
    uint64_t window = chunk + offset - offset % run;
    uint64_t first = MAX(window, low);
    uint64_t last = MIN(MIN(window + run, chunk + DQ_CHUNK_PAGES), high) - 1;
    uint64_t from = page, to = page;
    struct dq_msg_page m = {0};

    /* an untouched page is idle: a transaction always has a holder */
    while (from > first && !holders_of(d, from - 1)) {
        from--;
    }
    while (to < last && !holders_of(d, to + 1)) {
        to++;
    }
    for (uint64_t p = from; p <= to; p++) {
        make_exclusive(d, p, r);
    }
    m.page = from;
    m.count = (uint32_t)(to - from + 1);
    m.flags = (uint16_t)(page - from);
    m.node = file ? DQ_NODE_FILE : 0;
    d->ops->send(d->ctx, r, DQ_MSG_GRANT_ZERO, &m);
}

/* Who sends a copy to r: this node if it can (a hop less), else the next after r in a circle. */
static int keeper_for(const struct dq_dir *d, const uint64_t *set, int r)
{
    int keeper;

    if (d->node != r && set_has(set, d->node)) {
        return d->node;
    }
    keeper = set_next(d, set, r + 1 < d->nodes ? r + 1 : 0);
    return keeper == NOBODY ? set_next(d, set, 0) : keeper;
}

/* Every holder but r drops its copy; the keeper (if any) sends it to r. */
static void take_from_all(struct dq_dir *d, uint64_t page, const uint64_t *set, int r, int keeper)
{
    unsigned to = r == NOBODY ? DQ_NODE_MAP : (unsigned)r;

    for (int n = set_next(d, set, 0); n != NOBODY; n = set_next(d, set, n + 1)) {
        if (n != r) {
            send(d, n, n == keeper ? DQ_MSG_FETCH_X : DQ_MSG_INV, page, 0, to);
        }
    }
}

/* The owner gives the page to r, and keeps nothing. */
static bool start_move(struct dq_dir *d, uint64_t page, const uint64_t *set, int r)
{
    send(d, set_next(d, set, 0), DQ_MSG_FETCH_M, page, 0, (unsigned)r);
    make_exclusive(d, page, r);
    return true;
}

/* The table of coherence.h, row by row. True: the page is busy until r says DONE. */
static bool start_get(struct dq_dir *d, uint64_t page, unsigned type, int r, unsigned wish)
{
    uint64_t *set = holders_of(d, page);
    int holders = set ? set_count(d, set) : 0;
    bool has = set && set_has(set, r);

    if (holders == 0 && (r == MASTER || !has_file(d, page))) {
        grant_untouched(d, page, r, wish);
        return false;
    }
    if (holders == 0) { /* the content is the master's: as if it had touched the page before */
        make_exclusive(d, page, MASTER);
        set = holders_of(d, page);
        holders = 1;
    }
    if (has && holders == 1) {
        make_exclusive(d, page, r);
        send(d, r, DQ_MSG_GRANT_UP, page, 0, 0);
        return false;
    }
    if (is_exclusive(d, page) && (type == DQ_MSG_GET_X || is_migratory(d, page))) {
        return start_move(d, page, set, r);
    }
    if (type == DQ_MSG_GET_S) {
        send(d, keeper_for(d, set, r), DQ_MSG_FETCH_S, page, 0, (unsigned)r);
        make_shared(d, page, r);
        return true;
    }
    if (has && holders == 2) {
        set_migratory(d, page, block_of(d, page)->owner[page % BLOCK_PAGES] != r);
    }
    send(d, r, DQ_MSG_WAIT, page, (unsigned)(holders - has), 0);
    take_from_all(d, page, set, r, has ? NOBODY : keeper_for(d, set, r));
    make_exclusive(d, page, r);
    return true;
}

static void reset_one_less(struct dq_dir *d, struct reset *reset)
{
    if (--reset->left == 0) {
        d->ops->reset_done(d->ctx, reset->cookie);
        g_free(reset);
    }
}

/* True: the page is busy until its holders have said RACK. */
static bool start_reset(struct dq_dir *d, uint64_t page, struct reset *reset)
{
    uint64_t *set = holders_of(d, page);

    if (!set) {
        reset_one_less(d, reset);
        return false;
    }
    take_from_all(d, page, set, NOBODY, NOBODY);
    return true;
}

static bool start(struct dq_dir *d, uint64_t page, const struct waiter *w)
{
    return w->type == DQ_MSG_RESET ? start_reset(d, page, w->reset)
                                   : start_get(d, page, w->type, w->from, w->wish);
}

/* Serve the request now if the page is idle, else after those that came before. */
static void request(struct dq_dir *d, uint64_t page, struct waiter w)
{
    struct busy *b = busy_of(d, page);

    if (b) {
        g_queue_push_tail(&b->waiters, g_memdup2(&w, sizeof(w)));
    } else if (start(d, page, &w)) {
        b = g_new0(struct busy, 1);
        b->page = page;
        b->requester = w.from;
        b->reset = w.reset;
        g_queue_init(&b->waiters);
        g_hash_table_insert(d->busy, &b->page, b);
    }
}

/* A transaction is over: start those that waited, until one keeps the page busy. */
static void finish(struct dq_dir *d, struct busy *b)
{
    struct waiter *w;

    while ((w = g_queue_pop_head(&b->waiters))) {
        struct waiter next = *w;

        g_free(w);
        if (start(d, b->page, &next)) {
            b->requester = next.from;
            b->reset = next.reset;
            return;
        }
    }
    b->reset = NULL;
    g_hash_table_remove(d->busy, &b->page);
}

static bool waits(const struct busy *b, int from)
{
    for (const GList *l = b->waiters.head; l; l = l->next) {
        if (((const struct waiter *)l->data)->from == from) {
            return true;
        }
    }
    return b->requester == from;
}

int dq_dir_message(struct dq_dir *d, int from, unsigned type, const struct dq_msg_page *m)
{
    struct busy *b = busy_of(d, m->page);

    if (from < 0 || from >= d->nodes || m->page >= MAX_PAGES ||
        dq_home(m->page, d->nodes) != d->node) {
        return -EPROTO;
    }
    switch (type) {
    case DQ_MSG_GET_S:
    case DQ_MSG_GET_X:
        if ((b && waits(b, from)) || m->flags > DQ_MOST_WISH) {
            return -EPROTO;
        }
        request(d, m->page, (struct waiter){.type = type, .from = from, .wish = m->flags});
        return 0;
    case DQ_MSG_DONE:
        /* this node's own cache may say it for the requester */
        if (!b || b->requester == NOBODY || (b->requester != from && from != d->node)) {
            return -EPROTO;
        }
        if (m->flags & DQ_PAGE_CLEAN) {
            set_migratory(d, m->page, false);
        }
        finish(d, b);
        return 0;
    case DQ_MSG_RACK:
        if (!b || !b->reset || !set_has(holders_of(d, m->page), from)) {
            return -EPROTO;
        }
        if (remove_holder(d, m->page, from)) {
            reset_one_less(d, b->reset);
            finish(d, b);
        }
        return 0;
    default:
        return -EPROTO;
    }
}

/* ---------------------------------------------------------- whole ranges */

static uint64_t range_end(uint64_t page, uint64_t count)
{
    return count > UINT64_MAX - page ? UINT64_MAX : page + count;
}

static int compare_keys(gconstpointer a, gconstpointer b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The numbers of the blocks that meet [page, end), in ascending order. */
static GArray *blocks_within(const struct dq_dir *d, uint64_t page, uint64_t end)
{
    GArray *keys = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter it;
    gpointer key;

    if (end <= page) {
        return keys;
    }
    if ((end - 1) / BLOCK_PAGES - page / BLOCK_PAGES < g_hash_table_size(d->blocks)) {
        for (uint64_t k = page / BLOCK_PAGES; k <= (end - 1) / BLOCK_PAGES; k++) {
            if (block_of(d, k * BLOCK_PAGES)) {
                g_array_append_val(keys, k);
            }
        }
        return keys;
    }
    g_hash_table_iter_init(&it, d->blocks);
    while (g_hash_table_iter_next(&it, &key, NULL)) {
        uint64_t k = (uintptr_t)key;

        if (k >= page / BLOCK_PAGES && k <= (end - 1) / BLOCK_PAGES) {
            g_array_append_val(keys, k);
        }
    }
    g_array_sort(keys, compare_keys);
    return keys;
}

/* Call visit for each touched page of [page, end), in ascending order; it must not untouch any. */
static void each_touched(struct dq_dir *d, uint64_t page, uint64_t end,
                         void (*visit)(struct dq_dir *d, uint64_t page, void *arg), void *arg)
{
    GArray *keys = blocks_within(d, page, end);

    for (unsigned i = 0; i < keys->len; i++) {
        uint64_t first = g_array_index(keys, uint64_t, i) * BLOCK_PAGES;
        struct block *b = block_of(d, first);

        for (uint64_t p = MAX(first, page); p - first < BLOCK_PAGES && p < end; p++) {
            if (set_next(d, block_set(d, b, p), 0) != NOBODY) {
                visit(d, p, arg);
            }
        }
    }
    g_array_free(keys, TRUE);
}

/* Visit the pages of [page, end) that are homed here: true if all are untouched. */
static bool own_pages(struct dq_dir *d, int owner, uint64_t page, uint64_t end, bool commit)
{
    for (uint64_t p = page; p < end; p++) {
        if (dq_home(p, d->nodes) != d->node) {
            p |= DQ_CHUNK_PAGES - 1;
        } else if (commit) {
            make_exclusive(d, p, owner);
        } else if (holders_of(d, p)) {
            return false;
        }
    }
    return true;
}

int dq_dir_own(struct dq_dir *d, int owner, uint64_t page, uint64_t count)
{
    uint64_t end = range_end(page, count);

    if (owner < 0 || owner >= d->nodes || end > MAX_PAGES ||
        !own_pages(d, owner, page, end, false)) {
        return -EPROTO;
    }
    own_pages(d, owner, page, end, true);
    return 0;
}

static void reset_page(struct dq_dir *d, uint64_t page, void *arg)
{
    struct reset *reset = arg;

    reset->left++;
    request(d, page, (struct waiter){.type = DQ_MSG_RESET, .from = NOBODY, .reset = reset});
}

void dq_dir_reset(struct dq_dir *d, uint64_t page, uint64_t count, bool file, uint64_t cookie)
{
    struct reset *reset = g_new0(struct reset, 1);

    if (file) {
        dq_ranges_set(d->files, page, count,
                      (uintptr_t)(page << DQ_PAGE_BITS)); /* neighbours join */
    } else {
        dq_ranges_clear(d->files, page, count);
    }
    reset->cookie = cookie;
    reset->left = 1;
    each_touched(d, page, range_end(page, count), reset_page, reset);
    reset_one_less(d, reset);
}

struct listing {
    int node;
    uint64_t page, count; /* the run being gathered */
    void (*run)(void *arg, uint64_t page, uint64_t count);
    void *arg;
};

static void list_page(struct dq_dir *d, uint64_t page, void *arg)
{
    struct listing *l = arg;
    const struct busy *b = busy_of(d, page);

    if (l->node != DQ_DIR_NOBODY && set_has(holders_of(d, page), l->node) &&
        !(b && b->requester == l->node)) {
        return;
    }
    if (l->count && page == l->page + l->count) {
        l->count++;
        return;
    }
    if (l->count) {
        l->run(l->arg, l->page, l->count);
    }
    l->page = page;
    l->count = 1;
}

void dq_dir_list(struct dq_dir *d, int node, uint64_t page, uint64_t count,
                 void (*run)(void *arg, uint64_t page, uint64_t count), void *arg)
{
    struct listing l = {.node = node, .run = run, .arg = arg};

    each_touched(d, page, range_end(page, count), list_page, &l);
    if (l.count) {
        run(arg, l.page, l.count);
    }
}

/* ------------------------------------------------------------- life */

/* Pages that were still to be reset when the directory goes. */
static void reset_drop(struct reset *reset)
{
    if (reset && --reset->left == 0) {
        g_free(reset);
    }
}

static void busy_free(gpointer data)
{
    struct busy *b = data;
    struct waiter *w;

    reset_drop(b->reset);
    while ((w = g_queue_pop_head(&b->waiters))) {
        reset_drop(w->reset);
        g_free(w);
    }
    g_free(b);
}

struct dq_dir *dq_dir_new(int node, int nodes, unsigned run_pages, const struct dq_dir_ops *ops,
                          void *ctx)
{
    struct dq_dir *d = g_new0(struct dq_dir, 1);

    dq_assert(node >= 0 && node < nodes && nodes < (int)DQ_NODE_MAP && run_pages > 0);
    d->node = node;
    d->nodes = nodes;
    d->words = (unsigned)(nodes + 63) / 64;
    d->run_pages = MIN(run_pages, DQ_CHUNK_PAGES);
    d->ops = ops;
    d->ctx = ctx;
    d->files = dq_ranges_new(DQ_PAGE_SIZE);
    d->blocks = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    d->busy = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, busy_free);
    return d;
}

void dq_dir_free(struct dq_dir *d)
{
    if (d) {
        g_hash_table_destroy(d->busy);
        g_hash_table_destroy(d->blocks);
        dq_ranges_free(d->files);
        g_free(d);
    }
}

bool dq_dir_is_migratory(const struct dq_dir *d, uint64_t page)
{
    return block_of(d, page) && is_migratory(d, page);
}

uint64_t dq_dir_touched(const struct dq_dir *d, uint64_t *most)
{
    *most = d->most_touched;
    return d->touched;
}

size_t dq_dir_memory(const struct dq_dir *d)
{
    size_t block = sizeof(struct block) + BLOCK_PAGES * d->words * sizeof(uint64_t);
    size_t slot = 3 * sizeof(void *); /* of a hash table, and what the allocator adds */

    return sizeof(*d) + g_hash_table_size(d->blocks) * (block + slot) +
           g_hash_table_size(d->busy) * (sizeof(struct busy) + slot);
}
