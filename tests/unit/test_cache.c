/*
 * The page cache: what a node asks for, how access arrives, how it is given away, and refusals.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "dqemu/coherence.h"

#define SELF 1
#define HOME 0
#define HOLD 100

static const char *const names[] = {"NONE",
#define X(name, body, trailing, help) #name,
                                    DQ_MESSAGES(X)
#undef X
};

/* What the cache did since the last look, as words; +page marks a message with the page. */
struct fixture {
    struct dq_cache *cache;
    GString *did;
    uint64_t page; /* the first of a chunk that is homed at HOME */
    uint64_t now;
    bool keeps; /* release() says false */
    bool file;  /* pages that nobody has touched are of a file */
    bool mute;
    GArray *releasing; /* pages, in the test of random messages */
};

static void G_GNUC_PRINTF(2, 3) did(struct fixture *f, const char *format, ...)
{
    va_list ap;

    if (f->mute) {
        return;
    }
    if (f->did->len) {
        g_string_append_c(f->did, ' ');
    }
    va_start(ap, format);
    g_string_append_vprintf(f->did, format, ap);
    va_end(ap);
}

static void on_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m, bool with_page)
{
    bool clean = (type == DQ_MSG_DONE || type == DQ_MSG_DATA_M) && m->flags == DQ_PAGE_CLEAN;

    did(ctx, "%s>%d%s%s", names[type], to, with_page ? "+page" : "", clean ? "+clean" : "");
}

static void on_install(void *ctx, uint64_t page, uint32_t count, const void *data, bool writable)
{
    struct fixture *f = ctx;

    did(f, "install:%d+%u%s%s", (int)(page - f->page), count, data ? "" : "0",
        writable ? "w" : "r");
}

static bool on_fill(void *ctx, uint64_t page)
{
    struct fixture *f = ctx;

    if (f->file) {
        did(f, "fill:%d", (int)(page - f->page));
    }
    return f->file;
}

static void on_make_writable(void *ctx, uint64_t page)
{
    (void)page;
    did(ctx, "writable");
}

static void on_make_readonly(void *ctx, uint64_t page)
{
    (void)page;
    did(ctx, "readonly");
}

static void on_drop(void *ctx, uint64_t page)
{
    (void)page;
    did(ctx, "drop");
}

static bool on_release(void *ctx, uint64_t page)
{
    struct fixture *f = ctx;

    did(f, "release");
    if (f->keeps && f->releasing) {
        g_array_append_val(f->releasing, page);
    }
    return !f->keeps;
}

static void on_timer(void *ctx, uint64_t when)
{
    did(ctx, "timer:%d", (int)when);
}

static void on_granted(void *ctx, uint64_t page, enum dq_page_state state)
{
    struct fixture *f = ctx;

    g_assert_cmpint(dq_cache_state(f->cache, page), ==, state);
    did(f, "granted:%c", "ISCX"[state]);
}

static const struct dq_cache_ops ops = {
    .send = on_send,
    .install = on_install,
    .fill = on_fill,
    .make_writable = on_make_writable,
    .make_readonly = on_make_readonly,
    .drop = on_drop,
    .release = on_release,
    .timer = on_timer,
    .granted = on_granted,
};

static void open_cache(struct fixture *f, int nodes)
{
    memset(f, 0, sizeof(*f));
    f->cache = dq_cache_new(SELF, nodes, HOLD, &ops, f);
    f->did = g_string_new(NULL);
    f->now = 1000;
    for (f->page = DQ_CHUNK_PAGES; dq_home(f->page, nodes) != HOME; f->page += DQ_CHUNK_PAGES) {
    }
}

static void close_cache(struct fixture *f)
{
    dq_cache_free(f->cache);
    g_string_free(f->did, TRUE);
}

static int tell(struct fixture *f, int from, unsigned type, unsigned page, unsigned arg)
{
    struct dq_msg_page m = {.page = f->page + page};
    bool data = type == DQ_MSG_DATA_S || type == DQ_MSG_DATA_X || type == DQ_MSG_DATA_M;

    m.node = (uint16_t)arg;
    m.flags = type == DQ_MSG_DATA_M ? (uint16_t)arg : 0;
    m.count = type == DQ_MSG_GRANT_ZERO && !arg ? 1 : arg;
    return dq_cache_message(f->cache, from, type, &m, data ? "" : NULL, f->now);
}

