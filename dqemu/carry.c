/*
 * The memory of a delegated system call, as bytes that travel with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "dqemu/carry.h"

/* Ranges of our own, aligned for all that the kernel may find in them, with a byte behind each. */
#define ROOM(length) (((size_t)(length) + 16) & ~(size_t)15)
/* In a message. */
#define PADDED(length) (((size_t)(length) + DQ_CARRY_ALIGN - 1) & ~(size_t)(DQ_CARRY_ALIGN - 1))

/* How many of the bytes from `at` on have changed, or have not. */
static size_t run_of(const uint8_t *now, const uint8_t *before, size_t length, size_t at,
                     bool changed)
{
    size_t end = at;

    if (!changed) {
        while (end + 64 <= length && memcmp(now + end, before + end, 64) == 0) {
            end += 64;
        }
    }
    while (end < length && (now[end] != before[end]) == changed) {
        end++;
    }
    return end - at;
}

bool dq_carry_changes(uint64_t addr, const uint8_t *now, const uint8_t *before, size_t length,
                      bool (*store)(uint64_t addr, const uint8_t *bytes, size_t length))
{
    bool good = true;
    size_t at = 0, n;

    while (good && at < length) {
        at += run_of(now, before, length, at, false);
        n = run_of(now, before, length, at, true);
        good = n == 0 || store(addr + at, now + at, n);
        at += n;
    }
    return good;
}

/* ------------------------------------------------------------- the list */

static bool overlaps(const struct dq_carry_range *r, uint64_t addr, uint64_t length)
{
    return r->addr < addr + length && addr < r->addr + r->length;
}

static void take_out(struct dq_carry_list *l, unsigned i)
{
    l->bytes -= l->range[i].length;
    l->count--;
    memmove(&l->range[i], &l->range[i + 1], (l->count - i) * sizeof(l->range[0]));
}

bool dq_carry_add(struct dq_carry_list *l, uint64_t addr, uint64_t length, enum dq_carry_use use,
                  unsigned unit)
{
    if (length == 0) {
        return true;
    }
    if (length > DQ_CARRY_BYTES || addr + length < addr) {
        return false;
    }
    for (unsigned i = 0; i < l->count;) {
        const struct dq_carry_range r = l->range[i];
        uint64_t end = addr + length;

        if (!overlaps(&r, addr, length)) {
            i++;
            continue;
        }
        if (use == DQ_CARRY_FILLED || r.use == DQ_CARRY_FILLED) {
            return false;
        }
        use = MAX(use, r.use);
        end = MAX(end, r.addr + r.length);
        addr = MIN(addr, r.addr);
        length = end - addr;
        take_out(l, i);
        i = 0; /* it may reach others by now */
    }
    if (l->count == DQ_CARRY_MOST || length > DQ_CARRY_BYTES - l->bytes) {
        return false;
    }
    l->range[l->count++] =
        (struct dq_carry_range){.addr = addr, .length = length, .use = use, .unit = unit};
    l->bytes += length;
    return true;
}

/* ------------------------------------------------------------- the message */

static size_t bytes_sent(const struct dq_carry_range *r)
{
    return r->use == DQ_CARRY_FILLED ? 0 : PADDED(r->length);
}

static size_t size_of(const struct dq_carry_range *r, unsigned count)
{
    size_t size = sizeof(struct dq_carry) + count * sizeof(*r) + DQ_CARRY_ALIGN;

    for (unsigned i = 0; i < count; i++) {
        size += bytes_sent(&r[i]);
    }
    return size;
}

size_t dq_carry_size(const struct dq_carry_list *l)
{
    return size_of(l->range, l->count);
}

bool dq_carry_pack(const struct dq_carry_list *l, void *message,
                   bool (*load)(uint64_t addr, uint8_t *to, size_t length))
{
    struct dq_carry *c = message;
    struct dq_carry_range *range = (struct dq_carry_range *)(c + 1);
    uint8_t *to = (uint8_t *)(range + l->count);
    bool good = true;

    *c = (struct dq_carry){.count = l->count};
    memcpy(range, l->range, l->count * sizeof(*range));
    for (unsigned i = 0; good && i < l->count; i++) {
        if (range[i].use != DQ_CARRY_FILLED) {
            good = load(range[i].addr, to, range[i].length);
            memset(to + range[i].length, 0, bytes_sent(&range[i]) - range[i].length);
            to += bytes_sent(&range[i]);
        }
    }
    memset(to, 0, good ? DQ_CARRY_ALIGN : 0);
    return good;
}

