/*
 * Which pages the program has touched, for mincore().
 *
 * Their homes know, but for pages that a node was granted because a thread had touched one nearby. Those
 * are noted here until a thread faults in them, or they go elsewhere, which they do because a thread
 * there has touched them. A thread that finds one present does so without a fault: what it has written
 * shows. Only a page that it has read alone, or written zeroes to, is taken for untouched then.
 *
 * Notes and answers: the loop's. The question: of one thread of the master at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "dqemu/runtime.h"
#include "dqemu/uffd.h"

#define WORDS (DQ_RESIDENT_PAGES / 64)

/* A bit per page. */
struct bits {
    uint64_t word[WORDS];
};

struct chunk {
    uint64_t word[DQ_CHUNK_PAGES / 64];
};

struct question {
    uint64_t page, count, cookie;
    int awaited;
    struct bits *touched, untouched;
    struct dq_gate done;
};

static GHashTable *granted; /* chunk number -> struct chunk */
static struct question *asked;
static uint64_t last_cookie;

static void set_bit(uint64_t *words, uint64_t bit)
{
    words[bit / 64] |= UINT64_C(1) << bit % 64;
}

/* ---- notes ---- */

static struct chunk *chunk_of(uint64_t page)
{
    return granted ? g_hash_table_lookup(granted, GSIZE_TO_POINTER(page / DQ_CHUNK_PAGES)) : NULL;
}

static struct chunk *make_chunk(uint64_t page)
{
    struct chunk *c = chunk_of(page);

    if (!granted) {
        granted = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    }
    if (!c) {
        c = g_new0(struct chunk, 1);
        g_hash_table_insert(granted, GSIZE_TO_POINTER(page / DQ_CHUNK_PAGES), c);
    }
    return c;
}

void dq_resident_granted(uint64_t page, uint32_t count)
{
    struct chunk *c = NULL;

    for (uint64_t p = page; p < page + count; p++) {
        if (!dq_ask_is_waited_for(p)) {
            c = c && p % DQ_CHUNK_PAGES ? c : make_chunk(p);
            set_bit(c->word, p % DQ_CHUNK_PAGES);
        }
    }
}

void dq_resident_forget(uint64_t page)
{
    static const struct chunk none;
    struct chunk *c = chunk_of(page);

    if (c) {
        c->word[page % DQ_CHUNK_PAGES / 64] &= ~(UINT64_C(1) << page % 64);
        if (memcmp(c, &none, sizeof(none)) == 0) {
            g_hash_table_remove(granted, GSIZE_TO_POINTER(page / DQ_CHUNK_PAGES));
        }
    }
}

static bool is_noted(uint64_t page)
{
    const struct chunk *c = chunk_of(page);

    return c && (c->word[page % DQ_CHUNK_PAGES / 64] >> page % 64 & 1);
}

/* ---- answers ---- */

static bool is_zero(uint64_t page)
{
    static const uint8_t zeroes[DQ_PAGE_SIZE];
    static uint8_t bytes[DQ_PAGE_SIZE];

    dq_uffd_read(dq_pager_host(page), bytes, 1);
    return memcmp(bytes, zeroes, sizeof(zeroes)) == 0;
}

struct listing {
    uint64_t first;
    struct bits *bits;
};

static void list_run(void *arg, uint64_t page, uint64_t count)
{
    struct listing *l = arg;

    for (uint64_t p = page; p < page + count; p++) {
        set_bit(l->bits->word, p - l->first);
    }
}

static int answer(int from, const struct dq_msg_range *ask)
{
    struct bits bits[2] = {0}; /* touched; and not */
    struct listing l = {ask->page, &bits[0]};

    if (from != 0 || ask->count > DQ_RESIDENT_PAGES || ask->page >> (64 - DQ_PAGE_BITS)) {
        return -EPROTO;
    }
    dq_batch_flush(); /* pages that have left */
    dq_dir_list(dq_pager.dir, DQ_DIR_NOBODY, ask->page, ask->count, list_run, &l);
    for (uint64_t i = 0; i < ask->count; i++) {
        if (is_noted(ask->page + i) && is_zero(ask->page + i)) {
            set_bit(bits[1].word, i);
        }
    }
    dq_node_send2(0, DQ_MSG_RESIDENT, ask, sizeof(*ask), bits, sizeof(bits));
    return 0;
}

static int take_answer(const struct dq_msg_range *m, const void *more, size_t length)
{
    struct question *q = asked;
    struct bits bits[2];

    if (!q || q->cookie != m->cookie || length != sizeof(bits)) {
        return -EPROTO;
    }
    memcpy(bits, more, sizeof(bits));
    for (unsigned i = 0; i < WORDS; i++) {
        q->touched->word[i] |= bits[0].word[i];
        q->untouched.word[i] |= bits[1].word[i];
    }
    if (--q->awaited == 0) {
        asked = NULL;
        for (unsigned i = 0; i < WORDS; i++) {
            q->touched->word[i] &= ~q->untouched.word[i];
        }
        dq_gate_open(&q->done);
    }
    return 0;
}

int dq_resident_message(int from, unsigned type, const void *body, size_t length)
{
    struct dq_msg_range m;

    memcpy(&m, body, sizeof(m)); /* it may lie at any address */
    return type == DQ_MSG_RESIDENT_ASK
               ? answer(from, &m)
               : take_answer(&m, (const uint8_t *)body + sizeof(m), length - sizeof(m));
}

/* ---- the question ---- */

static void post_question(void *arg)
{
    struct question *q = arg;
    struct dq_msg_range m = {q->page, q->count, q->cookie};

    asked = q;
    for (int n = 0; n < dq_pager.count; n++) {
        dq_node_send(n, DQ_MSG_RESIDENT_ASK, &m, sizeof(m));
    }
}

void dq_pager_resident(uint64_t page, uint64_t count, uint64_t touched[DQ_RESIDENT_PAGES / 64])
{
    struct bits bits = {0};
    struct question q = {
        .page = page,
        .count = count,
        .cookie = ++last_cookie,
        .awaited = dq_node_count(),
        .touched = &bits,
    };

    dq_node_post(post_question, &q);
    dq_gate_wait(&q.done);
    memcpy(touched, &bits, sizeof(bits));
}