#define DID(f, words)                                                                              \
    do {                                                                                           \
        g_assert_cmpstr((f)->did->str, ==, words);                                                 \
        g_string_truncate((f)->did, 0);                                                            \
    } while (0)

#define TELL(f, from, type, page, arg, words)                                                      \
    do {                                                                                           \
        g_assert_cmpint(tell(f, from, DQ_MSG_##type, page, arg), ==, 0);                           \
        DID(f, words);                                                                             \
    } while (0)

#define REFUSES(f, from, type, page, arg)                                                          \
    do {                                                                                           \
        g_assert_cmpint(tell(f, from, DQ_MSG_##type, page, arg), ==, -EPROTO);                     \
        DID(f, "");                                                                                \
    } while (0)

#define WANT(f, which, write, answer, words)                                                       \
    do {                                                                                           \
        bool has = dq_cache_want((f)->cache, (f)->page + (which), write, 0, (f)->now);             \
                                                                                                   \
        g_assert_cmpint(has, ==, answer);                                                          \
        DID(f, words);                                                                             \
    } while (0)

/* Page 0 becomes Exclusive here, and its hold time passes, however long. */
static void get_exclusive(struct fixture *f)
{
    WANT(f, 0, true, false, "GET_X>0");
    TELL(f, HOME, GRANT_ZERO, 0, 0, "install:0+10w granted:X");
    f->now += 4 * HOLD;
}

static void get_shared(struct fixture *f)
{
    WANT(f, 0, false, false, "GET_S>0");
    TELL(f, 2, DATA_S, 0, 0, "install:0+1r DONE>0 granted:S");
    f->now += 4 * HOLD;
}

static void test_asks_once(void)
{
    struct fixture f;

    open_cache(&f, 4);
    WANT(&f, 0, false, false, "GET_S>0");
    WANT(&f, 0, false, false, "");
    /* write access wanted meanwhile: asked for when the copy has come */
    WANT(&f, 0, true, false, "");
    TELL(&f, 2, DATA_S, 0, 0, "install:0+1r DONE>0 granted:S GET_X>0");
    WANT(&f, 0, false, true, "");
    WANT(&f, 0, true, false, "");
    TELL(&f, HOME, GRANT_UP, 0, 0, "writable granted:X");
    WANT(&f, 0, true, true, "");
    close_cache(&f);
}

static void test_answers_in_any_order(void)
{
    struct fixture f;

    open_cache(&f, 4);
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, 3, ACK, 0, 0, "");
    TELL(&f, 2, DATA_X, 0, 0, "install:0+1r granted:S");
    TELL(&f, HOME, WAIT, 0, 2, "writable DONE>0 granted:X");
    close_cache(&f);

    open_cache(&f, 4);
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, HOME, WAIT, 0, 2, "");
    TELL(&f, 3, ACK, 0, 0, "");
    TELL(&f, 2, DATA_X, 0, 0, "install:0+1w DONE>0 granted:X");
    close_cache(&f);

    /* the Shared copy is lost while the upgrade is queued at the home */
    open_cache(&f, 4);
    get_shared(&f);
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, HOME, INV, 0, 3, "release drop ACK>3");
    TELL(&f, HOME, WAIT, 0, 1, "");
    TELL(&f, 3, DATA_X, 0, 0, "install:0+1w DONE>0 granted:X");
    close_cache(&f);

    /* an upgrade */
    open_cache(&f, 4);
    get_shared(&f);
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, HOME, FETCH_S, 0, 3, "DATA_S>3+page");
    TELL(&f, HOME, WAIT, 0, 1, "");
    TELL(&f, 3, ACK, 0, 0, "writable DONE>0 granted:X");
    close_cache(&f);
}

static void test_run(void)
{
    struct fixture f;
    struct dq_msg_page m = {.count = 4, .flags = 2};

    open_cache(&f, 4);
    WANT(&f, 2, false, false, "GET_S>0");
    WANT(&f, 3, false, false, "GET_S>0");
    m.page = f.page;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==, 0);
    DID(&f, "install:0+40w granted:X granted:X");
    /* page 2 has its answer, page 3 has not */
    REFUSES(&f, HOME, GRANT_UP, 2, 0);
    REFUSES(&f, HOME, GRANT_UP, 0, 0);
    TELL(&f, HOME, GRANT_UP, 3, 0, "granted:X");
    REFUSES(&f, HOME, GRANT_UP, 3, 0);
    close_cache(&f);

    /* shared before the answer came: the copy that comes is not installed again */
    open_cache(&f, 4);
    WANT(&f, 2, false, false, "GET_S>0");
    WANT(&f, 3, false, false, "GET_S>0");
    m.page = f.page;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==, 0);
    DID(&f, "install:0+40w granted:X granted:X");
    f.now += 4 * HOLD;
    TELL(&f, HOME, FETCH_S, 3, 2, "readonly DATA_S>2+page");
    TELL(&f, 2, DATA_S, 3, 0, "DONE>0 granted:S");
    close_cache(&f);
}

