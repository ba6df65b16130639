/*
 * The advice when to split a page: for accesses to different words and to the same, windows, limits,
 * more pages than can be remembered. And when to join a slot: one owner is left, or parts are taken too
 * often.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdlib.h>

#include "dqemu/mover.h"
#include "dqemu/sharing.h"
#include "dqemu/splitter.h"

#define WINDOW 16u
#define HALF (WINDOW / 2)
#define PERIOD 15000000u
#define IDLE 200000u
#define TAKE 1000u
#define PAGE 77u
#define LONG (20 * WINDOW) /* requests after which there will be no advice any more */

struct fixture {
    struct dq_sharing *sharing;
    uint64_t now, gap; /* between two requests for a page */
};

static void open_with(struct fixture *f, unsigned share, bool force)
{
    struct dq_sharing_rules rules = {.window = WINDOW,
                                     .share = share,
                                     .period_ns = PERIOD,
                                     .idle_ns = IDLE,
                                     .take_ns = TAKE,
                                     .force = force};

    *f = (struct fixture){.sharing = dq_sharing_new(&rules), .now = 1000, .gap = 100};
}

static void open_sharing(struct fixture *f)
{
    open_with(f, 25, false);
}

static void close_sharing(struct fixture *f)
{
    dq_sharing_free(f->sharing);
}

/* A request in words: "2w64" is node 2, which wants to write byte 64; r: to read. */
static unsigned ask_page(struct fixture *f, uint64_t page, const char **words)
{
    char *at;
    int node = (int)strtol(*words, &at, 10);
    bool write = *at == 'w';

    f->now += f->gap;
    return dq_sharing_asked(f->sharing, page, node, write,
                            (unsigned)strtoul(at + 1, (char **)words, 10), f->now);
}

/* The requests again and again, `most` of them. The first advice, and after how many; 0: none. */
static unsigned advice(struct fixture *f, const char *requests, unsigned most, unsigned *after)
{
    const char *next = requests;
    unsigned shift = 0;

    for (*after = 0; !shift && *after < most; ++*after) {
        next = *next ? next : requests;
        shift = ask_page(f, PAGE, &next);
    }
    return shift;
}

#define ADVISES(f, requests, after, shift)                                                         \
    do {                                                                                           \
        unsigned n;                                                                                \
                                                                                                   \
        g_assert_cmpuint(advice(f, requests, LONG, &n), ==, shift);                                \
        g_assert_cmpuint(n, ==, after);                                                            \
    } while (0)

#define NEVER(f, requests)                                                                         \
    do {                                                                                           \
        unsigned n;                                                                                \
                                                                                                   \
        g_assert_cmpuint(advice(f, requests, LONG, &n), ==, 0);                                    \
    } while (0)

/* ... in a world of its own */
static void expect(const char *requests, unsigned after, unsigned shift)
{
    struct fixture f;

    open_sharing(&f);
    ADVISES(&f, requests, after, shift);
    close_sharing(&f);
}

static void expect_never(const char *requests)
{
    struct fixture f;

    open_sharing(&f);
    NEVER(&f, requests);
    close_sharing(&f);
}

/* ------------------------------------------------------------- pages: which granules */

/* Words that lie so far apart that granules of this size, and no larger ones, separate them. */
static void test_two_nodes(void)
{
    for (unsigned shift = DQ_SPLIT_LEAST_SHIFT; shift <= DQ_SPLIT_MOST_SHIFT; shift++) {
        unsigned size = 1u << shift;
        char *near = g_strdup_printf("0w0 1w%u", size);
        char *far = g_strdup_printf("0w0 1w%u", 2 * size - 8);
        char *last = g_strdup_printf("1w%u 0w%u", 4096 - 2 * size, 4096 - size);

        expect(near, HALF, shift);
        expect(far, HALF, shift);
        expect(last, HALF, shift);
        g_free(near);
        g_free(far);
        g_free(last);
    }
    /* neighbours may be far apart, and others are never separated */
    expect("0w2040 1w2048", HALF, 11);
    expect("0w1016 1w1024", HALF, 10);
    expect("0w63 1w64", HALF, 6);
    expect_never("0w64 1w127");
}