/* ------------------------------------------------------------- the answer, at the slave */

/* What an answer says of a range: bytes that come for it, of those that follow. */
struct part {
    size_t length;
    const uint8_t *bytes;
};

/* Of each range of the message. -EPROTO: lengths that none of its calls can have. */
static int read_answer(const struct dq_carry *c, const struct dq_carry_range *range,
                       const uint8_t *answer, size_t length, struct part *part)
{
    unsigned written = 0, at = 0;
    const uint8_t *bytes;
    size_t left;

    for (unsigned i = 0; i < c->count; i++) {
        written += range[i].use != DQ_CARRY_IN;
    }
    if (length < written * sizeof(uint32_t)) {
        return -EPROTO;
    }
    bytes = answer + written * sizeof(uint32_t);
    left = length - written * sizeof(uint32_t);
    for (unsigned i = 0; i < c->count; i++) {
        uint32_t n = 0;

        if (range[i].use != DQ_CARRY_IN) {
            memcpy(&n, answer + sizeof(n) * at++, sizeof(n));
        }
        if (n > left || n > range[i].length ||
            (n && n < range[i].length && range[i].use == DQ_CARRY_IN_OUT)) {
            return -EPROTO;
        }
        part[i] = (struct part){n, bytes};
        bytes += n;
        left -= n;
    }
    return left ? -EPROTO : 0;
}

int dq_carry_unpack(const void *message, const void *answer, size_t length,
                    const struct dq_carry_ops *ops, bool *stored)
{
    const struct dq_carry *c = message;
    const struct dq_carry_range *range = (const struct dq_carry_range *)(c + 1);
    const uint8_t *sent = (const uint8_t *)(range + c->count);
    struct part part[DQ_CARRY_MOST];
    bool good = true;

    if (read_answer(c, range, answer, length, part)) {
        return -EPROTO;
    }
    for (unsigned i = 0; i < c->count; i++) {
        const struct dq_carry_range *r = &range[i];

        if (part[i].length) {
            ops->begin(r->addr, part[i].length);
            good &= r->use == DQ_CARRY_FILLED
                        ? ops->store(r->addr, part[i].bytes, part[i].length)
                        : dq_carry_changes(r->addr, part[i].bytes, sent, r->length, ops->store);
        }
        sent += bytes_sent(r);
    }
    *stored = good;
    return 0;
}

/* ------------------------------------------------------------- the overlay, at the proxy */

/* Is it a message that dq_carry_pack() makes? */
static bool is_message(const struct dq_carry *c, size_t length)
{
    const struct dq_carry_range *r = (const struct dq_carry_range *)(c + 1);
    size_t bytes = 0;

    if (length < sizeof(*c) || c->zero || c->count > DQ_CARRY_MOST ||
        length < sizeof(*c) + c->count * sizeof(*r)) {
        return false;
    }
    for (unsigned i = 0; i < c->count; i++) {
        if (r[i].use >= DQ_CARRY_USES || r[i].length == 0 || r[i].length > DQ_CARRY_BYTES - bytes ||
            r[i].addr + r[i].length < r[i].addr || !r[i].unit != (r[i].use != DQ_CARRY_FILLED)) {
            return false;
        }
        bytes += r[i].length;
    }
    return length == size_of(r, c->count);
}

