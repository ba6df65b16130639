/*
 * The mover: brings the content of a page that is being split onto its shadow pages, or back. Pure,
 * on the loop of node 0; beside the splitter (splitter.h), which says when.
 *
 * It asks for the page and all shadow pages of the slot, to write, as any thread would, and begins
 * again with those that have left meanwhile (a request that was made before the page was closed may
 * still be served) until it has all of them at the same moment. That ends: no thread can access
 * them, so each thread has at most one such request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MOVER_H
#define DQ_MOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define DQ_SPLIT_GRANULES 64u /* shadow pages of a slot; the smallest granule is a 64th of a page */
#define DQ_SPLIT_LEAST_SHIFT 6u
#define DQ_SPLIT_MOST_SHIFT 11u

struct dq_mover;

struct dq_mover_ops {
    /* True: the page is here, Exclusive. False: it is asked for; dq_mover_came() follows. */
    bool (*want)(void *ctx, struct dq_mover *mover, uint64_t page);
    bool (*has)(void *ctx, uint64_t page); /* ... Exclusive */
    void (*read)(void *ctx, uint64_t page, uint32_t count, void *to);
    void (*write)(void *ctx, uint64_t page, uint32_t count, const void *from);
    void (*clear)(void *ctx, uint64_t page, uint32_t count); /* nobody needs the content any more */
    /* Done; the mover is the callback's to free. */
    void (*moved)(void *ctx, struct dq_mover *mover);
};

struct dq_mover {
    struct dq_msg_split what; /* op: DQ_SPLIT_OPEN: apart; DQ_JOIN_OPEN: together */
    uint64_t shadow;          /* the first shadow page of the slot */
    unsigned awaited;
    const struct dq_mover_ops *ops;
    void *ctx;
};

/* Begin. moved() may come at once. */
void dq_mover_start(struct dq_mover *m, const struct dq_msg_split *what, uint64_t shadow,
                    const struct dq_mover_ops *ops, void *ctx);

/* A page that was asked for has been here. moved() may come. */
void dq_mover_came(struct dq_mover *m);

#endif