static void test_gives_away(void)
{
    struct fixture f;

    open_cache(&f, 4);
    get_exclusive(&f);
    TELL(&f, HOME, FETCH_S, 0, 2, "readonly DATA_S>2+page");
    TELL(&f, HOME, FETCH_S, 0, 3, "DATA_S>3+page");
    TELL(&f, HOME, INV, 0, 2, "release drop ACK>2");
    get_exclusive(&f);
    TELL(&f, HOME, FETCH_X, 0, 2, "readonly release DATA_X>2+page drop");
    get_exclusive(&f);
    TELL(&f, HOME, INV, 0, DQ_NODE_MAP, "readonly release drop RACK>0");
    get_shared(&f);
    TELL(&f, HOME, FETCH_X, 0, 2, "release DATA_X>2+page drop");
    close_cache(&f);
}

/* The only copy moves; to who reads it comes Clean. */
static void test_moves(void)
{
    struct fixture f;

    open_cache(&f, 4);
    get_exclusive(&f);
    TELL(&f, HOME, FETCH_M, 0, 2, "readonly release DATA_M>2+page drop");
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, 2, DATA_M, 0, 0, "install:0+1w DONE>0 granted:X");
    f.now += 4 * HOLD;
    TELL(&f, HOME, FETCH_M, 0, 2, "readonly release DATA_M>2+page drop");

    WANT(&f, 0, false, false, "GET_S>0");
    TELL(&f, 2, DATA_M, 0, 0, "install:0+1r DONE>0 granted:C");
    f.now += 4 * HOLD;
    WANT(&f, 0, false, true, "");
    /* not written: it need not be made readonly, and says so */
    TELL(&f, HOME, FETCH_M, 0, 2, "release DATA_M>2+page+clean drop");

    WANT(&f, 0, false, false, "GET_S>0");
    TELL(&f, 2, DATA_M, 0, DQ_PAGE_CLEAN, "install:0+1r DONE>0+clean granted:C");
    f.now += 4 * HOLD;
    /* written without a message */
    WANT(&f, 0, true, true, "writable");
    WANT(&f, 0, true, true, "");
    TELL(&f, HOME, FETCH_M, 0, 2, "readonly release DATA_M>2+page drop");

    /* write access wanted meanwhile */
    WANT(&f, 0, false, false, "GET_S>0");
    WANT(&f, 0, true, false, "");
    TELL(&f, 2, DATA_M, 0, 0, "install:0+1w DONE>0 granted:X");
    close_cache(&f);

    /* only the only copy can move */
    open_cache(&f, 4);
    get_shared(&f);
    REFUSES(&f, HOME, FETCH_M, 0, 2);
    WANT(&f, 0, true, false, "GET_X>0");
    REFUSES(&f, 2, DATA_M, 0, 0);
    close_cache(&f);
}

static void test_hold_time(void)
{
    struct fixture f;

    open_cache(&f, 4);
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, HOME, GRANT_ZERO, 0, 0, "install:0+10w granted:X");
    f.now += 40;
    TELL(&f, HOME, FETCH_S, 0, 2, "timer:1100");
    REFUSES(&f, HOME, FETCH_S, 0, 3);
    f.now = 1099;
    dq_cache_tick(f.cache, f.now);
    DID(&f, "timer:1100");
    f.now = 1100;
    dq_cache_tick(f.cache, f.now);
    DID(&f, "readonly DATA_S>2+page");

    /* a read copy too is kept, but given on at once */
    WANT(&f, 1, false, false, "GET_S>0");
    TELL(&f, 2, DATA_S, 1, 0, "install:1+1r DONE>0 granted:S");
    TELL(&f, HOME, FETCH_S, 1, 3, "DATA_S>3+page");
    TELL(&f, HOME, INV, 1, 3, "timer:1200");
    /* one timer, for the earliest */
    WANT(&f, 2, true, false, "GET_X>0");
    f.now = 1150;
    TELL(&f, HOME, GRANT_ZERO, 2, 0, "install:2+10w granted:X");
    TELL(&f, HOME, FETCH_X, 2, 3, "");
    f.now = 1200;
    dq_cache_tick(f.cache, f.now);
    DID(&f, "release drop ACK>3 timer:1250");
    /* a reset waits for nobody */
    WANT(&f, 3, true, false, "GET_X>0");
    TELL(&f, HOME, GRANT_ZERO, 3, 0, "install:3+10w granted:X");
    TELL(&f, HOME, INV, 3, DQ_NODE_MAP, "readonly release drop RACK>0");
    close_cache(&f);
}

