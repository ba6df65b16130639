/*
 * Pages that hold translated code: held while a thread translates from them, and given up
 * only after their translations are gone.
 *
 * A page is in the table from the first hold on, until the engine wants to drop it: then, once no
 * thread translates from it any more, the worker throws its translations away, and the loop lets
 * it go. A page in the table is present and stays so, since dq_code_release() says no to the
 * engine; that is why a further hold needs no word with the loop.
 *
 * No circle of waiting: a thread that holds what it wants waits for the emulator's locks at most,
 * and whoever has those waits for no other node and not for the worker (node.h); so pins go, and
 * the page is given up. A thread that wants two pages has the lower one while it waits for the one
 * behind it. That one comes once who holds it has let go, and he waits, if for a page, for a higher
 * one: such a chain has an end, on whatever nodes its threads are. The worker waits for no pins: the
 * last of them starts it, or it would wait for a thread that waits for its next job.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <pthread.h>

#include "dqemu/gate.h"
#include "dqemu/runtime.h"

struct code_page {
    unsigned pins;  /* threads that translate from it now */
    bool releasing; /* gets no pins any more; only the loop sets and sees the end of it */
    GSList *later;  /* struct hold: asked for meanwhile; the loop's */
};

static struct {
    /* Guards the table and its entries. A leaf: nothing is locked inside it. */
    pthread_mutex_t lock;
    GHashTable *pages; /* page -> struct code_page */
} code = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Neighbours, from the lower one on; the order that keeps the waiting from going in a circle. */
static __thread struct {
    uint64_t page;
    unsigned count;
} held;

struct hold {
    struct dq_waiter waiter; /* first: see hold_met() */
    uint64_t page;
    struct dq_gate done;
};

/* With the lock held. */
static struct code_page *find(uint64_t page)
{
    return code.pages ? g_hash_table_lookup(code.pages, GSIZE_TO_POINTER(page)) : NULL;
}

static struct code_page *make(uint64_t page)
{
    struct code_page *c = find(page);

    if (!code.pages) {
        code.pages = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    }
    if (!c) {
        c = g_new0(struct code_page, 1);
        g_hash_table_insert(code.pages, GSIZE_TO_POINTER(page), c);
    }
    return c;
}

/* ---- holding ---- */

static bool hold_if_known(uint64_t page)
{
    struct code_page *c;
    bool is;

    pthread_mutex_lock(&code.lock);
    c = find(page);
    is = c && !c->releasing;
    if (is) {
        c->pins++;
    }
    pthread_mutex_unlock(&code.lock);
    return is;
}

/* On the loop; the page is present. */
static void hold_met(struct dq_waiter *w, uint64_t page)
{
    struct hold *h = (struct hold *)w;
    struct code_page *c;
    bool is;

    pthread_mutex_lock(&code.lock);
    c = make(page);
    is = !c->releasing;
    if (is) {
        c->pins++;
    } else {
        c->later = g_slist_append(c->later, h);
    }
    pthread_mutex_unlock(&code.lock);
    if (is) {
        dq_gate_open(&h->done);
    }
}

static void hold_on_loop(void *arg)
{
    struct hold *h = arg;

    if (dq_pager_ask(h->page, &h->waiter)) {
        hold_met(&h->waiter, h->page);
    }
}

static void hold_one(uint64_t page)
{
    struct hold h = {.waiter = {.met = hold_met}, .page = page};

    if (!hold_if_known(page)) {
        dq_node_post(hold_on_loop, &h);
        dq_gate_wait(&h.done);
    }
}

void dq_code_hold(uint64_t page, unsigned count)
{
    if (!dq_node_is_live()) {
        return;
    }
    dq_code_unhold(); /* what an aborted translation left */
    held.page = page;
    for (; held.count < count; held.count++) {
        hold_one(page + held.count);
    }
}

/* ---- giving up ---- */

struct release {
    uint64_t page;
};

/*
 * On the loop. The entry goes before the page does: whoever asks from here on asks the
 * engine, behind this function.
 */
static void release_done(void *arg)
{
    struct release *r = arg;
    struct code_page *c;
    GSList *later;

    pthread_mutex_lock(&code.lock);
    c = find(r->page);
    later = c->later;
    g_hash_table_remove(code.pages, GSIZE_TO_POINTER(r->page));
    pthread_mutex_unlock(&code.lock);
    dq_pager_released(r->page);
    for (GSList *l = later; l; l = l->next) {
        hold_on_loop(l->data);
    }
    g_slist_free(later);
    g_free(r);
}

static void release_on_worker(void *arg)
{
    struct release *r = arg;

    dq_node_drop_code(r->page);
    dq_node_post(release_done, r);
}

/* Nobody translates from the page, and nobody will before it is gone. */
static void start_release(uint64_t page)
{
    struct release *r = g_new(struct release, 1);

    r->page = page;
    dq_node_work(release_on_worker, r);
}

static void unhold_one(uint64_t page)
{
    struct code_page *c;
    bool was_last;

    pthread_mutex_lock(&code.lock);
    c = find(page);
    /* In a forked child the table is gone. */
    was_last = c && --c->pins == 0 && c->releasing;
    pthread_mutex_unlock(&code.lock);
    if (was_last) {
        start_release(page);
    }
}

void dq_code_unhold(void)
{
    while (held.count) {
        unhold_one(held.page + --held.count);
    }
}

bool dq_code_release(uint64_t page)
{
    struct code_page *c;
    bool now;

    pthread_mutex_lock(&code.lock);
    c = find(page);
    if (c) {
        c->releasing = true;
    }
    now = c && !c->pins;
    pthread_mutex_unlock(&code.lock);
    if (now) {
        start_release(page);
    }
    return !c;
}

void dq_code_forked(void)
{
    pthread_mutex_init(&code.lock, NULL);
    code.pages = NULL;
    held.count = 0;
}
