/*
 * Space in a ring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/ring.h"

void dq_ring_init(struct dq_ring *r, uint64_t size)
{
    *r = (struct dq_ring){.size = size};
}

bool dq_ring_take(struct dq_ring *r, uint64_t length, uint64_t *at)
{
    uint64_t start = (r->head + DQ_RING_ALIGN - 1) / DQ_RING_ALIGN * DQ_RING_ALIGN;

    if (start % r->size + length > r->size) {
        start += r->size - start % r->size;
    }
    if (length > r->size || start + length - r->tail > r->size) {
        return false;
    }
    r->before = r->head;
    r->start = start;
    r->head = start + length;
    *at = start % r->size;
    return true;
}

bool dq_ring_extend(struct dq_ring *r, uint64_t more)
{
    if (r->start % r->size + (r->head - r->start) + more > r->size ||
        r->head + more - r->tail > r->size) {
        return false;
    }
    r->head += more;
    return true;
}

void dq_ring_untake(struct dq_ring *r)
{
    r->head = r->before;
}

uint64_t dq_ring_mark(const struct dq_ring *r)
{
    return r->head;
}

void dq_ring_release(struct dq_ring *r, uint64_t mark)
{
    r->tail = mark;
}
