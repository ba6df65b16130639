/*
 * The splitter: each row of its table, the map's exclusions, limits, cooling down, refusals. The mover:
 * where each byte goes, and pages that leave while others are awaited.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "dqemu/mover.h"
#include "dqemu/splitter.h"

#define COOL 100u
#define RETIRE 100u

static const char *const ops_names[] = {"SPLIT_CLOSE", "SPLIT_OPEN", "JOIN_CLOSE", "JOIN_OPEN",
                                        "SPLIT_RETIRE"};

/* What the splitter said since the last look, as words: "SPLIT_CLOSE:7 apart:7 excluded". */
struct fixture {
    struct dq_splitter *splitter;
    GString *said;
    int nodes;
    uint64_t now;
    GHashTable *told; /* page -> the last message of it, ours */
    bool mute;
    uint64_t moves;    /* mute: a bit per page */
    bool retires;      /* SPLIT_RETIRE was told, and is not answered */
    bool holds_retire; /* ... because the test does that */
};

static void say(struct fixture *f, const char *what, uint64_t page)
{
    if (!f->mute) {
        g_string_append_printf(f->said, "%s%s:%d", f->said->len ? " " : "", what, (int)page);
    }
}

static void on_tell(void *ctx, const struct dq_msg_split *m)
{
    struct fixture *f = ctx;

    g_assert_cmpuint(m->op, <, G_N_ELEMENTS(ops_names));
    g_assert_cmpuint(m->refused, ==, 0);
    say(f, ops_names[m->op], m->page);
    if (m->op == DQ_SPLIT_RETIRE) {
        g_assert_false(f->retires);
        f->retires = true;
        return;
    }
    g_hash_table_insert(f->told, GSIZE_TO_POINTER(m->page), g_memdup2(m, sizeof(*m)));
}

static void on_move(void *ctx, const struct dq_msg_split *m)
{
    const struct dq_msg_split *told;
    struct fixture *f = ctx;

    told = g_hash_table_lookup(f->told, GSIZE_TO_POINTER(m->page));
    g_assert_cmpuint(m->slot, ==, told->slot);
    g_assert_cmpuint(m->shift, ==, told->shift);
    g_assert_true(m->op == DQ_SPLIT_OPEN || m->op == DQ_JOIN_OPEN);
    f->moves |= f->mute ? UINT64_C(1) << m->page : 0;
    say(f, m->op == DQ_SPLIT_OPEN ? "apart" : "together", m->page);
}

static void on_excluded(void *ctx)
{
    struct fixture *f = ctx;

    g_string_append_printf(f->said, "%sexcluded", f->said->len ? " " : "");
}

static const struct dq_splitter_ops ops = {
    .tell = on_tell, .move = on_move, .excluded = on_excluded};

static void open_fixture(struct fixture *f, int nodes, struct dq_splitter *splitter)
{
    *f = (struct fixture){.nodes = nodes, .now = 1000, .splitter = splitter};
    f->said = g_string_new(NULL);
    f->told = g_hash_table_new_full(NULL, NULL, NULL, g_free);
}

static void open_cooling(struct fixture *f, int nodes, unsigned most, uint64_t cool, bool even)
{
    open_fixture(f, nodes, dq_splitter_new(nodes, most, cool, even, RETIRE, &ops, f));
}

static void open_retiring(struct fixture *f, unsigned most, unsigned retire)
{
    open_fixture(f, 2, dq_splitter_new(2, most, COOL, false, retire, &ops, f));
    f->holds_retire = true;
}

static void open_with(struct fixture *f, int nodes, unsigned most)
{
    open_cooling(f, nodes, most, COOL, false);
}

static void open_splitter(struct fixture *f)
{
    open_with(f, 3, 16);
}

static void close_splitter(struct fixture *f)
{
    dq_splitter_free(f->splitter);
    g_string_free(f->said, TRUE);
    g_hash_table_destroy(f->told);
}

static bool ask(struct fixture *f, uint64_t page)
{
    return dq_splitter_ask(f->splitter, page, 10, f->now);
}

static int answer(struct fixture *f, int node, uint64_t page, bool refused)
{
    struct dq_msg_split *told = g_hash_table_lookup(f->told, GSIZE_TO_POINTER(page));
    struct dq_msg_split m = *told;

    m.refused = refused;
    return dq_splitter_done(f->splitter, node, &m, f->now);
}

static int answer_retire(struct fixture *f, int node)
{
    struct dq_msg_split m = {.op = DQ_SPLIT_RETIRE, .shift = DQ_SPLIT_LEAST_SHIFT};

    return dq_splitter_done(f->splitter, node, &m, f->now);
}

/* All nodes do what they were told. */
static void all_answer(struct fixture *f, uint64_t page)
{
    for (int n = 0; n < f->nodes; n++) {
        g_assert_cmpint(answer(f, n, page, false), ==, 0);
    }
    for (int n = 0; f->retires && !f->holds_retire && n < f->nodes; n++) {
        g_assert_cmpint(answer_retire(f, n), ==, 0);
    }
    f->retires &= f->holds_retire;
}

static void be_silent(struct fixture *f)
{
    g_string_truncate(f->said, 0);
}

#define SAYS(f, words)                                                                             \
    do {                                                                                           \
        g_assert_cmpstr((f)->said->str, ==, words);                                                \
        be_silent(f);                                                                              \
    } while (0)

#define ANSWER(f, node, page, words)                                                               \
    do {                                                                                           \
        g_assert_cmpint(answer(f, node, page, false), ==, 0);                                      \
        SAYS(f, words);                                                                            \
    } while (0)

/* The short ways through the table. */
static void split(struct fixture *f, uint64_t page)
{
    g_assert_true(ask(f, page));
    all_answer(f, page);
    dq_splitter_moved(f->splitter, page);
    all_answer(f, page);
    be_silent(f);
}

/* From JOIN_CLOSE to one page; what is said meanwhile, stays. */
static void finish_join(struct fixture *f, uint64_t page)
{
    all_answer(f, page);
    dq_splitter_moved(f->splitter, page);
    be_silent(f);
    all_answer(f, page);
}