/* The largest that separate all of them: what the closest need. */
static void test_four_nodes(void)
{
    for (unsigned shift = DQ_SPLIT_LEAST_SHIFT; shift <= 10; shift++) {
        unsigned size = 1u << shift;
        char *even = g_strdup_printf("0w0 1w%u 2w%u 3w%u", size, 2 * size, 3 * size);
        char *one = g_strdup_printf("0w0 2w2048 1w%u 3w3072", size);

        expect(even, HALF, shift);
        expect(one, HALF, shift);
        g_free(even);
        g_free(one);
    }
    expect_never("0w0 1w1024 2w1032 3w3000");
}

/* Several words of each node; each node's lie together, or among the others'. */
static void test_many_words(void)
{
    expect("0w0 1w2048 0w64 1w2112 0w1024 1w3072 0w2040 1w4095", HALF, 11);
    expect("0w0 1w64 0w128 1w192 0w2048 1w2112 0w1024 1w1088", HALF, 6);
    expect("0w0 1w512 0w1024 1w1536 0w256 1w768 0w1280 1w1792", HALF, 9);
}

/* Readers and writers of different words; a granule that is only read does not matter. */
static void test_readers_and_writers(void)
{
    expect("0w0 1r1024", HALF, 10);
    expect("0w0 1r2048 2r2048", HALF, 11);
    expect("0w0 1r512 0w8 2r520", HALF, 9);
}

static void test_shared_inside(void)
{
    expect_never("0w0 1w0");
    expect_never("0w0 1w0 2w0 3w0");
    expect_never("0w8 1w16 2w24 3w32");
    expect_never("0w0 1r0");
    expect_never("0w0 1r0 2r0 3r0");
    /* a lock, and what it guards */
    expect_never("0w0 0w2048 1w0 1w2048");
}

/* What one node writes, the other reads: an answer for each question, a ring with head and tail. */
static void test_producers_and_consumers(void)
{
    expect_never("0w0 1r0 1w2048 0r2048");
    expect_never("0w0 0w2048 1r0 1r2048");
    expect_never("0w2048 0w0 1r0 1r2048 1w64 0r64");
    expect_never("0w0 1r0 1w1024 2r1024 2w2048 3r2048 3w3072 0r3072");
}

static void test_not_shared(void)
{
    expect_never("0w0 0w2048 0r64 0r1024");
    expect_never("0r0 1r2048 2r64 3r512");
    /* hardly: it is not worth it */
    expect_never("0w0 0w64 0w128 0w192 0w256 0w320 0w384 1w2048");
}

/* ------------------------------------------------------------- pages: how many requests */

/* Three of 16 would remain whatever the size, two words are half a page apart; there is no half window
 * without any. */
#define MIXED "1w0 0w0 1w2048 0w0 1w2048 0w0 1w2048 0w0"

static void test_half_a_window(void)
{
    expect("0w0 1w2048", HALF, 11);
    expect(MIXED, WINDOW, 11);
}

/* Only the latest requests count. */
static void test_what_was_before(void)
{
    struct fixture f;
    unsigned n;

    open_sharing(&f);
    NEVER(&f, "0w1024 1w1024");
    g_assert_cmpuint(advice(&f, "0w0 1w2048", WINDOW, &n), ==, 11);
    /* again, if nobody has acted on it */
    g_assert_cmpuint(advice(&f, "0w0 1w2048", WINDOW, &n), ==, 11);
    close_sharing(&f);

    /* ... the latest sixteen, also half of one window and half of the next */
    open_sharing(&f);
    g_assert_cmpuint(advice(&f, "0w1024 1w1024", HALF, &n), ==, 0);
    ADVISES(&f, MIXED, WINDOW, 11);
    close_sharing(&f);
}

