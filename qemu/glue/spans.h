/*
 * A set of guest addresses, as ranges that do not overlap, and what belongs to a range follows it when it
 * moves. All zeroes is the empty set. No locks: who calls sees to that. Nothing here blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_SPANS_H
#define DQEMU_SPANS_H

#include "qemu/interval-tree.h"

struct dq_spans {
    IntervalTreeRoot tree;
    uint64_t bytes; /* in all */
};

/* `len` of 0: up to the last address of all. */
void dq_spans_add(struct dq_spans *s, abi_ulong start, abi_ulong len);
void dq_spans_remove(struct dq_spans *s, abi_ulong start, abi_ulong len);
/* What is in the range is at another place, or there as well. */
void dq_spans_move(struct dq_spans *s, abi_ulong start, abi_ulong len, abi_ulong to, bool keep);

bool dq_spans_any(const struct dq_spans *s, abi_ulong start, abi_ulong len);
/* Call fn for what is in the range, piece by piece, until it returns false; false then. */
bool dq_spans_each(const struct dq_spans *s, abi_ulong start, abi_ulong len,
                   bool (*fn)(void *arg, abi_ulong start, abi_ulong len), void *arg);

#endif
