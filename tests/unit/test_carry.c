/*
 * What travels with a call: lists of ranges, and calls that find their memory in an overlay, against the
 * same accesses made in place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "dqemu/carry.h"

enum { BYTES = 512, BASE = 0x10000, ROUNDS = 20000 };

/* The guest's memory as it is, and as it would be if the call had been made in place. */
static uint8_t memory[BYTES], want[BYTES];
static bool gone; /* the memory */
static uint64_t begun;
static size_t begun_length;

static bool load(uint64_t addr, uint8_t *to, size_t length)
{
    g_assert_true(addr >= BASE && addr + length <= BASE + BYTES);
    memcpy(to, memory + (addr - BASE), length);
    return !gone;
}

static bool store(uint64_t addr, const uint8_t *bytes, size_t length)
{
    g_assert_true(addr >= begun && addr + length <= begun + begun_length);
    if (!gone) {
        memcpy(memory + (addr - BASE), bytes, length);
    }
    return !gone;
}

static void begin(uint64_t addr, size_t length)
{
    g_assert_true(addr >= BASE && addr + length <= BASE + BYTES);
    begun = addr;
    begun_length = length;
}

static const struct dq_carry_ops ops = {.begin = begin, .store = store};

static unsigned below(unsigned n)
{
    return (unsigned)g_test_rand_int_range(0, (gint32)n);
}

static void fill_memory(void)
{
    for (unsigned i = 0; i < BYTES; i++) {
        memory[i] = want[i] = (uint8_t)below(256);
    }
}

/* Of a list; in guest byte order, its trailing zeroes too. */
static void *packed(const struct dq_carry_list *l, size_t *length)
{
    void *message = g_malloc(*length = dq_carry_size(l));

    memset(message, 'u', *length);
    g_assert_true(dq_carry_pack(l, message, load));
    return message;
}

/* ---- lists */

static void test_ranges_become_one(void)
{
    struct dq_carry_list l = {0};

    g_assert_true(dq_carry_add(&l, BASE, 0, DQ_CARRY_IN, 0));
    g_assert_cmpuint(l.count, ==, 0);
    g_assert_true(dq_carry_add(&l, BASE, 16, DQ_CARRY_IN, 0));
    g_assert_true(dq_carry_add(&l, BASE + 32, 16, DQ_CARRY_IN, 0));
    g_assert_true(dq_carry_add(&l, BASE + 16, 8, DQ_CARRY_IN_OUT, 0)); /* beside, not over it */
    g_assert_cmpuint(l.count, ==, 3);
    g_assert_true(dq_carry_add(&l, BASE + 8, 25, DQ_CARRY_IN, 0)); /* over all of them */
    g_assert_cmpuint(l.count, ==, 1);
    g_assert_cmpuint(l.range[0].addr, ==, BASE);
    g_assert_cmpuint(l.range[0].length, ==, 48);
    g_assert_cmpuint(l.range[0].use, ==, DQ_CARRY_IN_OUT);
    g_assert_cmpuint(l.bytes, ==, 48);
    g_assert_true(dq_carry_add(&l, BASE + 48, 8, DQ_CARRY_FILLED, 1));
    g_assert_false(dq_carry_add(&l, BASE + 55, 1, DQ_CARRY_IN, 0));
    g_assert_false(dq_carry_add(&l, BASE + 47, 1, DQ_CARRY_FILLED, 1));
}

