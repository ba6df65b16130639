/*
 * Split pages on a node: which pages are split, and where their granules are; on the master also
 * the splitter (splitter.h), on every home the advice when to split (sharing.h).
 *
 * Two places per page in a table that every thread reads without a lock: a page is *open* (an
 * ordinary page), *closed* (on the way from or to being split: nobody may access it) or *split*
 * (accesses go to the shadow page of the granule). The worker changes it, in the order of the
 * master's messages, and of the map's. What the host maps follows: a page that is not open, and
 * shadow pages that are not in use, cannot be accessed, so an access that looked at the table too
 * early traps.
 *
 * Addresses are guest addresses; shadow pages have such, too, above all that the guest can map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SPLIT_H
#define DQ_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "dqemu/config.h"
#include "dqemu/mover.h"
#include "dqemu/splitter.h"

/* All shadow pages there can be: 1 GiB of addresses. */
#define DQ_SHADOW_PAGES ((uint64_t)DQ_SPLIT_MOST * DQ_SPLIT_GRANULES)

/* What the host maps. On the worker. */
struct dq_split_ops {
    /* No access to the page from now on. False: it is not plain data, or the host has no room for the
     * mapping; it is left as it is. */
    bool (*close_page)(uint64_t page);
    void (*open_page)(uint64_t page); /* as the guest's map says */
    void (*close_shadow)(uint64_t page, unsigned count);
    bool (*open_shadow)(uint64_t page, unsigned count); /* false: the host has no room for it */
    /* Translated code forgets addresses of slots that are in no use; threads that run it leave soon. */
    void (*forget_addresses)(void);
    void (*forget_all)(void); /* nothing is split: code that was made for split pages goes */
};

/*
 * The shadow pages are the DQ_SHADOW_PAGES from `shadow` on, and under the pager; the guest's are below
 * `limit`. The table lies at the host's address `place` if that is free, or anywhere (NULL). Once per node,
 * before it has threads that share memory with others. Nothing is split without it.
 */
void dq_split_open(uint64_t shadow, uint64_t limit, void *place, const struct dq_split_ops *ops);

/* ------------------------------------------------ the table; any thread, never blocks */

/*
 * What translated code looks at: for each line of the smallest granule's size, of all memory that
 * the guest can map, what to add to an address in it; 0 if its page is not split. Thinly populated:
 * a page of this table has memory once one of its 512 lines has been split. It changes line by
 * line.
 */
#define DQ_SPLIT_LINE (1u << DQ_SPLIT_LEAST_SHIFT)
const uint64_t *dq_split_deltas(void);
/* Its size in bytes, of addresses rather than memory; 0: there is none. */
size_t dq_split_deltas_size(void);

/* Pages of this node that are split or closed; 0: nothing below need be asked. */
extern unsigned dq_split_count;
static inline bool dq_split_any(void)
{
    return __atomic_load_n(&dq_split_count, __ATOMIC_SEQ_CST) != 0;
}

/* The first shadow page; 0: dq_split_open() has not been called. */
uint64_t dq_split_shadow(void);

enum dq_split_state { DQ_PAGE_IS_OPEN, DQ_PAGE_IS_CLOSED, DQ_PAGE_IS_SPLIT };
enum dq_split_state dq_split_state(uint64_t page);

/*
 * Where the access goes: `addr` itself if its page is not split; the place on the shadow page.
 * *crosses: it touches more than one granule, or goes from or to another page, and has to be done
 * in parts.
 */
uint64_t dq_split_redirect(uint64_t addr, unsigned size, bool *crosses);

/* Changes whenever a page is opened, whole or in granules. */
uint32_t dq_split_changes(void);

/* The page that an address is of: for a shadow page's, the page that has the slot, or had it last. */
uint64_t dq_split_page_of(uint64_t addr);

/* Is it split, or has it been? (Of those that have been, the oldest are forgotten in time.) */
bool dq_split_was_split(uint64_t page);

/*
 * Threads that look up where a granule is, and then go there. *running: the calling thread may be
 * between the two (until dq_split_unregister(), or its end); it says dq_split_passed() now and then,
 * when it is not. Others stand between dq_split_enter() and dq_split_leave(). None of these block.
 */
void dq_split_register(const bool *running);
void dq_split_unregister(void); /* before `running` goes; it is false by then. Of any thread */
void dq_split_passed(void);
void dq_split_enter(void);
void dq_split_leave(void);

/* ------------------------------------------------ any thread; these block */

/* Until the page is not closed. */
void dq_split_wait(uint64_t page);
/* Ask for the page to be joined, until it is open. It may be split again later. */
void dq_split_join(uint64_t page);

/*
 * The kernel is going to access this memory: its pages are joined, and are not split until this
 * thread calls dq_split_unpin(). Not for long on pages that are split often: they cannot be.
 */
void dq_split_pin(uint64_t addr, uint64_t length);
void dq_split_unpin(void); /* all of this thread; does not block */

/*
 * Before the memory map of a range changes: see splitter.h. Node 0, by one thread at a time (who
 * has the turn); ranges add up until dq_split_include().
 */
void dq_split_exclude(uint64_t page, uint64_t count);
void dq_split_include(void);

/* ------------------------------------------------ the pager's; on the loop */

int dq_split_start(const struct dq_config *cfg); /* before the loop runs. 0 or -errno */
void dq_split_forked(void);

/* SPLIT_ASK to SPLIT_DONE. 0; -EPROTO: no such message can come now. */
int dq_split_message(int from, unsigned type, const void *body);

bool dq_split_is_wanted(void); /* not split.pages=0 */

/* A node asks for a page that is homed here. at: 1 + the byte that it wants; 0: not known. */
void dq_split_asked(uint64_t page, int from, bool write, unsigned at);

/* A thread of this node has written to a page at rest. True: it is a shadow page. */
bool dq_split_used(uint64_t page);
/* The page leaves this node. */
void dq_split_gone(uint64_t page);
static inline bool dq_split_is_shadow(uint64_t page)
{
    uint64_t shadow = dq_split_shadow();

    return shadow && page - shadow < DQ_SHADOW_PAGES;
}

#endif
