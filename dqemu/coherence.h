/*
 * The coherence engine: directory shard (home side) and page cache (node side).
 *
 * Pure state machines: no threads, no I/O, no clock. An event comes in by a call, actions go
 * out by the callbacks below, which must not call back into the same object (queue instead:
 * messages a node sends to itself are delivered later, in order). Both run on the thread of
 * the node's loop; the simulator and the unit tests run the same code.
 *
 * The protocol (checked by proto/model/coherence.pml); r = requester, keeper = one sharer:
 *
 *  request at the home | entry         | the home sends                          | then
 *  GET_S or GET_X      | Untouched     | GRANT_ZERO to r, a run if its neighbours| Exclusive r
 *                      |               | are untouched, idle and without waiters |
 *  the same, of a file:|               |                                         |
 *   r the master       | Untouched     | GRANT_ZERO (DQ_NODE_FILE), that page    | Exclusive r
 *   r another          | Untouched     | as for Exclusive of the master          |
 *  GET_S               | Shared        | FETCH_S to keeper, who sends DATA_S to r| busy, Shared + r
 *  GET_S               | Exclusive o   | FETCH_S to o, who sends DATA_S to r     | busy, Shared {o, r}
 *  GET_S               | Exclusive o,  | FETCH_M to o, who sends DATA_M to r     | busy, Exclusive r
 *                      | migratory     |                                         |
 *  GET_S or GET_X      | Exclusive r   | GRANT_UP to r (its request crossed a run| unchanged
 *                      |               | granted for its neighbour)              |
 *  GET_X               | Exclusive o   | FETCH_M to o, who sends DATA_M to r     | busy, Exclusive r
 *  GET_X               | Shared {r}    | GRANT_UP to r                           | Exclusive r
 *  GET_X               | Shared        | WAIT(n) to r; INV to the other sharers  | busy, Exclusive r
 *                      |               | (-> ACK to r), one of them FETCH_X if r |
 *                      |               | has no copy                             |
 *  RESET               | any           | INV(DQ_NODE_MAP) to each holder -> RACK | busy, Untouched
 *
 * Migratory pages go from one writer to the next, each of whom reads before it writes (a lock
 * and what it guards): a read moves the page at once, and saves the upgrade. The home takes a
 * page for migratory when a sharer upgrades and only the last owner, another node, shares with
 * it; and for one no more when the last owner itself upgrades (it writes what the other reads), or
 * when a move finds that the owner has not written (DONE with DQ_PAGE_CLEAN). For that,
 * and because it may only be read, what a read moved is Clean at the node: the only copy, mapped
 * for reading; the first write makes it Exclusive without a message. (After Cox and Fowler,
 * "Adaptive cache coherency for detecting migratory shared data", ISCA 1993.)
 *
 * A node that has seen a page written to after each of its last moves takes it as Exclusive at
 * once, but for every ninth time, when it looks again.
 *
 * A node may also make an Exclusive page Clean by itself (it rests): its threads have done with
 * it, as it seems, and who reads it next need not wait for the write protection. The home sees no
 * difference; DQ_PAGE_CLEAN stays what it was, "not written since it came".
 *
 * Pages of a file (of private mappings) begin with its content, which the master can read. Untouched
 * ones are granted to the master as others are, and it fills them from the file instead of with
 * zeroes. For another node, the home takes them for the master's, as if it had touched them before; the
 * master learns that by the FETCH_S or FETCH_M that follows at once, and fills the page before it
 * answers. For the protocol this is a run granted to the master just before that FETCH: so there is no
 * state that was not there before, also if the master has a GET of its own on the way. Whoever holds
 * such a page has its bytes, of the moment in which it was touched; the file is looked at no more.
 * Pages become those of a file, and cease to be, when they are reset.
 *
 * Where the holder that answers a FETCH_S or FETCH_M is the home itself, it says DONE in place of
 * r when it has sent the page (and dropped it, in the latter case): what the home sends to r
 * afterwards comes behind it on the same channel. Between two nodes, a fault so costs one message there and one back.
 *
 * busy ends with DONE from r (or the last RACK); requests meanwhile wait in FIFO order.
 * A node never has more than one GET outstanding per page; a run granted meanwhile installs
 * the page at once, and the answer to the GET still comes (GRANT_UP, or a real transfer if
 * the page had moved on).
 *
 * A holder answers FETCH and INV in every state in which it holds a copy, but may answer
 * late: during the hold time after an arrival, while frozen, and while release() prepares.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_COHERENCE_H
#define DQ_COHERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

/* ------------------------------------------------------------------ home */