/* Kept without a limit: nothing is armed for it, and what is due is answered when it is let go. */
static void test_kept(void)
{
    struct fixture f;

    open_cache(&f, 4);
    get_exclusive(&f);
    dq_cache_keep(f.cache, f.page, f.now);
    TELL(&f, HOME, FETCH_S, 0, 2, "");
    f.now += 1000000 * HOLD;
    dq_cache_tick(f.cache, f.now);
    DID(&f, "");
    g_assert_false(dq_cache_rest(f.cache, f.page, f.now));
    WANT(&f, 0, true, true, "");
    dq_cache_let_go(f.cache, f.page, f.now, f.now);
    DID(&f, "readonly DATA_S>2+page");
    /* nobody asks meanwhile; the hold time ends with it */
    WANT(&f, 1, true, false, "GET_X>0");
    TELL(&f, HOME, GRANT_ZERO, 1, 0, "install:1+10w granted:X");
    dq_cache_keep(f.cache, f.page + 1, f.now);
    dq_cache_let_go(f.cache, f.page + 1, f.now, f.now);
    TELL(&f, HOME, FETCH_X, 1, 3, "readonly release DATA_X>3+page drop");
    /* a reset waits for nobody */
    WANT(&f, 2, true, false, "GET_X>0");
    TELL(&f, HOME, GRANT_ZERO, 2, 0, "install:2+10w granted:X");
    dq_cache_keep(f.cache, f.page + 2, f.now);
    TELL(&f, HOME, INV, 2, DQ_NODE_MAP, "readonly release drop RACK>0");
    dq_cache_let_go(f.cache, f.page + 2, f.now, f.now);
    close_cache(&f);
}

/* Page 0 comes from another node, which asks for it back at once: how long is it kept? */
static uint64_t time_kept(struct fixture *f)
{
    uint64_t start = f->now;

    f->mute = true;
    dq_cache_want(f->cache, f->page, true, 0, f->now);
    g_assert_cmpint(tell(f, 2, DQ_MSG_DATA_M, 0, 0), ==, 0);
    g_assert_cmpint(tell(f, HOME, DQ_MSG_FETCH_M, 0, 2), ==, 0);
    while (dq_cache_state(f->cache, f->page) != DQ_INVALID) {
        dq_cache_tick(f->cache, ++f->now);
    }
    f->mute = false;
    return f->now - start;
}

static void test_own_hold_time(void)
{
    struct fixture f;

    open_cache(&f, 4);
    g_assert_cmpint(time_kept(&f), ==, HOLD);
    /* wanted back soon: kept longer, up to a limit */
    f.now += 4 * HOLD;
    g_assert_cmpint(time_kept(&f), ==, 2 * HOLD);
    g_assert_cmpint(time_kept(&f), ==, 4 * HOLD);
    g_assert_cmpint(time_kept(&f), ==, 4 * HOLD);
    /* not wanted back soon: step by step as before */
    f.now += 4 * HOLD + 1;
    g_assert_cmpint(time_kept(&f), ==, 2 * HOLD);
    f.now += 4 * HOLD + 1;
    g_assert_cmpint(time_kept(&f), ==, HOLD);
    f.now += 4 * HOLD + 1;
    g_assert_cmpint(time_kept(&f), ==, HOLD);
    /* a page that was reset was not given away */
    f.now += 4 * HOLD + 1;
    get_exclusive(&f);
    TELL(&f, HOME, INV, 0, DQ_NODE_MAP, "readonly release drop RACK>0");
    g_assert_cmpint(time_kept(&f), ==, HOLD);
    /* a thread has done with it: not kept at all */
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, 2, DATA_M, 0, 0, "install:0+1w DONE>0 granted:X");
    dq_cache_let_go(f.cache, f.page, f.now - 1, f.now); /* before it came: somebody else's */
    f.now++;
    f.mute = true;
    g_assert_cmpint(tell(&f, HOME, DQ_MSG_FETCH_M, 0, 2), ==, 0);
    g_assert_cmpint(dq_cache_state(f.cache, f.page), ==, DQ_EXCLUSIVE);
    dq_cache_let_go(f.cache, f.page, f.now, f.now);
    g_assert_cmpint(dq_cache_state(f.cache, f.page), ==, DQ_INVALID);
    close_cache(&f);
}