static void join(struct fixture *f, uint64_t page)
{
    dq_splitter_join(f->splitter, page);
    finish_join(f, page);
}

/* ------------------------------------------------------------- the table */

static void test_split(void)
{
    struct fixture f;

    open_splitter(&f);
    g_assert_true(ask(&f, 7));
    SAYS(&f, "SPLIT_CLOSE:7");
    g_assert_false(ask(&f, 7));
    ANSWER(&f, 2, 7, "");
    ANSWER(&f, 0, 7, "");
    ANSWER(&f, 1, 7, "apart:7");
    g_assert_false(ask(&f, 7));
    dq_splitter_moved(f.splitter, 7);
    SAYS(&f, "SPLIT_OPEN:7");
    ANSWER(&f, 0, 7, "");
    ANSWER(&f, 2, 7, "");
    ANSWER(&f, 1, 7, "");
    g_assert_false(ask(&f, 7));
    SAYS(&f, "");
    close_splitter(&f);
}

static void test_refusal(void)
{
    struct fixture f;

    /* whoever refuses, first or last: all close, then all open */
    for (int refuses = 0; refuses < 3; refuses++) {
        open_splitter(&f);
        g_assert_true(ask(&f, 7));
        be_silent(&f);
        for (int n = 0; n < 3; n++) {
            SAYS(&f, "");
            g_assert_cmpint(answer(&f, n, 7, n == refuses), ==, 0);
        }
        SAYS(&f, "JOIN_OPEN:7");
        g_assert_false(ask(&f, 7));
        all_answer(&f, 7);
        SAYS(&f, "");
        /* it is one page, and left alone for a while */
        g_assert_cmpuint(dq_splitter_stats(f.splitter).pages, ==, 0);
        g_assert_false(ask(&f, 7));
        f.now += COOL;
        g_assert_true(ask(&f, 7));
        SAYS(&f, "SPLIT_CLOSE:7");
        /* the refusal is forgotten */
        all_answer(&f, 7);
        SAYS(&f, "apart:7");
        close_splitter(&f);
    }
}

static void test_join(void)
{
    struct fixture f;

    open_splitter(&f);
    split(&f, 7);
    dq_splitter_join(f.splitter, 7);
    SAYS(&f, "JOIN_CLOSE:7");
    ANSWER(&f, 1, 7, "");
    ANSWER(&f, 2, 7, "");
    ANSWER(&f, 0, 7, "together:7");
    dq_splitter_moved(f.splitter, 7);
    SAYS(&f, "JOIN_OPEN:7");
    ANSWER(&f, 2, 7, "");
    ANSWER(&f, 1, 7, "");
    ANSWER(&f, 0, 7, "");
    /* nothing is left of it */
    dq_splitter_join(f.splitter, 7);
    SAYS(&f, "");
    f.now += COOL;
    split(&f, 7);
    close_splitter(&f);
}

/* A join that is asked for too early is not forgotten. */
static void test_join_on_the_way(void)
{
    struct fixture f;

    for (int when = 0; when < 3; when++) {
        open_splitter(&f);
        g_assert_true(ask(&f, 7));
        if (when == 0) {
            dq_splitter_join(f.splitter, 7);
        }
        all_answer(&f, 7);
        if (when == 1) {
            dq_splitter_join(f.splitter, 7);
        }
        dq_splitter_moved(f.splitter, 7);
        if (when == 2) {
            dq_splitter_join(f.splitter, 7);
        }
        SAYS(&f, "SPLIT_CLOSE:7 apart:7 SPLIT_OPEN:7");
        all_answer(&f, 7);
        SAYS(&f, "JOIN_CLOSE:7");
        finish_join(&f, 7);
        f.now += COOL;
        split(&f, 7); /* and stays so */
        close_splitter(&f);
    }
}

/* Asked for again while it is joined, or where a node has refused: nothing more, now or later. */
static void test_join_twice(void)
{
    struct fixture f;

    open_splitter(&f);
    split(&f, 7);
    dq_splitter_join(f.splitter, 7);
    dq_splitter_join(f.splitter, 7);
    all_answer(&f, 7);
    dq_splitter_join(f.splitter, 7);
    dq_splitter_moved(f.splitter, 7);
    dq_splitter_join(f.splitter, 7);
    all_answer(&f, 7);
    SAYS(&f, "JOIN_CLOSE:7 together:7 JOIN_OPEN:7");
    f.now += COOL;
    g_assert_true(ask(&f, 7));
    dq_splitter_join(f.splitter, 7);
    g_assert_cmpint(answer(&f, 0, 7, true), ==, 0);
    ANSWER(&f, 1, 7, "SPLIT_CLOSE:7");
    ANSWER(&f, 2, 7, "JOIN_OPEN:7");
    dq_splitter_join(f.splitter, 7);
    all_answer(&f, 7);
    SAYS(&f, "");
    f.now += 2 * COOL;
    split(&f, 7);
    close_splitter(&f);
}

/* Pages do not wait for each other. */
static void test_several_pages(void)
{
    struct fixture f;

    open_splitter(&f);
    g_assert_true(ask(&f, 7));
    g_assert_true(ask(&f, 8));
    SAYS(&f, "SPLIT_CLOSE:7 SPLIT_CLOSE:8");
    all_answer(&f, 8);
    SAYS(&f, "apart:8");
    ANSWER(&f, 0, 7, "");
    dq_splitter_moved(f.splitter, 8);
    ANSWER(&f, 1, 7, "SPLIT_OPEN:8");
    ANSWER(&f, 2, 7, "apart:7");
    all_answer(&f, 8);
    dq_splitter_join(f.splitter, 8);
    SAYS(&f, "JOIN_CLOSE:8");
    dq_splitter_moved(f.splitter, 7);
    SAYS(&f, "SPLIT_OPEN:7");
    close_splitter(&f);
}

static void test_numbers_of_nodes(void)
{
    struct fixture f;

    for (int nodes = 1; nodes <= DQ_MAX_NODES; nodes += nodes == 1 ? 1 : 31) {
        open_with(&f, nodes, 1);
        g_assert_true(ask(&f, 7));
        for (int n = nodes - 1; n > 0; n--) {
            g_assert_cmpint(answer(&f, n, 7, false), ==, 0);
        }
        SAYS(&f, "SPLIT_CLOSE:7");
        ANSWER(&f, 0, 7, "apart:7");
        close_splitter(&f);
    }
}