static void test_limits(void)
{
    struct dq_carry_list l = {0};

    g_assert_false(dq_carry_add(&l, BASE, DQ_CARRY_BYTES + 1, DQ_CARRY_IN, 0));
    g_assert_false(dq_carry_add(&l, BASE, UINT64_MAX, DQ_CARRY_IN, 0));
    g_assert_false(dq_carry_add(&l, UINT64_MAX - 3, 8, DQ_CARRY_IN, 0));
    g_assert_true(dq_carry_add(&l, BASE, DQ_CARRY_BYTES - DQ_CARRY_MOST + 1, DQ_CARRY_IN, 0));
    for (unsigned i = 1; i < DQ_CARRY_MOST; i++) {
        g_assert_true(dq_carry_add(&l, 2 * i, 1, DQ_CARRY_IN, 0));
    }
    g_assert_cmpuint(l.bytes, ==, DQ_CARRY_BYTES);
    g_assert_false(dq_carry_add(&l, 1, 1, DQ_CARRY_IN, 0));
    l = (struct dq_carry_list){0};
    g_assert_true(dq_carry_add(&l, BASE, DQ_CARRY_BYTES, DQ_CARRY_IN, 0));
    g_assert_false(dq_carry_add(&l, 1, 1, DQ_CARRY_IN, 0));
}

/* ---- calls */

static struct dq_overlay o;

/* An access of the call: in the overlay, or in place. */
static void access_memory(uint64_t addr, size_t length, bool write)
{
    uint8_t *p = dq_overlay_find(&o, addr, length, write);

    p = p ? p : memory + (addr - BASE);
    g_assert_true(memcmp(p, want + (addr - BASE), length) == 0);
    for (size_t i = 0; write && i < length; i++) {
        if (below(3) == 0) { /* often what is there already stays */
            p[i] = want[addr - BASE + i] = (uint8_t)below(256);
        }
    }
}

/* Ranges of which those that are filled come first in memory, and others mostly lie beyond. */
static void random_list(struct dq_carry_list *l, unsigned *filled, unsigned unit)
{
    unsigned at = below(16);

    *l = (struct dq_carry_list){0};
    *filled = 0;
    for (unsigned i = below(4); i > 0; i--) {
        unsigned n = (1 + below(8)) * unit + below(unit);

        g_assert_true(dq_carry_add(l, BASE + at, n, DQ_CARRY_FILLED, unit));
        *filled += n / unit;
        at += n + below(4);
    }
    for (unsigned i = 1 + below(6); i > 0; i--) {
        unsigned from = at + below(BYTES - at - 64);

        g_assert_true(
            dq_carry_add(l, BASE + from, below(64), below(2) ? DQ_CARRY_IN : DQ_CARRY_IN_OUT, 0));
    }
}

static void check_disjoint(const struct dq_carry_list *l)
{
    uint8_t covered[BYTES] = {0};
    size_t bytes = 0;

    for (unsigned i = 0; i < l->count; i++) {
        bytes += l->range[i].length;
        for (unsigned b = 0; b < l->range[i].length; b++) {
            g_assert_false(covered[l->range[i].addr - BASE + b]++);
        }
    }
    g_assert_cmpuint(bytes, ==, l->bytes);
}

/* So many units, as a read fills its buffers. */
static void fill(const struct dq_carry_list *l, unsigned count)
{
    for (unsigned i = 0; i < l->count && count; i++) {
        const struct dq_carry_range *r = &l->range[i];
        unsigned n;
        uint8_t *p;

        if (r->use != DQ_CARRY_FILLED) {
            continue;
        }
        n = MIN(count, r->length / r->unit);
        p = dq_overlay_find(&o, r->addr, r->length, true);
        p = p ? p : memory + (r->addr - BASE);
        for (unsigned b = 0; b < n * r->unit; b++) {
            p[b] = want[r->addr - BASE + b] = (uint8_t)below(256);
        }
        count -= n;
    }
}

/* Is all of it beyond what is filled? Nobody looks at that before the call is over. */
static bool is_plain(const struct dq_carry_list *l, uint64_t addr, size_t length)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (l->range[i].use == DQ_CARRY_FILLED && l->range[i].addr < addr + length &&
            addr < l->range[i].addr + l->range[i].length) {
            return false;
        }
    }
    return true;
}