/* A read moves the page here; it leaves again. */
static void comes_and_goes(struct fixture *f, bool write, const char *comes, const char *goes)
{
    f->now += 8 * HOLD;
    WANT(f, 0, false, false, "GET_S>0");
    TELL(f, 2, DATA_M, 0, 0, comes);
    f->now += 4 * HOLD;
    if (write) {
        dq_cache_want(f->cache, f->page, true, 0, f->now);
        g_string_truncate(f->did, 0);
    }
    TELL(f, HOME, FETCH_M, 0, 2, goes);
}

static void test_trusts(void)
{
    static const char *const clean = "install:0+1r DONE>0 granted:C";
    static const char *const writable = "install:0+1w DONE>0 granted:X";
    static const char *const written = "readonly release DATA_M>2+page drop";
    static const char *const unwritten = "release DATA_M>2+page+clean drop";
    struct fixture f;

    open_cache(&f, 4);
    comes_and_goes(&f, false, clean, unwritten); /* what is learned of a page begins with this */
    comes_and_goes(&f, true, clean, written);
    comes_and_goes(&f, false, clean, unwritten);
    /* written to after two reads in a row */
    comes_and_goes(&f, true, clean, written);
    comes_and_goes(&f, true, clean, written);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            comes_and_goes(&f, true, writable, written);
        }
        comes_and_goes(&f, true, clean, written); /* to see */
    }
    /* written to no more, which is seen the ninth time */
    for (int i = 0; i < 8; i++) {
        comes_and_goes(&f, false, writable, written);
    }
    comes_and_goes(&f, false, clean, unwritten);
    comes_and_goes(&f, false, clean, unwritten);
    close_cache(&f);
}

/* The home that gives its page away is done only when it has dropped it: then it serves the next. */
static void test_is_home(void)
{
    struct fixture f;

    open_cache(&f, 4);
    while (dq_home(f.page, 4) != SELF) {
        f.page += DQ_CHUNK_PAGES;
    }
    dq_cache_own(f.cache, f.page, 3);
    TELL(&f, SELF, FETCH_S, 0, 2, "readonly DATA_S>2+page DONE>1");
    TELL(&f, SELF, FETCH_M, 1, 2, "readonly release DATA_M>2+page drop DONE>1");
    TELL(&f, SELF, FETCH_X, 2, 3,
         "readonly release DATA_X>3+page drop"); /* others may still answer */
    close_cache(&f);
}

static void test_rests(void)
{
    struct fixture f;

    open_cache(&f, 4);
    g_assert_false(dq_cache_rest(f.cache, f.page, f.now)); /* not here */
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, HOME, GRANT_ZERO, 0, 0, "install:0+10w granted:X");
    g_assert_false(dq_cache_rest(f.cache, f.page, f.now)); /* just come */
    DID(&f, "");
    f.now += HOLD;
    g_assert_true(dq_cache_rest(f.cache, f.page, f.now));
    DID(&f, "readonly");
    g_assert_cmpint(dq_cache_state(f.cache, f.page), ==, DQ_CLEAN);
    g_assert_true(dq_cache_is_rested(f.cache, f.page));
    g_assert_false(dq_cache_rest(f.cache, f.page, f.now));
    /* read here, then written to without a message */
    WANT(&f, 0, false, true, "");
    WANT(&f, 0, true, true, "writable");
    g_assert_false(dq_cache_is_rested(f.cache, f.page));
    /* given on: it was written to, so not DQ_PAGE_CLEAN */
    g_assert_true(dq_cache_rest(f.cache, f.page, f.now));
    DID(&f, "readonly");
    TELL(&f, HOME, FETCH_M, 0, 2, "release DATA_M>2+page drop");
    g_assert_false(dq_cache_is_rested(f.cache, f.page));
    /* read by others: a Shared page does not rest, and is upgraded as ever */
    WANT(&f, 0, true, false, "GET_X>0");
    TELL(&f, 2, DATA_M, 0, 0, "install:0+1w DONE>0 granted:X");
    f.now += 4 * HOLD;
    g_assert_true(dq_cache_rest(f.cache, f.page, f.now));
    DID(&f, "readonly");
    TELL(&f, HOME, FETCH_S, 0, 2, "DATA_S>2+page");
    g_assert_false(dq_cache_rest(f.cache, f.page, f.now));
    WANT(&f, 0, true, false, "GET_X>0");
    close_cache(&f);
}

