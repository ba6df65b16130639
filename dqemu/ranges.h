/*
 * A set of pages, as ranges, in which each page has a value: that of the first page of its range, and
 * from page to page a step more. With a step of the page size values are addresses: which pages have a
 * file to come from, and where that is mapped. With none the pages of a range have one in common: which
 * nodes know of them.
 *
 * Pure: no threads, no I/O; nothing blocks or fails. A lookup costs the logarithm of the number of
 * ranges, a change that number.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_RANGES_H
#define DQ_RANGES_H

#include <stdbool.h>
#include <stdint.h>

struct dq_ranges;

struct dq_ranges *dq_ranges_new(uintptr_t step);
void dq_ranges_free(struct dq_ranges *r);

/* The pages are in the set from now on, with these values, and no others; the first one's is given. */
void dq_ranges_set(struct dq_ranges *r, uint64_t page, uint64_t count, uintptr_t value);
/* They are not in the set. A range that reaches beyond all pages ends with them. */
void dq_ranges_clear(struct dq_ranges *r, uint64_t page, uint64_t count);

/* Is the page in the set? If so, *value is its own. */
bool dq_ranges_has(const struct dq_ranges *r, uint64_t page, uintptr_t *value);

/* The same; all pages of [*first, *end), which the page is one of, are or are not, as it is. */
bool dq_ranges_stretch(const struct dq_ranges *r, uint64_t page, uint64_t *first, uint64_t *end);

#endif