/* Seldom asked for: not even half a window in the time; a window that takes longer; just in time. */
static void test_period(void)
{
    struct fixture f;
    unsigned n;

    open_sharing(&f);
    f.gap = PERIOD / (HALF - 2);
    NEVER(&f, "0w0 1w2048");
    f.gap = 2 * PERIOD;
    NEVER(&f, "0w0 1w2048");
    NEVER(&f, MIXED);
    f.gap = PERIOD / (WINDOW - 1) + 1;
    NEVER(&f, MIXED);
    f.gap = 100;
    g_assert_cmpuint(advice(&f, MIXED, 2 * WINDOW, &n), ==, 11);
    close_sharing(&f);

    open_sharing(&f);
    f.gap = PERIOD / (WINDOW - 1);
    ADVISES(&f, MIXED, WINDOW, 11);
    close_sharing(&f);
}

/* The first window's advice. */
static void expect_with_share(unsigned share, const char *requests, unsigned shift)
{
    struct fixture f;
    unsigned n;

    open_with(&f, share, false);
    g_assert_cmpuint(advice(&f, requests, WINDOW, &n), ==, shift);
    g_assert_cmpuint(n, ==, WINDOW);
    close_sharing(&f);
}

static void test_share(void)
{
    /* of 16 requests remain so many, whatever the size */
    const char *one = "1w0 0w0 1w2048 0w0 1w2048 0w0 1w2048 0w0 "
                      "1w2048 0w0 1w2048 0w0 1w2048 0w0 1w2048 0w0";
    const char *four = "1w0 0w0 1w2048 0w0 1w0 0w0 1w2048 0w0 "
                       "1w2048 0w0 1w2048 0w0 1w2048 0w0 1w2048 1w0";
    const char *five = "1w0 0w0 1w0 0w0 1w0 0w0 1w2048 0w0 "
                       "1w2048 0w0 1w2048 0w0 1w2048 0w0 1w2048 0w0";

    expect_with_share(0, one, 0);
    expect_with_share(6, one, 0);
    expect_with_share(7, one, 11);
    expect_with_share(24, four, 0);
    expect_with_share(25, four, 11);
    expect_with_share(25, five, 0);
    expect_with_share(31, five, 0);
    expect_with_share(32, five, 11);
}

/* One more in 16 is not worth smaller granules; unless it would be too many. Two are. */
static void test_about_as_good(void)
{
    const char *one_more = "1w0 0w0 1w2048 0w0 1w2048 0w0 1w2048 0w0 "
                           "1w2048 0w0 1w2048 0w0 1w2048 0w0 1w2048 1w1024";
    const char *two_more = "1w0 0w0 1w2048 0w0 1w2048 0w0 1w2048 0w0 "
                           "1w2048 0w0 1w2048 0w0 1w2048 0w0 1w1024 0w0";
    const char *four_or_five = "1w0 0w0 1w2048 0w0 1w0 0w0 1w2048 0w0 "
                               "1w2048 0w0 1w2048 0w0 1w2048 0w0 1w0 2w1024";

    expect_with_share(25, one_more, 11);
    expect_with_share(25, two_more, 10);
    expect_with_share(25, four_or_five, 10);
    expect_with_share(32, four_or_five, 11);
}

/* ------------------------------------------------------------- pages: many of them */

/* Each page by itself, though requests for all of them come in turn. */
static void test_several_pages(void)
{
    struct fixture f;

    open_sharing(&f);
    for (unsigned i = 1; i <= HALF; i++) {
        for (uint64_t page = 1000; page < 1500; page++) {
            const char *words = i % 2 ? "0w0" : "1w64";

            g_assert_cmpuint(ask_page(&f, page, &words), ==, i == HALF ? DQ_SPLIT_LEAST_SHIFT : 0);
        }
    }
    close_sharing(&f);
}