static void test_release(void)
{
    struct fixture f;

    open_cache(&f, 4);
    get_exclusive(&f);
    f.keeps = true;
    TELL(&f, HOME, FETCH_X, 0, 2, "readonly release");
    dq_cache_tick(f.cache, f.now);
    DID(&f, "");
    WANT(&f, 0, false, true, "");
    WANT(&f, 0, true, false, "GET_X>0");
    dq_cache_released(f.cache, f.page, f.now);
    DID(&f, "DATA_X>2+page drop");
    TELL(&f, HOME, WAIT, 0, 1, "");
    TELL(&f, 2, DATA_X, 0, 0, "install:0+1w DONE>0 granted:X");
    close_cache(&f);
}

static void test_freeze(void)
{
    struct fixture f;

    open_cache(&f, 4);
    get_exclusive(&f);
    WANT(&f, 1, false, false, "GET_S>0");
    TELL(&f, 2, DATA_S, 1, 0, "install:1+1r DONE>0 granted:S");
    dq_cache_freeze(f.cache);
    TELL(&f, HOME, FETCH_S, 0, 2, "readonly DATA_S>2+page");
    TELL(&f, HOME, FETCH_X, 0, 2, "");
    TELL(&f, HOME, INV, 1, 2, "");
    dq_cache_tick(f.cache, f.now);
    DID(&f, "");
    dq_cache_thaw(f.cache, f.now);
    DID(&f, "release DATA_X>2+page drop timer:1500");
    f.now = 1500;
    dq_cache_tick(f.cache, f.now);
    DID(&f, "release drop ACK>2");
    close_cache(&f);

    /* released while frozen: the page may have been translated again when it thaws */
    open_cache(&f, 4);
    get_exclusive(&f);
    f.keeps = true;
    TELL(&f, HOME, FETCH_X, 0, 2, "readonly release");
    dq_cache_freeze(f.cache);
    dq_cache_released(f.cache, f.page, f.now);
    DID(&f, "");
    f.keeps = false;
    dq_cache_thaw(f.cache, f.now);
    DID(&f, "release DATA_X>2+page drop");
    close_cache(&f);
}

/* The home takes an untouched page of a file for this node's: it is, once it is asked for. */
static void test_file(void)
{
    struct fixture f;
    struct dq_msg_page m = {.count = 1, .node = DQ_NODE_FILE};

    open_cache(&f, 4);
    f.file = true;
    TELL(&f, HOME, FETCH_S, 0, 2, "fill:0 readonly DATA_S>2+page");
    g_assert_cmpint(dq_cache_state(f.cache, f.page), ==, DQ_SHARED);
    TELL(&f, HOME, FETCH_M, 1, 2, "fill:1 readonly release DATA_M>2+page drop");
    g_assert_cmpint(dq_cache_state(f.cache, f.page + 1), ==, DQ_INVALID);
    /* once it has been touched the others have copies: so no such message can come */
    REFUSES(&f, HOME, FETCH_M, 0, 2);
    REFUSES(&f, HOME, FETCH_X, 3, 2);
    REFUSES(&f, HOME, INV, 3, 2);
    REFUSES(&f, HOME, FETCH_S, 3, SELF);

    /* a request of this node's has crossed */
    WANT(&f, 4, false, false, "GET_S>0");
    TELL(&f, HOME, FETCH_S, 4, 2, "fill:4 readonly DATA_S>2+page");
    TELL(&f, 2, DATA_S, 4, 0, "DONE>0 granted:S");
    WANT(&f, 5, true, false, "GET_X>0");
    TELL(&f, HOME, FETCH_M, 5, 2, "fill:5 readonly release DATA_M>2+page drop");
    TELL(&f, 2, DATA_M, 5, 0, "install:5+1w DONE>0 granted:X");

    /* granted to this node itself, alone */
    WANT(&f, 6, false, false, "GET_S>0");
    m.page = f.page + 6;
    m.count = 2;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==,
                    -EPROTO);
    m.count = 1;
    f.file = false;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==,
                    -EPROTO);
    f.file = true;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==, 0);
    DID(&f, "fill:6 granted:X");

    /* frozen: it comes, and stays */
    dq_cache_freeze(f.cache);
    TELL(&f, HOME, FETCH_M, 7, 2, "fill:7");
    dq_cache_thaw(f.cache, f.now);
    DID(&f, "readonly release DATA_M>2+page drop");
    close_cache(&f);
}

