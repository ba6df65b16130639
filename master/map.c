/*
 * The turn, who knows of which range, and the count of answers that are still to come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "master/map.h"

#include <errno.h>
#include <pthread.h>

#include "dqemu/node.h"
#include "dqemu/ranges.h"

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* Guarded by the turn. */
static struct dq_ranges
    *known;        /* of each page a bit per node that knows of it; NULL: nobody does */
static int caller; /* the node of the thread whose call it is */

static_assert(DQ_MAX_NODES <= 8 * sizeof(uintptr_t), "a value of `known` has a bit per node");

/* Guards `awaited`; innermost. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static unsigned awaited;

void dq_map_begin(void)
{
    pthread_mutex_lock(&turn);
    caller = 0;
}

void dq_map_for(int node)
{
    caller = node;
}

void dq_map_end(void)
{
    pthread_mutex_unlock(&turn);
}

static void expect(unsigned answers)
{
    pthread_mutex_lock(&lock);
    awaited += answers;
    pthread_mutex_unlock(&lock);
}

static uintptr_t bit_of(int node)
{
    return (uintptr_t)1 << node;
}

static uintptr_t all_others(void)
{
    return (~(uintptr_t)0 >> (8 * sizeof(uintptr_t) - (unsigned)dq_node_count())) & ~bit_of(0);
}

static uintptr_t knows_page(uint64_t page)
{
    uintptr_t nodes = 0;

    return known && dq_ranges_has(known, page, &nodes) ? nodes : 0;
}

/* Who knows of some of the pages. */
static uintptr_t who_knows(uint64_t page, uint64_t count)
{
    uint64_t end = page + count, first, to;
    uintptr_t nodes = 0;

    for (; known && page < end; page = to) {
        if (dq_ranges_stretch(known, page, &first, &to)) {
            nodes |= knows_page(page);
        }
    }
    return nodes;
}

static void set_known(uint64_t page, uint64_t count, uintptr_t nodes)
{
    if (!known) {
        known = dq_ranges_new(0);
    }
    if (nodes) {
        dq_ranges_set(known, page, count, nodes);
    } else {
        dq_ranges_clear(known, page, count);
    }
}

/* `quiet`: the nodes that need not answer. */
static void tell(uintptr_t nodes, uintptr_t quiet, struct dq_msg_map m)
{
    expect((unsigned)__builtin_popcountll(nodes & ~quiet));
    for (int n = 1; n < dq_node_count(); n++) {
        if (nodes & bit_of(n)) {
            m.quiet = (quiet & bit_of(n)) != 0;
            dq_node_send(n, DQ_MSG_MAP, &m, sizeof(m));
        }
    }
}

static struct dq_msg_map message(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags)
{
    return (struct dq_msg_map){
        .start = start, .length = length, .op = (uint16_t)op, .flags = flags};
}

static void tell_known(struct dq_msg_map m, bool at_last)
{
    uint64_t page = m.start >> DQ_PAGE_BITS, count = m.length >> DQ_PAGE_BITS;
    uintptr_t ask = m.op == DQ_MAP_FORBID ? 0 : bit_of(caller) & ~bit_of(0);
    uintptr_t nodes = who_knows(page, count) | ask;

    tell(nodes, at_last ? ask : 0, m);
    set_known(page, count, m.op == DQ_MAP_FORBID ? 0 : nodes);
}

void dq_map_tell(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags)
{
    tell_known(message(op, start, length, flags), false);
}

void dq_map_tell_at_last(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags)
{
    tell_known(message(op, start, length, flags), true);
}

void dq_map_tell_all(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags)
{
    tell(all_others(), 0, message(op, start, length, flags));
    set_known(start >> DQ_PAGE_BITS, length >> DQ_PAGE_BITS, all_others());
}

void dq_map_tell_one(int node, enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags)
{
    uint64_t page = start >> DQ_PAGE_BITS, end = page + (length >> DQ_PAGE_BITS), first, to;

    tell(bit_of(node), bit_of(node), message(op, start, length, flags));
    for (; page < end; page = to) {
        uintptr_t nodes = knows_page(page);

        if (known) {
            dq_ranges_stretch(known, page, &first, &to);
        } else {
            to = end;
        }
        to = to < end ? to : end;
        set_known(page, to - page, nodes | bit_of(node));
    }
}

static bool knows(int node, uint64_t page)
{
    return knows_page(page) & bit_of(node);
}

bool dq_map_is_known(int node, uint64_t address, uint64_t *first, uint64_t *last)
{
    uint64_t page = address >> DQ_PAGE_BITS, low = *first >> DQ_PAGE_BITS;
    uint64_t high = *last >> DQ_PAGE_BITS, from = page, to = page, unused;
    bool is = knows(node, page);

    if (!known) {
        return false;
    }
    dq_ranges_stretch(known, page, &from, &to);
    while (from > low && knows(node, from - 1) == is) {
        dq_ranges_stretch(known, from - 1, &from, &unused);
    }
    while (to <= high && knows(node, to) == is) {
        dq_ranges_stretch(known, to, &unused, &to);
    }
    *first = from > low ? from << DQ_PAGE_BITS : *first;
    *last = to <= high ? (to << DQ_PAGE_BITS) - 1 : *last;
    return is;
}

void dq_map_tell_globals(const void *globals, size_t length)
{
    struct dq_msg_cookie m = {0};

    expect((unsigned)dq_node_count() - 1);
    for (int n = 1; n < dq_node_count(); n++) {
        dq_node_send2(n, DQ_MSG_GLOBALS, &m, sizeof(m), globals, length);
    }
}

void dq_map_wait(void)
{
    pthread_mutex_lock(&lock);
    while (awaited) {
        pthread_cond_wait(&answered, &lock);
    }
    pthread_mutex_unlock(&lock);
}

int dq_map_message(const struct dq_msg_cookie *m)
{
    int err = 0;

    (void)m;
    pthread_mutex_lock(&lock);
    if (!awaited) {
        err = -EPROTO;
    } else if (--awaited == 0) {
        pthread_cond_signal(&answered);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

void dq_map_forked(void)
{
    pthread_mutex_init(&turn, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&answered, NULL);
    awaited = 0;
    dq_ranges_free(known);
    known = NULL;
}