/* Somebody else writes where the call has changed nothing since it began, beside what it fills. */
static void write_beside(const struct dq_carry_list *l, const uint8_t *at_begin)
{
    for (unsigned i = 0; i < BYTES; i++) {
        if (want[i] == at_begin[i] && is_plain(l, BASE + i, 1) && below(8) == 0) {
            memory[i] = want[i] = (uint8_t)below(256);
        }
    }
}

static void one_call(void)
{
    g_autoptr(GByteArray) answer = g_byte_array_new();
    struct dq_carry_list l;
    unsigned filled, count, unit = below(2) ? 1 : 12;
    uint8_t at_begin[BYTES];
    g_autofree void *message = NULL;
    g_autofree void *sent = NULL;
    size_t length;
    bool stored = false;

    fill_memory();
    memcpy(at_begin, memory, BYTES);
    random_list(&l, &filled, unit);
    check_disjoint(&l);
    message = packed(&l, &length);
    sent = g_memdup2(message, length);
    g_assert_cmpint(dq_overlay_open(&o, message, length, &ops), ==, 0);
    for (unsigned i = below(12); i > 0; i--) {
        const struct dq_carry_range *r = l.count ? &l.range[below(l.count)] : NULL;
        bool inside = r && r->use != DQ_CARRY_FILLED && below(4);
        size_t n = 1 + below(inside ? r->length : 80);
        uint64_t addr = inside ? r->addr + below(r->length - (unsigned)n + 1)
                               : BASE + below(BYTES - (unsigned)n);

        if (is_plain(&l, addr, n)) {
            access_memory(addr, n, below(2));
        }
    }
    count = filled ? below(filled + 1) : 0;
    fill(&l, count);
    g_assert_true(dq_overlay_answer(&o, filled ? count : below(3) - 1, answer));
    dq_overlay_close(&o);
    write_beside(&l, at_begin);
    g_assert_cmpint(dq_carry_unpack(sent, answer->data, answer->len, &ops, &stored), ==, 0);
    g_assert_true(stored);
    g_assert_true(memcmp(memory, want, BYTES) == 0);
}

static void test_calls(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        one_call();
    }
}

/* An address that was given out before its range ended is written through later. */
static void test_range_ends_in_use(void)
{
    g_autoptr(GByteArray) answer = g_byte_array_new();
    struct dq_carry_list l = {0};
    g_autofree void *message = NULL;
    uint8_t *early, *late;
    size_t length;
    bool stored;

    fill_memory();
    g_assert_true(dq_carry_add(&l, BASE + 64, 64, DQ_CARRY_IN_OUT, 0));
    message = packed(&l, &length);
    g_assert_cmpint(dq_overlay_open(&o, message, length, &ops), ==, 0);
    early = dq_overlay_find(&o, BASE + 64, 64, true);
    early[0] = (uint8_t)~memory[64];
    g_assert_null(dq_overlay_find(&o, BASE + 60, 8, false));
    g_assert_cmpuint(memory[64], ==, early[0]); /* seen by who uses it in place */
    g_assert_null(dq_overlay_find(&o, BASE + 64, 4, true));
    late = memory + 65;
    *late = (uint8_t)~early[1];
    early[2] = (uint8_t)~memory[66];
    memcpy(want, memory, BYTES);
    want[66] = early[2];
    g_assert_true(dq_overlay_answer(&o, 0, answer));
    dq_overlay_close(&o);
    g_assert_cmpint(dq_carry_unpack(message, answer->data, answer->len, &ops, &stored), ==, 0);
    g_assert_true(memcmp(memory, want, BYTES) == 0);
}