static void test_refusals(void)
{
    struct fixture f;
    static const unsigned answers[] = {DQ_MSG_GRANT_ZERO, DQ_MSG_GRANT_UP, DQ_MSG_WAIT,
                                       DQ_MSG_FETCH_S,    DQ_MSG_FETCH_X,  DQ_MSG_FETCH_M,
                                       DQ_MSG_INV};
    struct dq_msg_page m = {.count = 1};

    open_cache(&f, 4);
    /* nothing is expected */
    for (unsigned type = 0; type < DQ_MSG_COUNT + 2; type++) {
        g_assert_cmpint(tell(&f, HOME, type, 0, 1), ==, -EPROTO);
        g_assert_cmpint(tell(&f, 2, type, 0, 1), ==, -EPROTO);
    }
    DID(&f, "");
    /* only the home speaks for the home, nobody answers himself */
    WANT(&f, 0, true, false, "GET_X>0");
    for (unsigned i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_assert_cmpint(tell(&f, 2, answers[i], 0, 1), ==, -EPROTO);
    }
    REFUSES(&f, SELF, DATA_X, 0, 0);
    REFUSES(&f, SELF, ACK, 0, 0);
    REFUSES(&f, 4, ACK, 0, 0);
    REFUSES(&f, -1, ACK, 0, 0);
    REFUSES(&f, 2, DATA_S, 0, 0);
    REFUSES(&f, HOME, GRANT_UP, 0, 0);
    REFUSES(&f, HOME, WAIT, 0, 0);
    REFUSES(&f, HOME, WAIT, 0, 4);
    REFUSES(&f, HOME, GRANT_ZERO, 0, DQ_CHUNK_PAGES + 1);
    /* no data among the answers, or too many of them */
    TELL(&f, HOME, WAIT, 0, 1, "");
    REFUSES(&f, HOME, WAIT, 0, 1);
    REFUSES(&f, 2, ACK, 0, 0);
    TELL(&f, 2, DATA_X, 0, 0, "install:0+1w DONE>0 granted:X");
    REFUSES(&f, 2, DATA_X, 0, 0);
    /* who is to get it? */
    f.now += HOLD;
    REFUSES(&f, HOME, FETCH_X, 0, SELF);
    REFUSES(&f, HOME, FETCH_X, 0, 4);
    REFUSES(&f, HOME, FETCH_X, 0, DQ_NODE_MAP);
    /* a run over a page that is here, out of its chunk, or asked for outside itself */
    WANT(&f, 1, true, false, "GET_X>0");
    m.page = f.page;
    m.count = 2;
    m.flags = 1;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==,
                    -EPROTO);
    m.page = f.page + 1;
    m.count = DQ_CHUNK_PAGES;
    m.flags = 0;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==,
                    -EPROTO);
    m.page = f.page;
    m.count = 1;
    m.flags = 1;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==,
                    -EPROTO);
    m.page = UINT64_MAX;
    g_assert_cmpint(dq_cache_message(f.cache, HOME, DQ_MSG_GRANT_ZERO, &m, NULL, f.now), ==,
                    -EPROTO);
    DID(&f, "");
    close_cache(&f);
}