/* ------------------------------------------------------------- the map */

static void test_exclude_nothing(void)
{
    struct fixture f;

    open_splitter(&f);
    split(&f, 7);
    dq_splitter_exclude(f.splitter, 100, 50);
    SAYS(&f, "excluded");
    /* nothing of it is split; what is beside it, is */
    g_assert_false(ask(&f, 100));
    g_assert_false(ask(&f, 149));
    g_assert_true(ask(&f, 99));
    g_assert_true(ask(&f, 150));
    be_silent(&f);
    /* several ranges */
    dq_splitter_exclude(f.splitter, 300, 1);
    SAYS(&f, "excluded");
    g_assert_false(ask(&f, 120));
    g_assert_false(ask(&f, 300));
    dq_splitter_include(f.splitter);
    g_assert_true(ask(&f, 120));
    g_assert_true(ask(&f, 300));
    SAYS(&f, "SPLIT_CLOSE:120 SPLIT_CLOSE:300");
    /* the whole address space, and nothing at all */
    dq_splitter_exclude(f.splitter, 1000, UINT64_MAX - 1000);
    SAYS(&f, "excluded");
    g_assert_false(ask(&f, 5000));
    g_assert_true(ask(&f, 999));
    dq_splitter_include(f.splitter);
    be_silent(&f);
    dq_splitter_exclude(f.splitter, 120, 0);
    SAYS(&f, "excluded");
    close_splitter(&f);
}

static void test_exclude_split(void)
{
    struct fixture f;

    open_splitter(&f);
    split(&f, 7);
    split(&f, 8);
    split(&f, 9);
    dq_splitter_exclude(f.splitter, 7, 1);
    SAYS(&f, "JOIN_CLOSE:7");
    g_assert_false(ask(&f, 7));
    dq_splitter_join(f.splitter, 7);
    finish_join(&f, 7);
    SAYS(&f, "excluded");
    f.now += COOL;
    g_assert_false(ask(&f, 7));
    /* a second range of the same call, two pages in it: after both */
    dq_splitter_exclude(f.splitter, 8, 2);
    g_assert_nonnull(strstr(f.said->str, "JOIN_CLOSE:8"));
    g_assert_nonnull(strstr(f.said->str, "JOIN_CLOSE:9"));
    finish_join(&f, 9);
    SAYS(&f, "");
    finish_join(&f, 8);
    SAYS(&f, "excluded");
    dq_splitter_include(f.splitter);
    f.now += COOL;
    split(&f, 7);
    split(&f, 9);
    SAYS(&f, "");
    close_splitter(&f);
}

/* Excluded while it is closing, moved, opened: it is split first, and joined then. */
static void test_exclude_on_the_way(void)
{
    struct fixture f;

    for (int when = 0; when < 3; when++) {
        open_splitter(&f);
        g_assert_true(ask(&f, 7));
        if (when == 0) {
            dq_splitter_exclude(f.splitter, 0, 10);
        }
        all_answer(&f, 7);
        if (when == 1) {
            dq_splitter_exclude(f.splitter, 0, 10);
        }
        dq_splitter_moved(f.splitter, 7);
        if (when == 2) {
            dq_splitter_exclude(f.splitter, 0, 10);
        }
        all_answer(&f, 7);
        SAYS(&f, "SPLIT_CLOSE:7 apart:7 SPLIT_OPEN:7 JOIN_CLOSE:7");
        finish_join(&f, 7);
        SAYS(&f, "excluded");
        dq_splitter_include(f.splitter);
        close_splitter(&f);
    }
}

/* Excluded while it is being joined, at each step, or because a node has refused. */
static void test_exclude_while_joined(void)
{
    struct fixture f;

    for (int when = 0; when < 3; when++) {
        open_splitter(&f);
        split(&f, 7);
        dq_splitter_join(f.splitter, 7);
        if (when == 0) {
            dq_splitter_exclude(f.splitter, 0, 10);
        }
        all_answer(&f, 7);
        if (when == 1) {
            dq_splitter_exclude(f.splitter, 0, 10);
        }
        dq_splitter_moved(f.splitter, 7);
        if (when == 2) {
            dq_splitter_exclude(f.splitter, 0, 10);
        }
        SAYS(&f, "JOIN_CLOSE:7 together:7 JOIN_OPEN:7");
        all_answer(&f, 7);
        SAYS(&f, "excluded");
        close_splitter(&f);
    }

    open_splitter(&f);
    g_assert_true(ask(&f, 7));
    g_assert_cmpint(answer(&f, 1, 7, true), ==, 0);
    dq_splitter_exclude(f.splitter, 7, 1);
    g_assert_cmpint(answer(&f, 0, 7, false), ==, 0);
    g_assert_cmpint(answer(&f, 2, 7, false), ==, 0);
    SAYS(&f, "SPLIT_CLOSE:7 JOIN_OPEN:7");
    all_answer(&f, 7);
    SAYS(&f, "excluded");
    close_splitter(&f);
}

/* ------------------------------------------------------------- limits */

static void test_limits(void)
{
    struct fixture f;

    open_with(&f, 2, 3);
    split(&f, 1);
    split(&f, 2);
    /* its place in the nodes' tables is taken */
    g_assert_false(ask(&f, 1 + DQ_SPLIT_MOST));
    g_assert_false(ask(&f, 2 + 5 * DQ_SPLIT_MOST));
    split(&f, 3);
    g_assert_false(ask(&f, 4));
    SAYS(&f, "");
    join(&f, 2);
    g_assert_true(ask(&f, 2 + 5 * DQ_SPLIT_MOST));
    g_assert_false(ask(&f, 2));
    g_assert_false(ask(&f, 4));
    close_splitter(&f);

    open_with(&f, 2, 0);
    g_assert_false(ask(&f, 4));
    close_splitter(&f);
}