struct dq_dir;

struct dq_dir_ops {
    void (*send)(void *ctx, int to, unsigned type, const struct dq_msg_page *m);
    /* All pages of a RESET are untouched and nobody holds them. */
    void (*reset_done)(void *ctx, uint64_t cookie);
};

/* Which node is the home of a page: a hash of its 2 MiB chunk over the nodes. */
#define DQ_CHUNK_PAGES 512u
#define DQ_MOST_WISH 9u /* a chunk, as a power of two */
int dq_home(uint64_t page, int nodes);

/* run_pages: the run granted where no other is wished for (within one chunk), at least 1. */
struct dq_dir *dq_dir_new(int node, int nodes, unsigned run_pages, const struct dq_dir_ops *ops,
                          void *ctx);
void dq_dir_free(struct dq_dir *d);

/*
 * GET_S, GET_X, DONE, RACK of one page from node `from`. -EPROTO if no such message can come now or
 * the page is not homed here: the caller ends the peer; the state is unchanged.
 */
int dq_dir_message(struct dq_dir *d, int from, unsigned type, const struct dq_msg_page *m);

/*
 * The pages of the range that are homed here are exclusive at `owner` (at engagement). -EPROTO
 * if one of them is touched: the state is unchanged.
 */
int dq_dir_own(struct dq_dir *d, int owner, uint64_t page, uint64_t count);

/*
 * Reset the pages of the range that are homed here; reset_done(cookie) comes, maybe at once. From now
 * on those that are untouched are pages of a file, or none.
 */
void dq_dir_reset(struct dq_dir *d, uint64_t page, uint64_t count, bool file, uint64_t cookie);

/*
 * Report, as runs, the touched pages of the range that are homed here and of which `node` has no copy,
 * or not yet; DQ_DIR_NOBODY: all.
 */
#define DQ_DIR_NOBODY (-1)
void dq_dir_list(struct dq_dir *d, int node, uint64_t page, uint64_t count,
                 void (*run)(void *arg, uint64_t page, uint64_t count), void *arg);

/* Who reads the page will write it, too, as it seems. */
bool dq_dir_is_migratory(const struct dq_dir *d, uint64_t page);

/* How many of the pages that are homed here are touched; *most: at once, ever. */
uint64_t dq_dir_touched(const struct dq_dir *d, uint64_t *most);

size_t dq_dir_memory(const struct dq_dir *d); /* bytes of metadata */

/* ------------------------------------------------------------------ node */

struct dq_cache;

/* Clean and Exclusive are the only copy; Clean is mapped for reading, as Shared is. */
enum dq_page_state { DQ_INVALID, DQ_SHARED, DQ_CLEAN, DQ_EXCLUSIVE };