static void test_own_and_memory(void)
{
    struct fixture f;
    size_t least;

    open_cache(&f, 4);
    f.mute = true;
    least = dq_cache_memory(f.cache);
    dq_cache_own(f.cache, f.page, 16 * DQ_CHUNK_PAGES);
    g_assert_cmpint(dq_cache_state(f.cache, f.page + 77), ==, DQ_EXCLUSIVE);
    g_assert_cmpint(dq_cache_memory(f.cache) * 1000, <, 16 * DQ_CHUNK_PAGES * DQ_PAGE_SIZE);
    for (unsigned i = 0; i < 16 * DQ_CHUNK_PAGES; i++) {
        int home = dq_home(f.page + i, 4);
        struct dq_msg_page m = {.page = f.page + i, .node = DQ_NODE_MAP};

        g_assert_cmpint(dq_cache_message(f.cache, home, DQ_MSG_INV, &m, NULL, f.now), ==, 0);
    }
    g_assert_cmpint(dq_cache_memory(f.cache), ==, least);

    /* hold times that are over leave nothing behind */
    for (unsigned i = 0; i < 100000; i++) {
        dq_cache_want(f.cache, f.page, true, 0, f.now);
        g_assert_cmpint(tell(&f, HOME, DQ_MSG_GRANT_ZERO, 0, 0), ==, 0);
        f.now += 4 * HOLD;
        g_assert_cmpint(tell(&f, HOME, DQ_MSG_INV, 0, 2), ==, 0);
    }
    g_assert_cmpint(dq_cache_memory(f.cache), <, least + 3 * DQ_PAGE_SIZE);
    close_cache(&f);
}

static void random_message(struct fixture *f, GRand *random)
{
    struct dq_msg_page m = {.page = f->page + (uint64_t)g_rand_int_range(random, 0, 6),
                            .count = (uint32_t)g_rand_int_range(random, 0, 5),
                            .node = (uint16_t)g_rand_int_range(random, 0, 6),
                            .flags = (uint16_t)g_rand_int_range(random, 0, 3)};
    unsigned type = (unsigned)g_rand_int_range(random, 0, DQ_MSG_COUNT);
    int from = g_rand_int_range(random, 0, 4);

    if (m.node == 5) {
        m.node = DQ_NODE_MAP;
    }
    dq_cache_message(f->cache, from, type, &m,
                     type >= DQ_MSG_DATA_S && type <= DQ_MSG_DATA_M ? "" : NULL, f->now);
}

/* Whatever peers send, the cache stands. */
static void test_random_messages(void)
{
    struct fixture f;
    GRand *random = g_rand_new_with_seed(1);

    open_cache(&f, 4);
    f.mute = true;
    f.releasing = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    for (int i = 0; i < 300000; i++) {
        f.now += (uint64_t)g_rand_int_range(random, 0, 30);
        f.keeps = g_rand_int_range(random, 0, 3) == 0;
        random_message(&f, random);
        switch (g_rand_int_range(random, 0, 12)) {
        case 0:
            dq_cache_freeze(f.cache);
            break;
        case 1:
            dq_cache_thaw(f.cache, f.now);
            break;
        case 2:
            dq_cache_tick(f.cache, f.now);
            break;
        case 3:
            if (f.releasing->len) {
                dq_cache_released(f.cache, g_array_index(f.releasing, uint64_t, 0), f.now);
                g_array_remove_index(f.releasing, 0);
            }
            break;
        case 4:
        case 5:
            dq_cache_want(f.cache, f.page + (uint64_t)g_rand_int_range(random, 0, 6),
                          g_rand_boolean(random), 0, f.now);
            break;
        }
    }
    g_array_free(f.releasing, TRUE);
    g_rand_free(random);
    close_cache(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cache/asks-once", test_asks_once);
    g_test_add_func("/cache/answers-in-any-order", test_answers_in_any_order);
    g_test_add_func("/cache/run", test_run);
    g_test_add_func("/cache/gives-away", test_gives_away);
    g_test_add_func("/cache/moves", test_moves);
    g_test_add_func("/cache/hold-time", test_hold_time);
    g_test_add_func("/cache/kept", test_kept);
    g_test_add_func("/cache/own-hold-time", test_own_hold_time);
    g_test_add_func("/cache/trusts", test_trusts);
    g_test_add_func("/cache/is_home", test_is_home);
    g_test_add_func("/cache/rests", test_rests);
    g_test_add_func("/cache/release", test_release);
    g_test_add_func("/cache/freeze", test_freeze);
    g_test_add_func("/cache/file", test_file);
    g_test_add_func("/cache/refusals", test_refusals);
    g_test_add_func("/cache/memory", test_own_and_memory);
    g_test_add_func("/cache/random-messages", test_random_messages);
    return g_test_run();
}