/* More than can be remembered: those that came first make room for one that is asked for now. */
static void test_too_many_pages(void)
{
    struct fixture f;
    unsigned n;

    open_sharing(&f);
    for (uint64_t page = 1000; page < 101000; page++) {
        const char *words = "0w0";

        g_assert_cmpuint(ask_page(&f, page, &words), ==, 0);
    }
    ADVISES(&f, "0w0 1w2048", HALF, 11);
    /* nothing is left of what was asked for them */
    g_assert_cmpuint(advice(&f, "1w2048 0w0", HALF - 1, &n), ==, 0);
    for (uint64_t page = 1000; page < 101000; page++) {
        const char *words = "1w2048";

        g_assert_cmpuint(ask_page(&f, page, &words), ==, 0);
    }
    ADVISES(&f, "0w0 1w2048", HALF, 11);
    close_sharing(&f);
}

/* ------------------------------------------------------------- pages: force */

/* Readers lose their copies to the writer of another part, the first as well as those that follow it. */
static void test_writer_and_many_readers(void)
{
    expect("0w0 1r2048 2r2048 3r2048", HALF, 11);
    expect("0w0 1r64 2r64 3r64 4r64 5r64", HALF, 6);
    expect_never("0w0 1r8 2r16 3r24");
}

/* What counts is how many requests remain for the page, not whether most of them do. */
static void test_less_than_half_to_and_fro(void)
{
    expect("0w0 0w64 0w128 0w192 1w2048", WINDOW, 11); /* 2 of 8, 6 of 16 */
}

/* The second half of a window keeps its times when the first is forgotten. */
static void test_period_of_two_halves(void)
{
    struct fixture f;
    const char *never = "0w0 1w0", *next = never;

    open_sharing(&f);
    for (unsigned i = 0; i < WINDOW; i++) {
        next = *next ? next : never;
        g_assert_cmpuint(ask_page(&f, PAGE, &next), ==, 0);
    }
    f.gap = PERIOD / HALF - 1; /* half a window fits, with another half it does not */
    next = MIXED;
    for (unsigned i = 0; i < HALF; i++) {
        g_assert_cmpuint(ask_page(&f, PAGE, &next), ==, 0);
    }
    close_sharing(&f);
}

static void test_force(void)
{
    struct fixture f;

    open_with(&f, 25, true);
    NEVER(&f, "0w0");
    NEVER(&f, "0r0 1r0 2r64");
    NEVER(&f, "0w0 1r0 2r2048");
    ADVISES(&f, "1w2048", 1u, DQ_SPLIT_LEAST_SHIFT);
    ADVISES(&f, "0w2048", 1u, DQ_SPLIT_LEAST_SHIFT);
    /* seldom, and with readers between them, and the same word */
    f.gap = 10 * PERIOD;
    ADVISES(&f, "0r0 2r0 0w0 0w0 2w0", 5u, DQ_SPLIT_LEAST_SHIFT);
    close_sharing(&f);

    open_with(&f, 25, true);
    NEVER(&f, "1w0");
    close_sharing(&f);
}

static void test_force_joins_none(void)
{
    struct fixture f;
    uint32_t slot;
    int node;

    open_with(&f, 25, true);
    for (int i = 0; i < 1000; i++) {
        g_assert_false(dq_sharing_slot_asked(f.sharing, 3, 0, i % 2, ++f.now));
    }
    g_assert_cmpuint(dq_sharing_due(f.sharing), ==, 0);
    g_assert_false(dq_sharing_idle(f.sharing, f.now + 10 * IDLE, &slot, &node));
    close_sharing(&f);
}

/* ------------------------------------------------------------- slots: one owner */

/* A request at this moment; no advice. */
static void ask_part(struct fixture *f, uint32_t slot, unsigned part, int node, uint64_t when)
{
    g_assert_cmpuint(when, >=, f->now);
    f->now = when;
    g_assert_false(dq_sharing_slot_asked(f->sharing, slot, part, node, when));
}

static void expect_idle(struct fixture *f, uint64_t when, uint32_t slot, int node)
{
    uint32_t got_slot = UINT32_MAX;
    int got_node = -1;

    g_assert_true(dq_sharing_idle(f->sharing, when, &got_slot, &got_node));
    g_assert_cmpuint(got_slot, ==, slot);
    g_assert_cmpint(got_node, ==, node);
}