static uint32_t slot_of(struct fixture *f, uint64_t page)
{
    const struct dq_msg_split *m = g_hash_table_lookup(f->told, GSIZE_TO_POINTER(page));

    return m->slot;
}

/* Split and join so many pages. No two of them get the same slot: `seen` says who has had which. */
static void use_slots(struct fixture *f, unsigned count, bool *seen)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t page = f->now++;

        split(f, page);
        g_assert_cmpuint(slot_of(f, page), <, DQ_SPLIT_MOST);
        g_assert_false(seen[slot_of(f, page)]);
        seen[slot_of(f, page)] = true;
        join(f, page);
    }
}

/* A slot that was open is used again after all nodes have answered SPLIT_RETIRE, and not before. */
static void test_slots(void)
{
    static bool seen[DQ_SPLIT_MOST];
    struct fixture f;
    unsigned first = 0;

    open_with(&f, 2, 4);
    f.holds_retire = true;
    g_assert_cmpint(answer_retire(&f, 0), ==, -EPROTO);
    for (; !f.retires; first++) {
        SAYS(&f, "");
        use_slots(&f, 1, seen);
    }
    SAYS(&f, "SPLIT_RETIRE:0");
    g_assert_cmpint(answer_retire(&f, 2), ==, -EPROTO);
    g_assert_cmpint(answer_retire(&f, -1), ==, -EPROTO);
    /* not told again as long as one is on the way */
    use_slots(&f, DQ_SPLIT_MOST - first, seen);
    SAYS(&f, "");
    g_assert_false(ask(&f, 5));
    g_assert_cmpint(answer_retire(&f, 1), ==, 0);
    g_assert_cmpint(answer_retire(&f, 1), ==, -EPROTO);
    g_assert_false(ask(&f, 5));
    g_assert_cmpint(answer_retire(&f, 0), ==, 0);
    g_assert_cmpint(answer_retire(&f, 0), ==, -EPROTO);
    /* those that were retired before it was told, and no others */
    f.retires = false;
    memset(seen, 0, first * sizeof(seen[0]));
    use_slots(&f, 1, seen);
    SAYS(&f, "SPLIT_RETIRE:0");
    use_slots(&f, first - 1, seen);
    g_assert_false(ask(&f, 5));
    close_splitter(&f);
}

static void expect_slot(struct fixture *f, uint64_t page, uint32_t slot)
{
    split(f, page);
    g_assert_cmpuint(slot_of(f, page), ==, slot);
}

static void retire_all(struct fixture *f)
{
    for (int n = 0; n < f->nodes; n++) {
        g_assert_true(f->retires);
        g_assert_cmpint(answer_retire(f, n), ==, 0);
    }
    f->retires = false;
}

/* Memory that has been used is used again: the lowest slot that is free. */
static void test_lowest_slot(void)
{
    struct fixture f;

    open_retiring(&f, 16, 2);
    for (uint64_t page = 1; page <= 4; page++) {
        expect_slot(&f, page, (uint32_t)page - 1);
    }
    join(&f, 3);
    g_assert_false(f.retires);
    expect_slot(&f, 5, 4);
    join(&f, 1);
    SAYS(&f, "SPLIT_RETIRE:0");
    expect_slot(&f, 6, 5);
    retire_all(&f);
    expect_slot(&f, 7, 0);
    expect_slot(&f, 8, 2);
    expect_slot(&f, 9, 6);
    close_splitter(&f);
}

static void test_retire_one(void)
{
    struct fixture f;

    open_retiring(&f, 1, 1);
    for (uint64_t page = 1; page < 10; page++) {
        expect_slot(&f, page, 0);
        join(&f, page);
        SAYS(&f, "SPLIT_RETIRE:0");
        retire_all(&f);
    }
    close_splitter(&f);
}

/* Fewer than usual are retired together when no other slot is left; each time somebody asks. */
static void test_no_slot_is_left(void)
{
    uint64_t last = DQ_SPLIT_MOST - 1, other = last - 1;
    struct fixture f;

    open_retiring(&f, DQ_SPLIT_MOST, DQ_SPLIT_MOST);
    for (uint64_t page = 0; page <= last; page++) {
        expect_slot(&f, page, (uint32_t)page);
    }
    join(&f, last);
    f.now += COOL;
    SAYS(&f, "");
    g_assert_false(ask(&f, last));
    SAYS(&f, "SPLIT_RETIRE:0");
    /* the next ones are retired after those */
    join(&f, other);
    f.now += COOL;
    g_assert_false(ask(&f, other));
    SAYS(&f, "");
    retire_all(&f);
    expect_slot(&f, last, (uint32_t)last);
    g_assert_false(ask(&f, other));
    SAYS(&f, "SPLIT_RETIRE:0");
    retire_all(&f);
    expect_slot(&f, other, (uint32_t)other);
    /* none at all is retired: nothing to tell */
    g_assert_false(ask(&f, DQ_SPLIT_MOST));
    SAYS(&f, "");
    close_splitter(&f);
}

/* Slots that were never open, because a node has refused, need not be retired. */
static void test_slots_of_refused(void)
{
    struct fixture f;

    open_with(&f, 2, 4);
    f.holds_retire = true;
    for (uint64_t page = 1; page < 3 * DQ_SPLIT_MOST; page++) {
        g_assert_true(ask(&f, page));
        g_assert_cmpint(answer(&f, 0, page, true), ==, 0);
        g_assert_cmpint(answer(&f, 1, page, false), ==, 0);
        all_answer(&f, page);
    }
    g_assert_false(f.retires);
    close_splitter(&f);
}

static void test_as_many_as_there_can_be(void)
{
    struct fixture f;

    open_with(&f, 1, DQ_SPLIT_MOST);
    for (uint64_t page = 0; page < DQ_SPLIT_MOST; page++) {
        split(&f, 3 * page); /* 3 and the table's size have no common divisor */
    }
    g_assert_cmpuint(dq_splitter_stats(f.splitter).pages, ==, DQ_SPLIT_MOST);
    g_assert_false(ask(&f, 3 * DQ_SPLIT_MOST));
    dq_splitter_exclude(f.splitter, 0, UINT64_MAX);
    for (uint64_t page = 0; page < DQ_SPLIT_MOST; page++) {
        g_assert_null(strstr(f.said->str, "excluded"));
        finish_join(&f, 3 * page);
    }
    g_assert_nonnull(strstr(f.said->str, "excluded"));
    g_assert_cmpuint(dq_splitter_stats(f.splitter).pages, ==, 0);
    close_splitter(&f);
}