int dq_overlay_open(struct dq_overlay *o, void *message, size_t length,
                    const struct dq_carry_ops *ops)
{
    const struct dq_carry *c = message;
    const struct dq_carry_range *range = (const struct dq_carry_range *)(c + 1);
    size_t room = 0;
    uint8_t *sent, *ours;

    if (!is_message(c, length)) {
        return -EPROTO;
    }
    for (unsigned i = 0; i < c->count; i++) {
        room += range[i].use == DQ_CARRY_IN ? 0 : ROOM(range[i].length);
    }
    o->count = c->count;
    o->range = range;
    o->ops = ops;
    o->memory = g_malloc0(room);
    sent = (uint8_t *)message + sizeof(*c) + c->count * sizeof(*range);
    ours = o->memory;
    for (unsigned i = 0; i < o->count; i++) {
        o->place[i].used = o->place[i].gone = false;
        o->place[i].sent = sent;
        o->place[i].ours = range[i].use == DQ_CARRY_IN ? sent : ours;
        if (range[i].use == DQ_CARRY_IN_OUT) {
            memcpy(ours, sent, range[i].length);
        }
        ours += range[i].use == DQ_CARRY_IN ? 0 : ROOM(range[i].length);
        sent += bytes_sent(&range[i]);
    }
    return 0;
}

/* What a range that is gone has changed since it was sent, or since this was called last. */
static bool give_back(struct dq_overlay *o, unsigned i)
{
    const struct dq_carry_range *r = &o->range[i];
    bool good = true;

    if (r->use == DQ_CARRY_IN_OUT && memcmp(o->place[i].ours, o->place[i].sent, r->length) != 0) {
        o->ops->begin(r->addr, r->length);
        good =
            dq_carry_changes(r->addr, o->place[i].ours, o->place[i].sent, r->length, o->ops->store);
        memcpy(o->place[i].sent, o->place[i].ours, r->length);
    }
    return good;
}

uint8_t *dq_overlay_find(struct dq_overlay *o, uint64_t addr, uint64_t length, bool write)
{
    for (unsigned i = 0; i < o->count; i++) {
        const struct dq_carry_range *r = &o->range[i];
        uint64_t offset = addr - r->addr;

        if (o->place[i].gone || !overlaps(r, addr, length)) {
            continue;
        }
        if (addr >= r->addr && length <= r->length - offset && !(write && r->use == DQ_CARRY_IN)) {
            o->place[i].used = true;
            return o->place[i].ours + offset;
        }
        /* What is filled is known when the call is over, and whoever fills it has its address. */
        if (r->use != DQ_CARRY_FILLED || !o->place[i].used) {
            o->place[i].gone = true;
            give_back(o, i); /* memory that has gone is found so by who accesses it now */
        }
    }
    return NULL;
}

ssize_t dq_overlay_strlen(const struct dq_overlay *o, uint64_t addr)
{
    for (unsigned i = 0; i < o->count; i++) {
        const struct dq_carry_range *r = &o->range[i];

        if (!o->place[i].gone && r->use != DQ_CARRY_FILLED && overlaps(r, addr, 1)) {
            const uint8_t *from = o->place[i].ours + (addr - r->addr);
            const uint8_t *end = memchr(from, 0, r->length - (addr - r->addr));

            return end ? end - from : -1;
        }
    }
    return -1;
}

bool dq_overlay_answer(struct dq_overlay *o, int64_t value, GByteArray *out)
{
    uint32_t length[DQ_CARRY_MOST] = {0};
    unsigned written = 0;
    bool good = true;

    for (unsigned i = 0; i < o->count; i++) {
        const struct dq_carry_range *r = &o->range[i];

        if (r->use == DQ_CARRY_IN) {
            continue;
        }
        if (o->place[i].gone) {
            good &= give_back(o, i);
        } else if (r->use == DQ_CARRY_IN_OUT) {
            length[written] = o->place[i].used ? r->length : 0;
        } else if (value > 0) { /* the first ones are filled first */
            length[written] = MIN((uint64_t)value, r->length / r->unit) * r->unit;
            value -= length[written] / r->unit;
        }
        written++;
    }
    g_byte_array_append(out, (const guint8 *)length, written * sizeof(length[0]));
    written = 0;
    for (unsigned i = 0; i < o->count; i++) {
        if (o->range[i].use != DQ_CARRY_IN) {
            g_byte_array_append(out, o->place[i].ours, length[written++]);
        }
    }
    return good;
}

void dq_overlay_close(struct dq_overlay *o)
{
    g_free(o->memory);
    o->memory = NULL;
    o->count = 0;
}