static void expect_none_idle(struct fixture *f, uint64_t when)
{
    uint32_t slot;
    int node;

    g_assert_false(dq_sharing_idle(f->sharing, when, &slot, &node));
}

static void expect_due(struct fixture *f, uint64_t when)
{
    g_assert_cmpuint(dq_sharing_due(f->sharing), ==, when);
}

#define T0 1000000u /* when the slots' tests begin */

static void test_one_owner(void)
{
    struct fixture f;

    open_sharing(&f);
    expect_due(&f, 0);
    expect_none_idle(&f, T0);
    ask_part(&f, 3, 0, 1, T0);
    ask_part(&f, 3, 1, 2, T0 + 1000);
    ask_part(&f, 3, 63, 2, T0 + 2000);
    expect_due(&f, 0);
    ask_part(&f, 3, 0, 2, T0 + 3000); /* the last part */
    expect_due(&f, T0 + 3000 + IDLE);
    expect_none_idle(&f, T0 + 3000 + IDLE - 1);
    expect_due(&f, T0 + 3000 + IDLE);
    expect_idle(&f, T0 + 3000 + IDLE, 3, 2);
    /* once */
    expect_none_idle(&f, T0 + 10 * IDLE);
    expect_due(&f, 0);
    /* anew with the next request */
    ask_part(&f, 3, 5, 2, T0 + 20 * IDLE);
    expect_due(&f, T0 + 21 * IDLE);
    expect_none_idle(&f, T0 + 21 * IDLE - 1);
    expect_idle(&f, T0 + 22 * IDLE, 3, 2); /* late */
    expect_none_idle(&f, T0 + 30 * IDLE);
    close_sharing(&f);
}

/* An owner that goes on asking for more parts does not put it off. */
static void test_owner_asks_on(void)
{
    struct fixture f;

    open_sharing(&f);
    ask_part(&f, 3, 0, 2, T0);
    ask_part(&f, 3, 1, 2, T0 + IDLE / 2);
    ask_part(&f, 3, 2, 2, T0 + IDLE - 1);
    expect_idle(&f, T0 + IDLE, 3, 2);
    close_sharing(&f);
}

/* The part of one other node is enough, however often the first asks; and for as long as it is there. */
static void test_several_owners(void)
{
    struct fixture f;
    uint64_t when = T0;

    open_sharing(&f);
    for (unsigned part = 0; part < DQ_SPLIT_GRANULES; part++) {
        ask_part(&f, 3, part, part == 40 ? 2 : 1, when += IDLE / 4);
    }
    expect_due(&f, 0);
    expect_none_idle(&f, when + 100 * IDLE);
    /* parts go to and fro: one owner, but not for long */
    for (int i = 0; i < 100; i++) {
        ask_part(&f, 3, 40, 1, when += IDLE / 2);
        expect_due(&f, when + IDLE);
        expect_none_idle(&f, when + IDLE / 2);
        ask_part(&f, 3, 40, 2, when += IDLE / 2);
        expect_due(&f, 0);
        expect_none_idle(&f, when + 3 * IDLE);
    }
    /* the other one has all of them in the end */
    for (unsigned part = 0; part < DQ_SPLIT_GRANULES; part++) {
        expect_due(&f, 0);
        ask_part(&f, 3, part, 2, when += IDLE);
    }
    expect_idle(&f, when + IDLE, 3, 2);
    close_sharing(&f);
}

static void test_several_slots(void)
{
    struct fixture f;

    open_sharing(&f);
    ask_part(&f, 9, 0, 0, T0);
    ask_part(&f, 4, 0, 1, T0 + 10);
    ask_part(&f, 5, 7, 2, T0 + 20);
    ask_part(&f, 6, 7, 2, T0 + 30);
    expect_due(&f, T0 + IDLE);
    /* the second is shared now, and the first begins again */
    ask_part(&f, 4, 1, 2, T0 + 40);
    ask_part(&f, 9, 0, 3, T0 + 50);
    expect_due(&f, T0 + 20 + IDLE);
    expect_idle(&f, T0 + 40 + IDLE, 5, 2);
    expect_due(&f, T0 + 30 + IDLE);
    expect_idle(&f, T0 + 40 + IDLE, 6, 2);
    expect_none_idle(&f, T0 + 40 + IDLE);
    expect_due(&f, T0 + 50 + IDLE);
    expect_idle(&f, T0 + 50 + IDLE, 9, 3);
    expect_due(&f, 0);
    close_sharing(&f);
}