/* ------------------------------------------------------------- cooling down */

/* The page was joined just now: it is left alone for so long, and no longer. */
static void assert_cools(struct fixture *f, uint64_t page, uint64_t length)
{
    f->now += length - 1;
    g_assert_false(ask(f, page));
    f->now++;
    split(f, page);
}

static void test_cool_down(void)
{
    struct fixture f;

    open_splitter(&f);
    split(&f, 7); /* the first time at once */
    for (unsigned i = 0; i < 9; i++) {
        join(&f, 7);
        assert_cools(&f, 7, COOL << MIN(i, 6u));
    }
    /* others are not concerned */
    split(&f, 8);
    join(&f, 8);
    assert_cools(&f, 8, COOL);
    /* forgiven after eight times the last one, and not a moment before */
    join(&f, 8);
    assert_cools(&f, 8, 2 * COOL);
    f.now += 8 * 2 * COOL;
    join(&f, 8);
    assert_cools(&f, 8, 4 * COOL);
    f.now += 8 * 4 * COOL + 1;
    join(&f, 8);
    assert_cools(&f, 8, COOL);
    close_splitter(&f);
}

static void test_even_and_none(void)
{
    struct fixture f;

    open_cooling(&f, 3, 16, COOL, true);
    split(&f, 7);
    for (unsigned i = 0; i < 9; i++) {
        join(&f, 7);
        assert_cools(&f, 7, COOL);
    }
    close_splitter(&f);

    open_cooling(&f, 3, 16, 0, false);
    for (unsigned i = 0; i < 9; i++) {
        split(&f, 7);
        join(&f, 7);
    }
    close_splitter(&f);
}

/* Whose cool-downs are long over are forgotten, the others are not. */
static void test_many_cool_downs(void)
{
    struct fixture f;

    open_with(&f, 1, 16);
    split(&f, 5);
    join(&f, 5);
    f.now += 20 * COOL;
    for (uint64_t page = 10; page < 10010; page++) {
        split(&f, page);
        join(&f, page);
    }
    split(&f, 5);
    for (uint64_t page = 10; page < 10010; page++) {
        g_assert_false(ask(&f, page));
    }
    close_splitter(&f);
}

/* The aligned 64 pages around REGRETTED, and the nearest that are not of them. */
#define REGRETTED 200u
static const uint64_t around[] = {192, 199, 255}, beyond[] = {191, 256};

static void regret(struct fixture *f, uint64_t page)
{
    dq_splitter_regret(f->splitter, page);
    SAYS(f, "JOIN_CLOSE:200");
    finish_join(f, page);
}

/* REGRETTED was joined just now: the area is left alone for so long, and REGRETTED is split then. */
static void assert_area_cools(struct fixture *f, uint64_t length)
{
    f->now += length - 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(around); i++) {
        g_assert_false(ask(f, around[i]));
    }
    assert_cools(f, REGRETTED, 1);
}

static void test_regret(void)
{
    struct fixture f;

    open_splitter(&f);
    split(&f, REGRETTED);
    for (unsigned i = 0; i < 9; i++) {
        regret(&f, REGRETTED);
        assert_area_cools(&f, 8 * COOL << MIN(i, 6u));
    }
    /* the others of the area may be split then, too; those beside it, at any time */
    for (unsigned i = 0; i < G_N_ELEMENTS(around); i++) {
        split(&f, around[i]);
    }
    regret(&f, REGRETTED);
    for (unsigned i = 0; i < G_N_ELEMENTS(beyond); i++) {
        split(&f, beyond[i]);
    }
    close_splitter(&f);
}

/* Pages of the area that are split stay so. Regretted at the same time, they count as one. */
static void test_regret_several(void)
{
    struct fixture f;

    open_splitter(&f);
    split(&f, REGRETTED);
    split(&f, 201);
    split(&f, 202);
    regret(&f, REGRETTED);
    SAYS(&f, "");
    dq_splitter_regret(f.splitter, 201);
    SAYS(&f, "JOIN_CLOSE:201");
    finish_join(&f, 201);
    g_assert_cmpuint(dq_splitter_stats(f.splitter).pages, ==, 1);
    assert_area_cools(&f, 8 * COOL);
    regret(&f, REGRETTED);
    assert_area_cools(&f, 2 * 8 * COOL);
    close_splitter(&f);
}

/* A regret that comes early, or while the page is joined already, counts. */
static void test_regret_on_the_way(void)
{
    struct fixture f;

    open_splitter(&f);
    g_assert_true(ask(&f, REGRETTED));
    dq_splitter_regret(f.splitter, REGRETTED);
    all_answer(&f, REGRETTED);
    dq_splitter_moved(f.splitter, REGRETTED);
    SAYS(&f, "SPLIT_CLOSE:200 apart:200 SPLIT_OPEN:200");
    all_answer(&f, REGRETTED);
    SAYS(&f, "JOIN_CLOSE:200");
    finish_join(&f, REGRETTED);
    assert_area_cools(&f, 8 * COOL);
    dq_splitter_join(f.splitter, REGRETTED);
    dq_splitter_regret(f.splitter, REGRETTED);
    SAYS(&f, "JOIN_CLOSE:200");
    finish_join(&f, REGRETTED);
    assert_area_cools(&f, 2 * 8 * COOL);
    close_splitter(&f);
}

/* Of a page that is not split: nothing, now or when it is joined later. */
static void test_regret_of_nothing(void)
{
    struct fixture f;

    open_splitter(&f);
    dq_splitter_regret(f.splitter, REGRETTED);
    SAYS(&f, "");
    split(&f, REGRETTED);
    SAYS(&f, "");
    join(&f, REGRETTED);
    dq_splitter_regret(f.splitter, REGRETTED);
    SAYS(&f, "");
    for (unsigned i = 0; i < G_N_ELEMENTS(around); i++) {
        split(&f, around[i]);
    }
    assert_cools(&f, REGRETTED, COOL);
    close_splitter(&f);
}