static void test_strings(void)
{
    struct dq_carry_list l = {0};
    g_autofree void *message = NULL;
    size_t length;

    fill_memory();
    memcpy(memory + 8, "name\0more", 9);
    g_assert_true(dq_carry_add(&l, BASE + 8, 5, DQ_CARRY_IN, 0));
    g_assert_true(dq_carry_add(&l, BASE + 13, 4, DQ_CARRY_IN_OUT, 0));
    g_assert_true(dq_carry_add(&l, BASE + 100, 4, DQ_CARRY_FILLED, 1));
    message = packed(&l, &length);
    g_assert_cmpint(dq_overlay_open(&o, message, length, &ops), ==, 0);
    g_assert_cmpint(dq_overlay_strlen(&o, BASE + 8), ==, 4);
    g_assert_cmpint(dq_overlay_strlen(&o, BASE + 10), ==, 2);
    g_assert_cmpint(dq_overlay_strlen(&o, BASE + 13), ==, -1); /* it ends elsewhere */
    g_assert_cmpint(dq_overlay_strlen(&o, BASE + 100), ==, -1);
    g_assert_cmpint(dq_overlay_strlen(&o, BASE + 7), ==, -1);
    dq_overlay_close(&o);
}

static void test_memory_goes(void)
{
    g_autoptr(GByteArray) answer = g_byte_array_new();
    struct dq_carry_list l = {0};
    g_autofree void *message = NULL;
    size_t length;
    bool stored = true;

    fill_memory();
    g_assert_true(dq_carry_add(&l, BASE, 8, DQ_CARRY_IN_OUT, 0));
    message = packed(&l, &length);
    g_assert_cmpint(dq_overlay_open(&o, message, length, &ops), ==, 0);
    *dq_overlay_find(&o, BASE, 8, true) ^= 1;
    g_assert_true(dq_overlay_answer(&o, 0, answer));
    dq_overlay_close(&o);
    gone = true;
    g_assert_cmpint(dq_carry_unpack(message, answer->data, answer->len, &ops, &stored), ==, 0);
    g_assert_false(stored);
    g_assert_false(dq_carry_pack(&l, message, load));
    gone = false;
}

/* ---- what no node sends */

static void test_malformed(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        g_autoptr(GByteArray) answer = g_byte_array_new();
        struct dq_carry_list l;
        unsigned filled;
        size_t length;
        g_autofree uint8_t *message = NULL;
        g_autofree uint8_t *bad = NULL;
        bool stored;

        fill_memory();
        random_list(&l, &filled, 1);
        message = packed(&l, &length);
        bad = g_memdup2(message, length);
        g_assert_cmpint(dq_overlay_open(&o, bad, below((unsigned)length), &ops), ==, -EPROTO);
        bad[below((unsigned)(sizeof(struct dq_carry) + l.count * sizeof(l.range[0])))] ^=
            (uint8_t)(1 + below(255));
        if (dq_overlay_open(&o, bad, length, &ops) == 0) { /* it is another one */
            dq_overlay_answer(&o, below(100), answer);
            dq_overlay_close(&o);
        }
        g_byte_array_set_size(answer, 0);
        g_assert_cmpint(dq_overlay_open(&o, message, length, &ops), ==, 0);
        g_assert_true(dq_overlay_answer(&o, filled, answer));
        dq_overlay_close(&o);
        g_byte_array_append(answer, (const guint8 *)"more", 4);
        g_assert_cmpint(
            dq_carry_unpack(message, answer->data, answer->len - below(4), &ops, &stored), ==,
            -EPROTO);
        answer->data[below(answer->len)] ^= (uint8_t)(1 + below(255));
        dq_carry_unpack(message, answer->data, answer->len - 4, &ops, &stored);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/carry/ranges_become_one", test_ranges_become_one);
    g_test_add_func("/carry/limits", test_limits);
    g_test_add_func("/carry/calls", test_calls);
    g_test_add_func("/carry/range_ends_in_use", test_range_ends_in_use);
    g_test_add_func("/carry/strings", test_strings);
    g_test_add_func("/carry/memory_goes", test_memory_goes);
    g_test_add_func("/carry/malformed", test_malformed);
    return g_test_run();
}
