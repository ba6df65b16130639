/*
 * The splitter: the master's part in page splitting. A pure state machine, like the engine of
 * coherence.h: events come in by calls, actions go out by the callbacks, which must not call back.
 *
 * A page whose parts several nodes write in turn is split: each granule (64 B to 2 KiB) of it lives
 * on a shadow page of its own, at the same offset, and shadow pages are coherent like all others.
 * Shadow pages lie above the guest's memory, DQ_SPLIT_GRANULES to a slot (dqemu/split.h). Splitting
 * and joining are transactions above the base protocol, which they do not change: while the content
 * moves, no thread of any node can access either place, and the master gets the pages by ordinary
 * requests.
 *
 *  state    | event                     | the master                              | then
 *  none     | ask(page)                 | tells SPLIT_CLOSE to every node         | closing
 *  closing  | the last SPLIT_DONE       | moves: GET_X of the page and of its     | apart
 *           |                           | shadow pages, copies the granules       |
 *  closing  | the last SPLIT_DONE, some | tells JOIN_OPEN                         | opening (page)
 *           | node refused              |                                         |
 *  apart    | moved                     | tells SPLIT_OPEN                        | opening (granules)
 *  opening  | the last SPLIT_DONE       |                                         | split
 *  split    | join(page), exclude(page) | tells JOIN_CLOSE                        | closing (granules)
 *  closing  | the last SPLIT_DONE       | moves: GET_X of the shadow pages and    | together
 *           |                           | of the page, copies them into the page  |
 *  together | moved                     | tells JOIN_OPEN                         | opening (page)
 *  opening  | the last SPLIT_DONE       | the slot is retired                     | none
 *
 * (opening the page ends in none, opening the granules in split.) A join that is asked for earlier
 * waits until the page is split. A node refuses to close a page that it needs as it is: a system
 * call has a buffer there, or it is not ordinary data (mapped executable, or not at all).
 *
 * Why it is right: a node answers SPLIT_CLOSE (JOIN_CLOSE) when its threads cannot reach the page
 * (the granules) any more, and reaches the granules (the page) only after SPLIT_OPEN (JOIN_OPEN),
 * which comes after all nodes have answered and the content has moved: so no access meets an old
 * place after another has met the new one, and the copy sees every write that was done before. A
 * request that a node has made before it closed may still be served later and move a page that
 * nobody can access around: therefore the move begins again until it has all pages at the same
 * moment. proto/model/split.pml checks this, with an unmapping beside it.
 *
 * Slots: a thread may have looked up where a granule is, and then be delayed for any time before it
 * goes there. While the slot is in no use, it traps. Used again, the slot would be another page's:
 * so slots are retired first, and when there are many of them, the master tells SPLIT_RETIRE; a
 * node answers when each of its threads has been out of such a sequence since.
 *
 * The map: a call that changes the guest's memory map first excludes its range: no page of it is
 * split until include(), and those that are split, or on the way, are joined first.
 *
 * All on the loop of node 0. Times are nanoseconds of one monotonic clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SPLITTER_H
#define DQ_SPLITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

struct dq_splitter;

struct dq_splitter_ops {
    /* Send SPLIT to every node, this one too; each answers once: dq_splitter_done(). */
    void (*tell)(void *ctx, const struct dq_msg_split *m);
    /* Move the content (m->op: DQ_SPLIT_OPEN: apart, DQ_JOIN_OPEN: together); then moved(). */
    void (*move)(void *ctx, const struct dq_msg_split *m);
    /* Nothing of the excluded ranges is split, or on the way: once after each exclude(). */
    void (*excluded)(void *ctx);
};

struct dq_splitter_stats {
    uint64_t splits, merges;
    unsigned pages;               /* split, or on the way */
    unsigned shadow, shadow_most; /* shadow pages of them: now, at most so far */
};

/*
 * most: pages split at once, at most DQ_SPLIT_MOST. cool_ns: see the tunables; `even`: always the
 * same time. retire: slots that are retired together (fewer when there is no other slot), at least
 * 1.
 */
#define DQ_SPLIT_MOST 4096u
struct dq_splitter *dq_splitter_new(int nodes, unsigned most, uint64_t cool_ns, bool even,
                                    unsigned retire, const struct dq_splitter_ops *ops, void *ctx);
void dq_splitter_free(struct dq_splitter *s);

/*
 * Please split the page into granules of 1 << shift bytes. False: not now (it is split, excluded or
 * has just been joined; there are too many).
 */
bool dq_splitter_ask(struct dq_splitter *s, uint64_t page, unsigned shift, uint64_t now);

/* Please join the page. No effect if it is not split, nor on the way. */
void dq_splitter_join(struct dq_splitter *s, uint64_t page);
/*
 * The same; and splitting it was not worth it, so its neighbours, which are likely to be used
 * alike, are left alone as well, all of an aligned 256 KiB: for eight cool-downs, twice as long
 * each time.
 */
void dq_splitter_regret(struct dq_splitter *s, uint64_t page);

/* A node's SPLIT_DONE. 0, or -EPROTO: no such answer can come now. */
int dq_splitter_done(struct dq_splitter *s, int node, const struct dq_msg_split *m, uint64_t now);

void dq_splitter_moved(struct dq_splitter *s, uint64_t page);

/* Ranges add up until include(), which ends all of them. excluded() may come at once. */
void dq_splitter_exclude(struct dq_splitter *s, uint64_t page, uint64_t count);
void dq_splitter_include(struct dq_splitter *s);

struct dq_splitter_stats dq_splitter_stats(const struct dq_splitter *s);

#endif