static void test_regret_evenly(void)
{
    struct fixture f;

    open_cooling(&f, 3, 16, COOL, true);
    split(&f, REGRETTED);
    for (unsigned i = 0; i < 9; i++) {
        regret(&f, REGRETTED);
        assert_area_cools(&f, 8 * COOL);
    }
    close_splitter(&f);
}

/* ------------------------------------------------------------- wrong answers */

static void refuses(struct fixture *f, int node, struct dq_msg_split m)
{
    g_assert_cmpint(dq_splitter_done(f->splitter, node, &m, f->now), ==, -EPROTO);
    SAYS(f, "");
}

/* Answers that nobody may give while the page is closed or opened; `good` may be given. */
static void refuses_others(struct fixture *f, struct dq_msg_split good)
{
    struct dq_msg_split m;

    refuses(f, -1, good);
    refuses(f, f->nodes, good);
    refuses(f, DQ_MAX_NODES, good);
    m = good, m.page++;
    refuses(f, 0, m);
    m = good, m.page += DQ_SPLIT_MOST;
    refuses(f, 0, m);
    m = good, m.slot++;
    refuses(f, 0, m);
    m = good, m.shift++;
    refuses(f, 0, m);
    m = good, m.refused = good.op == DQ_SPLIT_CLOSE ? 2 : 1;
    refuses(f, 0, m);
    for (unsigned op = 0; op <= DQ_JOIN_OPEN + 1; op++) {
        m = good, m.op = (uint8_t)op;
        if (op != good.op) {
            refuses(f, 0, m);
        }
    }
}

static void refuses_all(struct fixture *f, struct dq_msg_split m)
{
    for (unsigned op = 0; op <= DQ_JOIN_OPEN; op++) {
        for (int n = 0; n < f->nodes; n++) {
            m.op = (uint8_t)op;
            refuses(f, n, m);
        }
    }
}

static struct dq_msg_split last_told(struct fixture *f, uint64_t page)
{
    return *(struct dq_msg_split *)g_hash_table_lookup(f->told, GSIZE_TO_POINTER(page));
}

/* Each answers once, and wrong answers between them change nothing. */
static void all_answer_among_wrong(struct fixture *f, uint64_t page, const char *words)
{
    struct dq_msg_split m = last_told(f, page);

    be_silent(f);
    for (int n = 0; n < f->nodes; n++) {
        SAYS(f, "");
        refuses_others(f, m);
        g_assert_cmpint(dq_splitter_done(f->splitter, n, &m, f->now), ==, 0);
        if (n < f->nodes - 1) {
            refuses(f, n, m);
            m.refused = m.op == DQ_SPLIT_CLOSE;
            refuses(f, n, m);
            m.refused = 0;
        }
    }
    SAYS(f, words);
    refuses_all(f, last_told(f, page));
}

static void test_wrong_answers(void)
{
    struct dq_msg_split nothing = {.page = 7, .shift = 10};
    struct fixture f;

    open_splitter(&f);
    refuses_all(&f, nothing);
    split(&f, 6);
    refuses_all(&f, nothing);
    g_assert_true(ask(&f, 7));
    all_answer_among_wrong(&f, 7, "apart:7");
    dq_splitter_moved(f.splitter, 7);
    all_answer_among_wrong(&f, 7, "");
    dq_splitter_join(f.splitter, 7);
    all_answer_among_wrong(&f, 7, "together:7");
    dq_splitter_moved(f.splitter, 7);
    all_answer_among_wrong(&f, 7, "");
    refuses_all(&f, nothing);
    close_splitter(&f);
}

/* Whatever nodes answer and ask for, the splitter stands, and counts right. */
static void test_random(void)
{
    GRand *random = g_rand_new_with_seed(1);
    struct fixture f;

    open_with(&f, 3, 3);
    f.mute = true;
    for (int i = 0; i < 200000; i++) {
        uint64_t page = (uint64_t)g_rand_int_range(random, 0, 4);
        struct dq_msg_split m = {.page = page,
                                 .shift = 10,
                                 .op = (uint8_t)g_rand_int_range(random, 0, DQ_SPLIT_RETIRE + 2),
                                 .refused = g_rand_int_range(random, 0, 9) == 0};
        const struct dq_msg_split *told = g_hash_table_lookup(f.told, GSIZE_TO_POINTER(page));
        struct dq_splitter_stats s = dq_splitter_stats(f.splitter);

        f.now += 10;
        f.retires = false;
        m.slot = (told ? told->slot : 0) + (uint32_t)(g_rand_int_range(random, 0, 4) / 3);
        dq_splitter_done(f.splitter, g_rand_int_range(random, -1, 4), &m, f.now);
        if (i % 16 == 0) {
            ask(&f, page);
        } else if (i % 64 == 1) {
            dq_splitter_join(f.splitter, page);
        } else if (i % 1024 == 2) {
            dq_splitter_regret(f.splitter, page);
        }
        if (f.moves >> page & 1) {
            f.moves &= ~(UINT64_C(1) << page);
            dq_splitter_moved(f.splitter, page);
        }
        g_assert_cmpuint(s.pages, <=, 3);
        g_assert_cmpuint(s.shadow, <=, 4 * s.pages);
        g_assert_cmpuint(s.splits - s.merges, <=, s.pages);
    }
    g_assert_cmpuint(dq_splitter_stats(f.splitter).merges, >, 10);
    g_rand_free(random);
    close_splitter(&f);
}

