/*
 * Space in a ring, given out in one order and taken back in the same: the places that a sender
 * fills in memory which it writes from, and in the equal memory of a receiver that it writes to.
 *
 *     0        tail                 start      head        size
 *     |  free  | taken, oldest first | newest   |  free     |
 *
 * An allocation is contiguous; what is left at the end of the ring when it does not fit there
 * is skipped, and free again when the allocation behind it is. Positions count up for ever; a
 * place is its position modulo the size.
 *
 * Pure: no memory of its own, no threads, never blocks. The caller's lock guards it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROTO_RING_H
#define DQ_PROTO_RING_H

#include <stdbool.h>
#include <stdint.h>

/* Allocations begin at multiples of this: a cache line. */
#define DQ_RING_ALIGN 64u

struct dq_ring {
    uint64_t size;
    uint64_t head;   /* past the newest allocation */
    uint64_t tail;   /* where the oldest one begins, or what was skipped for it */
    uint64_t start;  /* of the newest allocation */
    uint64_t before; /* head, when that was made */
};

/* size: bytes, a multiple of DQ_RING_ALIGN. */
void dq_ring_init(struct dq_ring *r, uint64_t size);

/* `length` bytes at *at. False: there is no room now. */
bool dq_ring_take(struct dq_ring *r, uint64_t length, uint64_t *at);

/* The newest allocation grows by `more` bytes. False: it cannot, and is as before. */
bool dq_ring_extend(struct dq_ring *r, uint64_t more);

/* The newest allocation was not needed: as if it had not been made. Once for each. */
void dq_ring_untake(struct dq_ring *r);

/* Names all allocations up to now, for dq_ring_release(). */
uint64_t dq_ring_mark(const struct dq_ring *r);

/* All allocations that were there at that mark are free; marks in the order they were made. */
void dq_ring_release(struct dq_ring *r, uint64_t mark);

#endif
