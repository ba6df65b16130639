/*
 * The directory shard: each row of the protocol's table, queueing, resets, and refusals.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "dqemu/coherence.h"

static const char *const names[] = {"NONE",
#define X(name, body, trailing, help) #name,
                                    DQ_MESSAGES(X)
#undef X
};

/* What the directory said since the last look, as words: "FETCH_S>1(2) WAIT>0#3 done:7". */
struct fixture {
    struct dq_dir *dir;
    GString *said;
    uint64_t page; /* the first of a chunk that is homed here */
    bool mute;
};

static void on_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    struct fixture *f = ctx;

    if (f->mute) {
        return;
    }
    g_string_append_printf(f->said, "%s%s>%d", f->said->len ? " " : "", names[type], to);
    if (type == DQ_MSG_GRANT_ZERO) {
        g_string_append_printf(f->said, "[%d+%u@%u%s]", (int)(m->page - f->page), m->count,
                               m->flags, m->node == DQ_NODE_FILE ? " file" : "");
    } else if (type == DQ_MSG_WAIT) {
        g_string_append_printf(f->said, "#%u", m->count);
    } else if (type != DQ_MSG_GRANT_UP && m->node == DQ_NODE_MAP) {
        g_string_append(f->said, "(map)");
    } else if (type != DQ_MSG_GRANT_UP) {
        g_string_append_printf(f->said, "(%u)", m->node);
    }
}

static void on_reset_done(void *ctx, uint64_t cookie)
{
    struct fixture *f = ctx;

    g_string_append_printf(f->said, "%sdone:%d", f->said->len ? " " : "", (int)cookie);
}

static const struct dq_dir_ops ops = {.send = on_send, .reset_done = on_reset_done};

static void open_dir(struct fixture *f, int nodes, unsigned run)
{
    memset(f, 0, sizeof(*f));
    f->dir = dq_dir_new(0, nodes, run, &ops, f);
    f->said = g_string_new(NULL);
    for (f->page = DQ_CHUNK_PAGES; dq_home(f->page, nodes) != 0; f->page += DQ_CHUNK_PAGES) {
    }
}

static void close_dir(struct fixture *f)
{
    dq_dir_free(f->dir);
    g_string_free(f->said, TRUE);
}

static int tell(struct fixture *f, int from, unsigned type, unsigned page)
{
    struct dq_msg_page m = {.page = f->page + page};

    return dq_dir_message(f->dir, from, type, &m);
}

#define SAYS(f, words)                                                                             \
    do {                                                                                           \
        g_assert_cmpstr((f)->said->str, ==, words);                                                \
        g_string_truncate((f)->said, 0);                                                           \
    } while (0)