static void test_statistics(void)
{
    struct dq_splitter_stats s;
    struct fixture f;

    open_splitter(&f);
    g_assert_true(dq_splitter_ask(f.splitter, 1, 6, f.now));
    s = dq_splitter_stats(f.splitter);
    g_assert_cmpuint(s.pages, ==, 1);
    g_assert_cmpuint(s.splits, ==, 0);
    g_assert_cmpuint(s.shadow, ==, 0);
    all_answer(&f, 1);
    dq_splitter_moved(f.splitter, 1);
    all_answer(&f, 1);
    g_assert_true(dq_splitter_ask(f.splitter, 2, 11, f.now));
    all_answer(&f, 2);
    dq_splitter_moved(f.splitter, 2);
    all_answer(&f, 2);
    s = dq_splitter_stats(f.splitter);
    g_assert_cmpuint(s.pages, ==, 2);
    g_assert_cmpuint(s.splits, ==, 2);
    g_assert_cmpuint(s.merges, ==, 0);
    g_assert_cmpuint(s.shadow, ==, 64 + 2);
    join(&f, 1);
    /* one that is refused was never split */
    g_assert_true(ask(&f, 3));
    for (int n = 0; n < 3; n++) {
        g_assert_cmpint(answer(&f, n, 3, true), ==, 0);
    }
    all_answer(&f, 3);
    s = dq_splitter_stats(f.splitter);
    g_assert_cmpuint(s.pages, ==, 1);
    g_assert_cmpuint(s.splits, ==, 2);
    g_assert_cmpuint(s.merges, ==, 1);
    g_assert_cmpuint(s.shadow, ==, 2);
    g_assert_cmpuint(s.shadow_most, ==, 64 + 2);
    close_splitter(&f);
}

/* ------------------------------------------------------------- the mover */

#define WHOLE 5u    /* the page */
#define SHADOW 100u /* the slot's first shadow page */
#define PLACES (DQ_SPLIT_GRANULES + 1)

/* The memory of node 0, and which pages of it are here. */
struct memory {
    struct dq_mover mover;
    uint8_t bytes[PLACES][DQ_PAGE_SIZE]; /* the page is the last */
    bool here[PLACES], asked[PLACES];
    unsigned count, asks, moved;
    int cleared;
    /* when `if_asked` is asked for the next time, this one leaves */
    int if_asked, leaves;
};

static unsigned place_of(const struct memory *m, uint64_t page)
{
    if (page == WHOLE) {
        return DQ_SPLIT_GRANULES;
    }
    g_assert_cmpuint(page - SHADOW, <, m->count);
    return (unsigned)(page - SHADOW);
}

static bool on_want(void *ctx, struct dq_mover *mover, uint64_t page)
{
    struct memory *m = ctx;
    unsigned place = place_of(m, page);

    g_assert_true(mover == &m->mover);
    m->asks++;
    if (m->if_asked == (int)place) {
        m->if_asked = -1;
        m->here[m->leaves] = false;
    }
    m->asked[place] |= !m->here[place];
    return m->here[place];
}

static bool on_has(void *ctx, uint64_t page)
{
    struct memory *m = ctx;

    return m->here[place_of(m, page)];
}

static void on_read(void *ctx, uint64_t page, uint32_t count, void *to)
{
    struct memory *m = ctx;

    for (uint32_t i = 0; i < count; i++) {
        g_assert_true(m->here[place_of(m, page + i)]);
        memcpy((uint8_t *)to + (size_t)i * DQ_PAGE_SIZE, m->bytes[place_of(m, page + i)],
               DQ_PAGE_SIZE);
    }
}

static void on_write(void *ctx, uint64_t page, uint32_t count, const void *from)
{
    struct memory *m = ctx;

    for (uint32_t i = 0; i < count; i++) {
        g_assert_true(m->here[place_of(m, page + i)]);
        memcpy(m->bytes[place_of(m, page + i)], (const uint8_t *)from + (size_t)i * DQ_PAGE_SIZE,
               DQ_PAGE_SIZE);
    }
}

static void on_clear(void *ctx, uint64_t page, uint32_t count)
{
    struct memory *m = ctx;

    g_assert_cmpuint(page, ==, SHADOW);
    g_assert_cmpuint(count, ==, m->count);
    memset(m->bytes, 0, (size_t)count * DQ_PAGE_SIZE);
    m->cleared++;
}

static void on_moved(void *ctx, struct dq_mover *mover)
{
    struct memory *m = ctx;

    g_assert_true(mover == &m->mover);
    for (unsigned i = 0; i < m->count; i++) {
        g_assert_true(m->here[i]);
    }
    g_assert_true(m->here[DQ_SPLIT_GRANULES]);
    m->moved++;
}

static const struct dq_mover_ops mover_ops = {
    .want = on_want,
    .has = on_has,
    .read = on_read,
    .write = on_write,
    .clear = on_clear,
    .moved = on_moved,
};

static struct memory *new_memory(unsigned shift, bool here)
{
    struct memory *m = g_new0(struct memory, 1);

    m->count = DQ_PAGE_SIZE >> shift;
    m->if_asked = -1;
    memset(m->here, here, sizeof(m->here));
    return m;
}

static void start(struct memory *m, enum dq_split_op op)
{
    struct dq_msg_split what = {
        .page = WHOLE, .op = (uint8_t)op, .shift = (uint8_t)__builtin_ctz(DQ_PAGE_SIZE / m->count)};

    m->moved = 0;
    dq_mover_start(&m->mover, &what, SHADOW, &mover_ops, m);
}

/* What was asked for comes. */
static void come(struct memory *m, unsigned place)
{
    g_assert_true(m->asked[place]);
    g_assert_cmpuint(m->moved, ==, 0);
    m->asked[place] = false;
    m->here[place] = true;
    dq_mover_came(&m->mover);
}

static void fill(uint8_t *bytes, GRand *random)
{
    for (unsigned i = 0; i < DQ_PAGE_SIZE; i++) {
        bytes[i] = (uint8_t)g_rand_int_range(random, 1, 256);
    }
}

