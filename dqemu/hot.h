/*
 * The pages that are asked for most: where threads of several nodes share. Each node counts for
 * the pages that it is the home of.
 *
 * Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements
 * in data streams", ICDT 2005), within sets of eight: a page that is not counted yet takes over the
 * place and the count of the one asked for least, and remembers how much of it is not its own. So
 * the memory is fixed, a stream over many pages does not push out those that are asked for again
 * and again, and what is reported of a page is never too much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_HOT_H
#define DQ_HOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dq_hot_page {
    uint64_t page;
    uint64_t asked;  /* requests to the home, for reading or writing */
    uint64_t writes; /* those of them for writing */
    uint64_t nodes;  /* who asked: a bit per node */
};

/* On the loop of the page's home. */
void dq_hot_asked(uint64_t page, int from, bool write);

/*
 * The pages asked for most, most first: how many, at most `most`. Those asked for once are not
 * among them. Any thread; while the loop counts on, a page that has just taken over a place may
 * show numbers of the one before.
 */
size_t dq_hot_top(struct dq_hot_page *top, size_t most);

void dq_hot_reset(void); /* in a forked child */

#endif