#define TELL(f, from, type, page, words)                                                           \
    do {                                                                                           \
        g_assert_cmpint(tell(f, from, DQ_MSG_##type, page), ==, 0);                                \
        SAYS(f, words);                                                                            \
    } while (0)

static void test_untouched_run(void)
{
    struct fixture f;

    open_dir(&f, 3, 8);
    TELL(&f, 1, GET_S, 3, "GRANT_ZERO>1[0+8@3]");
    TELL(&f, 2, GET_X, 8, "GRANT_ZERO>2[8+8@0]");
    TELL(&f, 2, GET_X, DQ_CHUNK_PAGES - 1, "GRANT_ZERO>2[504+8@7]");
    close_dir(&f);

    /* a window that does not divide the chunk ends with it */
    open_dir(&f, 3, 500);
    TELL(&f, 1, GET_X, 510, "GRANT_ZERO>1[500+12@10]");
    close_dir(&f);

    /* the run ends at a touched page */
    open_dir(&f, 3, 8);
    g_assert_cmpint(dq_dir_own(f.dir, 0, f.page + 2, 1), ==, 0);
    g_assert_cmpint(dq_dir_own(f.dir, 0, f.page + 6, 1), ==, 0);
    TELL(&f, 1, GET_S, 4, "GRANT_ZERO>1[3+3@1]");
    close_dir(&f);
}

static void test_read_shared_and_exclusive(void)
{
    struct fixture f;

    open_dir(&f, 4, 1);
    TELL(&f, 1, GET_X, 0, "GRANT_ZERO>1[0+1@0]");
    TELL(&f, 2, GET_S, 0, "FETCH_S>1(2)");
    TELL(&f, 2, DONE, 0, "");
    TELL(&f, 3, GET_S, 0, "FETCH_S>1(3)");
    TELL(&f, 3, DONE, 0, "");
    /* a copy at the home is the nearest */
    TELL(&f, 0, GET_S, 0, "FETCH_S>1(0)");
    TELL(&f, 0, DONE, 0, "");
    close_dir(&f);

    open_dir(&f, 4, 1);
    TELL(&f, 0, GET_X, 0, "GRANT_ZERO>0[0+1@0]");
    TELL(&f, 1, GET_S, 0, "FETCH_S>0(1)");
    TELL(&f, 1, DONE, 0, "");
    TELL(&f, 2, GET_S, 0, "FETCH_S>0(2)");
    close_dir(&f);
}

static void test_write_exclusive(void)
{
    struct fixture f;

    open_dir(&f, 3, 1);
    TELL(&f, 1, GET_S, 0, "GRANT_ZERO>1[0+1@0]");
    TELL(&f, 2, GET_X, 0, "FETCH_M>1(2)");
    TELL(&f, 2, DONE, 0, "");
    TELL(&f, 0, GET_S, 0, "FETCH_S>2(0)");
    close_dir(&f);
}

/* Who reads will write: the page moves to readers, until one has not written. */
static void test_migratory(void)
{
    struct fixture f;
    struct dq_msg_page clean = {.count = 1, .flags = DQ_PAGE_CLEAN};

    open_dir(&f, 4, 1);
    clean.page = f.page;
    TELL(&f, 1, GET_X, 0, "GRANT_ZERO>1[0+1@0]");
    TELL(&f, 2, GET_S, 0, "FETCH_S>1(2)");
    TELL(&f, 2, DONE, 0, "");
    TELL(&f, 2, GET_X, 0, "WAIT>2#1 INV>1(2)");
    TELL(&f, 2, DONE, 0, "");
    TELL(&f, 3, GET_S, 0, "FETCH_M>2(3)");
    TELL(&f, 3, DONE, 0, "");
    TELL(&f, 1, GET_S, 0, "FETCH_M>3(1)");
    g_assert_cmpint(dq_dir_message(f.dir, 1, DQ_MSG_DONE, &clean), ==, 0);
    TELL(&f, 2, GET_S, 0, "FETCH_S>1(2)");
    close_dir(&f);
}

/* One writes, the other reads: the page does not move to the reader. */
static void test_producer_and_consumer(void)
{
    struct fixture f;

    open_dir(&f, 4, 1);
    TELL(&f, 1, GET_X, 0, "GRANT_ZERO>1[0+1@0]");
    for (int i = 0; i < 3; i++) {
        TELL(&f, 2, GET_S, 0, "FETCH_S>1(2)");
        TELL(&f, 2, DONE, 0, "");
        TELL(&f, 1, GET_X, 0, "WAIT>1#1 INV>2(1)");
        TELL(&f, 1, DONE, 0, "");
    }
    close_dir(&f);
}

/* A requester may wish for a run of another length; a length that is none is refused. */
static void test_wish(void)
{
    struct fixture f;
    struct dq_msg_page m = {.count = 1, .flags = 5};

    open_dir(&f, 3, 4);
    m.page = f.page + 40;
    g_assert_cmpint(dq_dir_message(f.dir, 1, DQ_MSG_GET_X, &m), ==, 0);
    SAYS(&f, "GRANT_ZERO>1[32+32@8]");
    m.page = f.page;
    m.flags = DQ_MOST_WISH + 1;
    g_assert_cmpint(dq_dir_message(f.dir, 1, DQ_MSG_GET_X, &m), ==, -EPROTO);
    close_dir(&f);
}

static void test_write_shared(void)
{
    struct fixture f;

    open_dir(&f, 4, 1);
    TELL(&f, 1, GET_S, 0, "GRANT_ZERO>1[0+1@0]");
    TELL(&f, 2, GET_S, 0, "FETCH_S>1(2)");
    TELL(&f, 2, DONE, 0, "");
    /* an upgrade moves no data */
    TELL(&f, 3, GET_S, 0, "FETCH_S>1(3)");
    TELL(&f, 3, DONE, 0, "");
    TELL(&f, 2, GET_X, 0, "WAIT>2#2 INV>1(2) INV>3(2)");
    TELL(&f, 2, DONE, 0, "");
    TELL(&f, 1, GET_S, 0, "FETCH_S>2(1)");
    TELL(&f, 1, DONE, 0, "");
    /* one of the sharers sends it to who has no copy */
    TELL(&f, 3, GET_X, 0, "WAIT>3#2 FETCH_X>1(3) INV>2(3)");
    TELL(&f, 3, DONE, 0, "");
    TELL(&f, 0, GET_X, 0, "FETCH_M>3(0)");
    close_dir(&f);
}

static void test_request_that_crossed_a_run(void)
{
    struct fixture f;

    open_dir(&f, 3, 2);
    TELL(&f, 1, GET_S, 0, "GRANT_ZERO>1[0+2@0]");
    TELL(&f, 1, GET_S, 1, "GRANT_UP>1");
    TELL(&f, 1, GET_X, 1, "GRANT_UP>1");
    /* shared meanwhile: a real transfer */
    TELL(&f, 2, GET_S, 1, "FETCH_S>1(2)");
    TELL(&f, 1, GET_S, 1, "");
    TELL(&f, 2, DONE, 1, "FETCH_S>2(1)");
    close_dir(&f);
}

static void test_requests_wait_in_order(void)
{
    struct fixture f;

    open_dir(&f, 4, 1);
    TELL(&f, 0, GET_X, 0, "GRANT_ZERO>0[0+1@0]");
    TELL(&f, 1, GET_S, 0, "FETCH_S>0(1)");
    TELL(&f, 3, GET_X, 0, "");
    TELL(&f, 2, GET_S, 0, "");
    TELL(&f, 1, DONE, 0, "WAIT>3#2 FETCH_X>0(3) INV>1(3)");
    TELL(&f, 3, DONE, 0, "FETCH_S>3(2)");
    TELL(&f, 2, DONE, 0, "");
    close_dir(&f);
}

static void test_reset(void)
{
    struct fixture f;

    open_dir(&f, 3, 1);
    dq_dir_reset(f.dir, 0, UINT64_MAX, false, 5);
    SAYS(&f, "done:5");
    TELL(&f, 0, GET_X, 0, "GRANT_ZERO>0[0+1@0]");
    TELL(&f, 1, GET_S, 0, "FETCH_S>0(1)");
    TELL(&f, 2, GET_X, 7, "GRANT_ZERO>2[7+1@0]");
    TELL(&f, 2, GET_X, 9, "GRANT_ZERO>2[9+1@0]");
    /* page 0 is busy: its turn comes after DONE; page 9 is not of the range */
    dq_dir_reset(f.dir, f.page, 9, false, 6);
    SAYS(&f, "INV>2(map)");
    TELL(&f, 2, RACK, 7, "");
    TELL(&f, 1, DONE, 0, "INV>0(map) INV>1(map)");
    TELL(&f, 2, GET_S, 0, "");
    TELL(&f, 1, RACK, 0, "");
    TELL(&f, 0, RACK, 0, "done:6 GRANT_ZERO>2[0+1@0]");
    TELL(&f, 0, GET_S, 9, "FETCH_S>2(0)");
    close_dir(&f);

    /* a second reset of the same page finds it untouched */
    open_dir(&f, 3, 1);
    TELL(&f, 2, GET_X, 7, "GRANT_ZERO>2[7+1@0]");
    dq_dir_reset(f.dir, f.page + 7, 1, false, 1);
    dq_dir_reset(f.dir, f.page + 7, 1, false, 2);
    SAYS(&f, "INV>2(map)");
    TELL(&f, 2, RACK, 7, "done:1 done:2");
    /* and one may be left unfinished */
    TELL(&f, 2, GET_X, 7, "GRANT_ZERO>2[7+1@0]");
    dq_dir_reset(f.dir, f.page + 7, 1, false, 3);
    dq_dir_reset(f.dir, f.page + 7, 1, false, 4);
    close_dir(&f);
}

/* Pages of a file: the master, node 0, is granted them one by one; others get them from it. */
static void test_file(void)
{
    struct fixture f;

    open_dir(&f, 3, 8);
    dq_dir_reset(f.dir, f.page + 4, 8, true, 1);
    SAYS(&f, "done:1");
    TELL(&f, 0, GET_X, 5, "GRANT_ZERO>0[5+1@0 file]");
    TELL(&f, 1, GET_S, 6, "FETCH_S>0(1)");
    TELL(&f, 1, DONE, 6, "");
    TELL(&f, 2, GET_X, 6, "WAIT>2#2 FETCH_X>0(2) INV>1(2)");
    TELL(&f, 2, DONE, 6, "");
    TELL(&f, 1, GET_X, 7, "FETCH_M>0(1)");
    /* the master asks for what has just become its own */
    TELL(&f, 0, GET_S, 7, "");
    TELL(&f, 1, DONE, 7, "FETCH_S>1(0)");
    TELL(&f, 0, DONE, 7, "");
    /* runs of zeroes end where the file begins, and begin where it ends */
    TELL(&f, 2, GET_X, 1, "GRANT_ZERO>2[0+4@1]");
    TELL(&f, 2, GET_X, 13, "GRANT_ZERO>2[12+4@1]");
    /* discarded, and of the file still */
    dq_dir_reset(f.dir, f.page + 7, 1, true, 2);
    SAYS(&f, "INV>0(map) INV>1(map)");
    TELL(&f, 0, RACK, 7, "");
    TELL(&f, 2, GET_S, 7, "");
    TELL(&f, 1, RACK, 7, "done:2 FETCH_S>0(2)");
    TELL(&f, 2, DONE, 7, "");
    /* of none any more */
    dq_dir_reset(f.dir, f.page + 7, 2, false, 3);
    SAYS(&f, "INV>0(map) INV>2(map)");
    TELL(&f, 0, RACK, 7, "");
    TELL(&f, 2, RACK, 7, "done:3");
    TELL(&f, 1, GET_S, 7, "GRANT_ZERO>1[7+1@0]");
    TELL(&f, 1, GET_S, 8, "GRANT_ZERO>1[8+1@0]");
    TELL(&f, 0, GET_X, 9, "GRANT_ZERO>0[9+1@0 file]");
    close_dir(&f);
}

static void test_refusals(void)
{
    struct fixture f;
    uint64_t foreign = DQ_CHUNK_PAGES;
    struct dq_msg_page m = {0};

    open_dir(&f, 3, 1);
    while (dq_home(foreign, 3) == 0) {
        foreign += DQ_CHUNK_PAGES;
    }
    m.page = foreign;
    g_assert_cmpint(dq_dir_message(f.dir, 1, DQ_MSG_GET_S, &m), ==, -EPROTO);
    m.page = UINT64_MAX;
    g_assert_cmpint(dq_dir_message(f.dir, 1, DQ_MSG_GET_S, &m), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 3, DQ_MSG_GET_S, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, -1, DQ_MSG_GET_S, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 1, DQ_MSG_DONE, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 1, DQ_MSG_RACK, 0), ==, -EPROTO);
    TELL(&f, 1, GET_X, 0, "GRANT_ZERO>1[0+1@0]");
    g_assert_cmpint(tell(&f, 1, DQ_MSG_DONE, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 1, DQ_MSG_RACK, 0), ==, -EPROTO);
    TELL(&f, 2, GET_X, 0, "FETCH_M>1(2)");
    TELL(&f, 0, GET_X, 0, "");
    g_assert_cmpint(tell(&f, 2, DQ_MSG_GET_S, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 0, DQ_MSG_GET_S, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 1, DQ_MSG_DONE, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 2, DQ_MSG_RACK, 0), ==, -EPROTO);
    SAYS(&f, "");
    TELL(&f, 2, DONE, 0, "FETCH_M>2(0)");
    TELL(&f, 0, DONE, 0, "");
    dq_dir_reset(f.dir, f.page, 1, false, 1);
    SAYS(&f, "INV>0(map)");
    g_assert_cmpint(tell(&f, 0, DQ_MSG_DONE, 0), ==, -EPROTO);
    g_assert_cmpint(tell(&f, 1, DQ_MSG_RACK, 0), ==, -EPROTO);
    TELL(&f, 0, RACK, 0, "done:1");
    g_assert_cmpint(dq_dir_own(f.dir, 3, f.page, 1), ==, -EPROTO);
    g_assert_cmpint(dq_dir_own(f.dir, 0, UINT64_MAX, UINT64_MAX), ==, -EPROTO);
    g_assert_cmpint(dq_dir_own(f.dir, 0, f.page + 1, 2), ==, 0);
    g_assert_cmpint(dq_dir_own(f.dir, 0, f.page, 2), ==, -EPROTO);
    TELL(&f, 1, GET_S, 0, "GRANT_ZERO>1[0+1@0]");
    for (unsigned type = 0; type < DQ_MSG_COUNT + 2; type++) {
        if (type < DQ_MSG_GET_S || type > DQ_MSG_RACK) {
            g_assert_cmpint(tell(&f, 1, type, 0), ==, -EPROTO);
        }
    }
    close_dir(&f);
}

static void add_run(void *arg, uint64_t page, uint64_t count)
{
    struct fixture *f = arg;

    g_string_append_printf(f->said, "%s%d+%d", f->said->len ? " " : "", (int)(page - f->page),
                           (int)count);
}

static void test_list(void)
{
    struct fixture f;

    open_dir(&f, 3, 1);
    dq_dir_list(f.dir, 0, 0, UINT64_MAX, add_run, &f);
    SAYS(&f, "");
    g_assert_cmpint(dq_dir_own(f.dir, 1, f.page + 60, 10), ==, 0);
    g_assert_cmpint(dq_dir_own(f.dir, 0, f.page + 300, 2), ==, 0);
    dq_dir_list(f.dir, 0, 0, UINT64_MAX, add_run, &f);
    SAYS(&f, "60+10");
    dq_dir_list(f.dir, 1, 0, UINT64_MAX, add_run, &f);
    SAYS(&f, "300+2");
    dq_dir_list(f.dir, 2, 0, UINT64_MAX, add_run, &f);
    SAYS(&f, "60+10 300+2");
    /* of a range */
    dq_dir_list(f.dir, 2, f.page + 62, 239, add_run, &f);
    SAYS(&f, "62+8 300+1");
    dq_dir_list(f.dir, 2, f.page + 70, 230, add_run, &f);
    SAYS(&f, "");
    /* what is still on its way counts as not here */
    TELL(&f, 0, GET_S, 62, "FETCH_S>1(0)");
    dq_dir_list(f.dir, 0, 0, UINT64_MAX, add_run, &f);
    SAYS(&f, "60+10");
    TELL(&f, 0, DONE, 62, "");
    dq_dir_list(f.dir, 0, 0, UINT64_MAX, add_run, &f);
    SAYS(&f, "60+2 63+7");
    close_dir(&f);
}

static void test_many_nodes(void)
{
    struct fixture f;
    GString *expected = g_string_new("WAIT>1#199 FETCH_X>0(1)");

    open_dir(&f, 200, 1);
    f.mute = true;
    g_assert_cmpint(tell(&f, 0, DQ_MSG_GET_X, 0), ==, 0);
    for (int n = 2; n < 200; n++) {
        g_assert_cmpint(tell(&f, n, DQ_MSG_GET_S, 0), ==, 0);
        g_assert_cmpint(tell(&f, n, DQ_MSG_DONE, 0), ==, 0);
        g_string_append_printf(expected, " INV>%d(1)", n);
    }
    f.mute = false;
    TELL(&f, 1, GET_X, 0, expected->str);
    TELL(&f, 1, DONE, 0, "");
    TELL(&f, 199, GET_X, 0, "FETCH_M>1(199)");
    g_string_free(expected, TRUE);
    close_dir(&f);
}

static void test_memory(void)
{
    struct fixture f;
    uint64_t pages = 0;

    open_dir(&f, DQ_MAX_NODES, 1);
    for (uint64_t page = 0; pages < 64 * DQ_CHUNK_PAGES; page += DQ_CHUNK_PAGES) {
        if (dq_home(page, DQ_MAX_NODES) == 0) {
            g_assert_cmpint(dq_dir_own(f.dir, 5, page, DQ_CHUNK_PAGES), ==, 0);
            pages += DQ_CHUNK_PAGES;
        }
    }
    g_assert_cmpint(dq_dir_memory(f.dir) * 100, <, pages * DQ_PAGE_SIZE);
    f.mute = true;
    dq_dir_reset(f.dir, 0, UINT64_MAX, false, 1);
    for (uint64_t page = 0; pages; page++) {
        struct dq_msg_page m = {.page = page};

        if (dq_dir_message(f.dir, 5, DQ_MSG_RACK, &m) == 0) {
            pages--;
        }
    }
    SAYS(&f, "done:1");
    g_assert_cmpint(dq_dir_memory(f.dir), <, DQ_PAGE_SIZE);
    close_dir(&f);
}

/* Whatever peers send, the directory stands; what it refuses changes nothing. */
static void test_random_messages(void)
{
    struct fixture f;
    GRand *random = g_rand_new_with_seed(1);

    open_dir(&f, 5, 4);
    f.mute = true;
    for (int i = 0; i < 200000; i++) {
        struct dq_msg_page m = {.page = f.page + (uint64_t)g_rand_int_range(random, 0, 12),
                                .count = g_rand_int(random),
                                .node = (uint16_t)g_rand_int(random),
                                .flags = (uint16_t)g_rand_int(random)};
        static const unsigned types[] = {DQ_MSG_GET_S, DQ_MSG_GET_X, DQ_MSG_DONE, DQ_MSG_RACK};

        dq_dir_message(f.dir, g_rand_int_range(random, 0, 5), types[g_rand_int_range(random, 0, 4)],
                       &m);
        if (i % 500 == 0) {
            dq_dir_reset(f.dir, f.page, 12, false, 1);
        }
    }
    g_rand_free(random);
    close_dir(&f);
}

static void test_homes_are_spread(void)
{
    unsigned count[8] = {0};

    for (uint64_t chunk = 0; chunk < 8000; chunk++) {
        int home = dq_home(chunk * DQ_CHUNK_PAGES, 8);

        g_assert_cmpint(home, ==, dq_home(chunk * DQ_CHUNK_PAGES + DQ_CHUNK_PAGES - 1, 8));
        count[home]++;
    }
    for (int i = 0; i < 8; i++) {
        g_assert_cmpuint(count[i], >, 850);
        g_assert_cmpuint(count[i], <, 1150);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dir/untouched-run", test_untouched_run);
    g_test_add_func("/dir/read", test_read_shared_and_exclusive);
    g_test_add_func("/dir/write-exclusive", test_write_exclusive);
    g_test_add_func("/dir/write-shared", test_write_shared);
    g_test_add_func("/dir/migratory", test_migratory);
    g_test_add_func("/dir/producer-and-consumer", test_producer_and_consumer);
    g_test_add_func("/dir/wish", test_wish);
    g_test_add_func("/dir/crossed-run", test_request_that_crossed_a_run);
    g_test_add_func("/dir/fifo", test_requests_wait_in_order);
    g_test_add_func("/dir/reset", test_reset);
    g_test_add_func("/dir/file", test_file);
    g_test_add_func("/dir/refusals", test_refusals);
    g_test_add_func("/dir/list", test_list);
    g_test_add_func("/dir/many-nodes", test_many_nodes);
    g_test_add_func("/dir/memory", test_memory);
    g_test_add_func("/dir/random-messages", test_random_messages);
    g_test_add_func("/dir/homes", test_homes_are_spread);
    return g_test_run();
}