static void test_all_slots(void)
{
    struct fixture f;

    open_sharing(&f);
    for (uint32_t slot = 0; slot < DQ_SPLIT_MOST; slot++) {
        ask_part(&f, slot, slot % DQ_SPLIT_GRANULES, (int)slot % 4, T0 + slot);
    }
    for (uint32_t slot = 0; slot < DQ_SPLIT_MOST; slot++) {
        expect_due(&f, T0 + slot + IDLE);
        expect_idle(&f, T0 + slot + IDLE, slot, (int)slot % 4);
        expect_none_idle(&f, T0 + slot + IDLE);
    }
    close_sharing(&f);
}

/* ------------------------------------------------------------- slots: parts that are taken */

/* Two nodes take a part from each other, so often. Advised within that many requests? */
static bool joins_when_taken(struct fixture *f, uint64_t gap, int requests)
{
    bool join = false;

    for (int i = 0; i < requests && !join; i++) {
        join = dq_sharing_slot_asked(f->sharing, 3, 12, i % 2, f->now += gap);
    }
    return join;
}

static void expect_taken(uint64_t gap, bool join)
{
    struct fixture f;

    open_sharing(&f);
    g_assert_cmpint(joins_when_taken(&f, gap, join ? 40 : 1000), ==, join);
    close_sharing(&f);
}

static void test_taken_often(void)
{
    struct fixture f;

    expect_taken(1, true);
    expect_taken(TAKE / 2, true);
    expect_taken(TAKE - 1, true);
    expect_taken(TAKE, false);
    expect_taken(10 * TAKE, false);

    /* it is too early to say */
    open_sharing(&f);
    g_assert_false(joins_when_taken(&f, 1, 5));
    close_sharing(&f);
}

/* On average: a few at once, and then none for a while; and many nodes, each of which takes seldom. */
static void test_taken_on_average(void)
{
    struct fixture f;

    open_sharing(&f);
    for (int i = 0; i < 1000; i++) {
        ask_part(&f, 3, 12, i % 2, f.now + (i % 4 ? 1 : 4 * TAKE));
    }
    close_sharing(&f);

    open_sharing(&f);
    for (int i = 0; i < 1000; i++) {
        ask_part(&f, 3, (unsigned)i % 60, i / 60, f.now + TAKE + 1);
    }
    close_sharing(&f);
}

/* All parts are gone through by one node after the other. */
static void test_gone_through(void)
{
    struct fixture f;
    bool join = false;

    open_sharing(&f);
    for (unsigned part = 0; part < DQ_SPLIT_GRANULES; part++) {
        ask_part(&f, 3, part, 0, f.now + 1);
    }
    for (unsigned part = 0; part < DQ_SPLIT_GRANULES; part++) {
        join |= dq_sharing_slot_asked(f.sharing, 3, part, 1, ++f.now);
    }
    g_assert_true(join);
    close_sharing(&f);
}

/* A part is not taken by who asks first, nor by who has it. Slots do not count together. */
static void test_not_taken(void)
{
    struct fixture f;

    open_sharing(&f);
    for (uint32_t slot = 0; slot < 100; slot++) {
        for (unsigned part = 0; part < DQ_SPLIT_GRANULES; part++) {
            ask_part(&f, slot, part, (int)part % 4, f.now + 1);
        }
    }
    for (int i = 0; i < 1000; i++) {
        ask_part(&f, 3, (unsigned)i % DQ_SPLIT_GRANULES, i % 4, f.now + 1);
    }
    for (uint32_t slot = 0; slot < 100; slot++) {
        ask_part(&f, slot, 0, 1, f.now + 1);
        ask_part(&f, slot, 0, 2, f.now + 1);
    }
    close_sharing(&f);
}