struct dq_cache_ops {
    /*
     * with_page: send the page's bytes along; called only while the page is held. DONE to this
     * node itself is for its directory, and must be there on return: what the peer sends next
     * may not overtake it.
     */
    void (*send)(void *ctx, int to, unsigned type, const struct dq_msg_page *m, bool with_page);
    /* Make the page present; data NULL: zeroes (then count may be > 1); always wakes. */
    void (*install)(void *ctx, uint64_t page, uint32_t count, const void *data, bool writable);
    /*
     * Make a page of a file present and writable, with the file's content as it is now; always wakes.
     * False: it is none, as far as this node knows. The master alone knows any.
     */
    bool (*fill)(void *ctx, uint64_t page);
    void (*make_writable)(void *ctx, uint64_t page); /* to Exclusive; wakes */
    void (*make_readonly)(void *ctx, uint64_t page); /* from Exclusive, before a send or at rest */
    void (*drop)(void *ctx, uint64_t page);          /* -> Invalid, right after the send */
    /*
     * The page is about to be dropped: true if that may happen now. False: something here
     * (translated code) must go first; dq_cache_released() follows, from the loop.
     * For an Exclusive page, make_readonly() was called before, so its bytes are stable.
     */
    bool (*release)(void *ctx, uint64_t page);
    /* Call dq_cache_tick() at `when` (ns, the clock of the `now` arguments). One timer. */
    void (*timer)(void *ctx, uint64_t when);
    /* The page reached `state` (access granted): explicit waiters may look. */
    void (*granted)(void *ctx, uint64_t page, enum dq_page_state state);
};

/*
 * hold_ns: a page that has arrived is kept so long; up to four times as long if it was the only
 * copy, and keeps being wanted back soon after it was given away.
 */
struct dq_cache *dq_cache_new(int node, int nodes, uint64_t hold_ns, const struct dq_cache_ops *ops,
                              void *ctx);
void dq_cache_free(struct dq_cache *c);

/*
 * A thread needs the page. True: the access is allowed, already or from now on (Clean becomes
 * Exclusive); the caller wakes whoever faulted. False: asked for (once), granted() and the
 * pager's wake follow. wish: the run to ask for if the page is untouched, as a power of two.
 */
bool dq_cache_want(struct dq_cache *c, uint64_t page, bool write, unsigned wish, uint64_t now);

/*
 * GRANT_ZERO, GRANT_UP, WAIT, FETCH_*, INV, DATA_*, ACK, of one page. data: the page of
 * DATA_*, else NULL. -EPROTO as above. `from` is checked: home messages from the home only.
 */
int dq_cache_message(struct dq_cache *c, int from, unsigned type, const struct dq_msg_page *m,
                     const void *data, uint64_t now);

void dq_cache_released(struct dq_cache *c, uint64_t page, uint64_t now);
void dq_cache_tick(struct dq_cache *c, uint64_t now);

/*
 * Who had the page has done with it at `when`: if it arrived before, its hold time is over. What
 * was due is answered.
 */
void dq_cache_let_go(struct dq_cache *c, uint64_t page, uint64_t when, uint64_t now);

/* An Exclusive page is kept, without a limit, until dq_cache_let_go(). */
void dq_cache_keep(struct dq_cache *c, uint64_t page, uint64_t now);

/* An Exclusive page becomes Clean. False: it is none, or it has just arrived (hold time). */
bool dq_cache_rest(struct dq_cache *c, uint64_t page, uint64_t now);
bool dq_cache_is_rested(const struct dq_cache *c, uint64_t page); /* Clean by that */

/* Between freeze and thaw nothing is dropped: FETCH_X and INV wait, FETCH_S is served. */
void dq_cache_freeze(struct dq_cache *c);
void dq_cache_thaw(struct dq_cache *c, uint64_t now);

/* These pages are Exclusive here (at engagement). No action follows. */
void dq_cache_own(struct dq_cache *c, uint64_t page, uint64_t count);

enum dq_page_state dq_cache_state(const struct dq_cache *c, uint64_t page);
/* Is there an answer that waits for the end of a hold time? */
bool dq_cache_holds_back(const struct dq_cache *c);
uint64_t dq_cache_held(const struct dq_cache *c); /* pages that are not Invalid */
size_t dq_cache_memory(const struct dq_cache *c); /* bytes of metadata */

#endif