/* Each granule at its offset on its own shadow page, and zeroes around it; and back, as it is then. */
static void test_content(void)
{
    GRand *random = g_rand_new_with_seed(1);

    for (unsigned shift = DQ_SPLIT_LEAST_SHIFT; shift <= DQ_SPLIT_MOST_SHIFT; shift++) {
        struct memory *m = new_memory(shift, true);
        uint8_t whole[DQ_PAGE_SIZE];

        for (unsigned i = 0; i < PLACES; i++) {
            fill(m->bytes[i], random);
        }
        memcpy(whole, m->bytes[DQ_SPLIT_GRANULES], DQ_PAGE_SIZE);
        start(m, DQ_SPLIT_OPEN);
        g_assert_cmpuint(m->moved, ==, 1);
        g_assert_cmpint(m->cleared, ==, 0);
        for (unsigned i = 0; i < m->count * DQ_PAGE_SIZE; i++) {
            unsigned page = i / DQ_PAGE_SIZE, at = i % DQ_PAGE_SIZE;

            g_assert_cmpuint(m->bytes[page][at], ==, at >> shift == page ? whole[at] : 0);
        }
        fill(whole, random);
        for (unsigned at = 0; at < DQ_PAGE_SIZE; at++) {
            m->bytes[at >> shift][at] = whole[at];
        }
        memset(m->bytes[DQ_SPLIT_GRANULES], 99, DQ_PAGE_SIZE);
        start(m, DQ_JOIN_OPEN);
        g_assert_cmpuint(m->moved, ==, 1);
        g_assert_cmpint(m->cleared, ==, 1);
        g_assert_cmpmem(m->bytes[DQ_SPLIT_GRANULES], DQ_PAGE_SIZE, whole, DQ_PAGE_SIZE);
        g_free(m);
    }
    g_rand_free(random);
}

static void test_awaits_all(void)
{
    struct memory *m = new_memory(10, false);

    m->here[2] = true;
    start(m, DQ_SPLIT_OPEN);
    g_assert_false(m->asked[2]);
    come(m, 3);
    come(m, DQ_SPLIT_GRANULES);
    come(m, 0);
    g_assert_cmpuint(m->moved, ==, 0);
    come(m, 1);
    g_assert_cmpuint(m->moved, ==, 1);
    g_free(m);
}

/* Those that have left while others were awaited are asked for again, as often as it takes. */
static void test_pages_leave(void)
{
    for (unsigned op = DQ_SPLIT_OPEN; op <= DQ_JOIN_OPEN; op += DQ_JOIN_OPEN - DQ_SPLIT_OPEN) {
        struct memory *m = new_memory(10, false);

        start(m, op);
        come(m, 0);
        come(m, 1);
        m->here[0] = false; /* it came, and left */
        come(m, 2);
        come(m, 3);
        come(m, DQ_SPLIT_GRANULES);
        g_assert_cmpuint(m->moved, ==, 0);
        g_assert_false(m->asked[1] || m->asked[2] || m->asked[3] || m->asked[DQ_SPLIT_GRANULES]);
        m->here[DQ_SPLIT_GRANULES] = false;
        m->here[1] = false;
        come(m, 0);
        g_assert_cmpuint(m->moved, ==, 0);
        come(m, 1);
        m->here[2] = false;
        come(m, DQ_SPLIT_GRANULES);
        g_assert_cmpuint(m->moved, ==, 0);
        come(m, 2);
        g_assert_cmpuint(m->moved, ==, 1);
        g_free(m);
    }
}

/* The last that was awaited has left when the mover hears of it. */
static void test_leaves_at_once(void)
{
    struct memory *m = new_memory(11, true);

    m->here[1] = false;
    start(m, DQ_SPLIT_OPEN);
    m->asked[1] = false;
    dq_mover_came(&m->mover);
    g_assert_cmpuint(m->moved, ==, 0);
    come(m, 1);
    g_assert_cmpuint(m->moved, ==, 1);
    g_free(m);
}

/* One leaves because another is asked for, which is here. */
static void test_leaves_while_asking(void)
{
    struct memory *m = new_memory(11, true);

    m->if_asked = 1;
    m->leaves = 0;
    start(m, DQ_JOIN_OPEN);
    g_assert_cmpuint(m->moved, ==, 0);
    come(m, 0);
    g_assert_cmpuint(m->moved, ==, 1);
    g_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/splitter/split", test_split);
    g_test_add_func("/splitter/refusal", test_refusal);
    g_test_add_func("/splitter/join", test_join);
    g_test_add_func("/splitter/join-on-the-way", test_join_on_the_way);
    g_test_add_func("/splitter/join-twice", test_join_twice);
    g_test_add_func("/splitter/several-pages", test_several_pages);
    g_test_add_func("/splitter/numbers-of-nodes", test_numbers_of_nodes);
    g_test_add_func("/splitter/exclude-nothing", test_exclude_nothing);
    g_test_add_func("/splitter/exclude-split", test_exclude_split);
    g_test_add_func("/splitter/exclude-on-the-way", test_exclude_on_the_way);
    g_test_add_func("/splitter/exclude-while-joined", test_exclude_while_joined);
    g_test_add_func("/splitter/limits", test_limits);
    g_test_add_func("/splitter/slots", test_slots);
    g_test_add_func("/splitter/lowest-slot", test_lowest_slot);
    g_test_add_func("/splitter/retire-one", test_retire_one);
    g_test_add_func("/splitter/no-slot-is-left", test_no_slot_is_left);
    g_test_add_func("/splitter/slots-of-refused", test_slots_of_refused);
    g_test_add_func("/splitter/many-pages", test_as_many_as_there_can_be);
    g_test_add_func("/splitter/cool-down", test_cool_down);
    g_test_add_func("/splitter/even", test_even_and_none);
    g_test_add_func("/splitter/many-cool-downs", test_many_cool_downs);
    g_test_add_func("/splitter/regret", test_regret);
    g_test_add_func("/splitter/regret-several", test_regret_several);
    g_test_add_func("/splitter/regret-on-the-way", test_regret_on_the_way);
    g_test_add_func("/splitter/regret-of-nothing", test_regret_of_nothing);
    g_test_add_func("/splitter/regret-evenly", test_regret_evenly);
    g_test_add_func("/splitter/wrong-answers", test_wrong_answers);
    g_test_add_func("/splitter/random", test_random);
    g_test_add_func("/splitter/statistics", test_statistics);
    g_test_add_func("/mover/content", test_content);
    g_test_add_func("/mover/awaits-all", test_awaits_all);
    g_test_add_func("/mover/pages-leave", test_pages_leave);
    g_test_add_func("/mover/leaves-at-once", test_leaves_at_once);
    g_test_add_func("/mover/leaves-while-asking", test_leaves_while_asking);
    return g_test_run();
}
