/*
 * Which pages should be split, and which joined again: what their homes make of the requests that
 * they see. Pure; on the loop. It only advises: the splitter decides (splitter.h), and may say no.
 *
 * A page: its latest requests, each with the node, the byte that was wanted and whether for
 * writing, are looked at as they would be with granules of each size. A request would remain if,
 * since the same node asked for the same granule before, another node did, and either was for
 * writing. If more remain for the page as it is than the share allows, the largest granules of
 * which few enough remain are advised (tunables split.window, split.period_ms, split.share).
 *
 * A slot of shadow pages: join it if one node has all parts that anybody asked for, and this stays
 * so for a while (split.idle_ms): the others have done with it. Or if nodes take its parts from
 * each other as often as they would take the page (split.take_us): the parts are shared themselves,
 * or nodes go through all of them, and one request would do where many are made.
 *
 * Times are nanoseconds of one monotonic clock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SHARING_H
#define DQ_SHARING_H

#include <stdbool.h>
#include <stdint.h>

struct dq_sharing;

struct dq_sharing_rules {
    unsigned window;    /* requests; at most 32 */
    unsigned share;     /* per cent that may remain */
    uint64_t period_ns; /* a window may not take longer */
    uint64_t idle_ns;
    uint64_t take_ns; /* parts that are taken more often than this, on average, are not worth it */
    bool force; /* split whenever two nodes write a page, smallest granules; advise no joins */
};

struct dq_sharing *dq_sharing_new(const struct dq_sharing_rules *rules);
void dq_sharing_free(struct dq_sharing *s);

/* A node asks for the page; `at` is the byte that it wants. The granules advised, as a power of two; 0:
 * leave the page as it is. */
unsigned dq_sharing_asked(struct dq_sharing *s, uint64_t page, int node, bool write, unsigned at,
                          uint64_t now);

/* A node asks for a shadow page. True: join the slot, now. */
bool dq_sharing_slot_asked(struct dq_sharing *s, uint32_t slot, unsigned granule, int node,
                           uint64_t now);

/* When dq_sharing_idle() should be called; 0: not before the next dq_sharing_slot_asked(). */
uint64_t dq_sharing_due(const struct dq_sharing *s);

/* The next slot of which one node (*node) has had all parts for long enough. False: no more. */
bool dq_sharing_idle(struct dq_sharing *s, uint64_t now, uint32_t *slot, int *node);

/* The slot is in no use any more. */
void dq_sharing_forget(struct dq_sharing *s, uint32_t slot);

#endif