/* ------------------------------------------------------------- slots: used again */

static void test_forget(void)
{
    struct fixture f;

    open_sharing(&f);
    dq_sharing_forget(f.sharing, 3); /* nobody has asked for it */
    ask_part(&f, 3, 0, 1, T0);
    ask_part(&f, 4, 0, 1, T0 + 1);
    dq_sharing_forget(f.sharing, 3);
    expect_due(&f, T0 + 1 + IDLE);
    expect_idle(&f, T0 + 1 + IDLE, 4, 1);
    expect_none_idle(&f, T0 + 10 * IDLE);
    /* whose page it is now: 2 has all that anybody has asked for */
    ask_part(&f, 3, 1, 2, T0 + 20 * IDLE);
    expect_idle(&f, T0 + 21 * IDLE, 3, 2);
    dq_sharing_forget(f.sharing, 3);
    expect_none_idle(&f, T0 + 30 * IDLE);
    close_sharing(&f);
}

/* What was taken before does not count. */
static void test_forget_takes(void)
{
    struct fixture f;

    open_sharing(&f);
    for (int i = 0; i < 100; i++) {
        g_assert_false(joins_when_taken(&f, 1, 5));
        dq_sharing_forget(f.sharing, 3);
    }
    g_assert_true(joins_when_taken(&f, 1, 40));
    dq_sharing_forget(f.sharing, 3);
    g_assert_false(joins_when_taken(&f, 1, 5));
    close_sharing(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sharing/pages/two-nodes", test_two_nodes);
    g_test_add_func("/sharing/pages/four-nodes", test_four_nodes);
    g_test_add_func("/sharing/pages/many-words", test_many_words);
    g_test_add_func("/sharing/pages/readers-and-writers", test_readers_and_writers);
    g_test_add_func("/sharing/pages/shared-inside", test_shared_inside);
    g_test_add_func("/sharing/pages/producers-and-consumers", test_producers_and_consumers);
    g_test_add_func("/sharing/pages/not-shared", test_not_shared);
    g_test_add_func("/sharing/pages/half-a-window", test_half_a_window);
    g_test_add_func("/sharing/pages/what-was-before", test_what_was_before);
    g_test_add_func("/sharing/pages/period", test_period);
    g_test_add_func("/sharing/pages/share", test_share);
    g_test_add_func("/sharing/pages/about-as-good", test_about_as_good);
    g_test_add_func("/sharing/pages/several", test_several_pages);
    g_test_add_func("/sharing/pages/too-many", test_too_many_pages);
    g_test_add_func("/sharing/pages/writer-and-many-readers", test_writer_and_many_readers);
    g_test_add_func("/sharing/pages/less-than-half", test_less_than_half_to_and_fro);
    g_test_add_func("/sharing/pages/period-of-two-halves", test_period_of_two_halves);
    g_test_add_func("/sharing/pages/force", test_force);
    g_test_add_func("/sharing/slots/force", test_force_joins_none);
    g_test_add_func("/sharing/slots/one-owner", test_one_owner);
    g_test_add_func("/sharing/slots/owner-asks-on", test_owner_asks_on);
    g_test_add_func("/sharing/slots/several-owners", test_several_owners);
    g_test_add_func("/sharing/slots/several", test_several_slots);
    g_test_add_func("/sharing/slots/all", test_all_slots);
    g_test_add_func("/sharing/slots/taken-often", test_taken_often);
    g_test_add_func("/sharing/slots/taken-on-average", test_taken_on_average);
    g_test_add_func("/sharing/slots/gone-through", test_gone_through);
    g_test_add_func("/sharing/slots/not-taken", test_not_taken);
    g_test_add_func("/sharing/slots/forget", test_forget);
    g_test_add_func("/sharing/slots/forget-takes", test_forget_takes);
    return g_test_run();
}
