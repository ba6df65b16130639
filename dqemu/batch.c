/*
 * What the engine does page by page, done for runs of pages: one message, one system call for
 * neighbours to which the same happens.
 *
 * Effects are put off until dq_batch_flush(), at the end of each turn of the loop (and of each
 * message that brings pages, whose bytes are its own). For any one page they
 * happen in the order in which the engine asked for them, and messages to one node leave in
 * the order in which they were sent; an effect that would break either flushes first. Within
 * one flush the order is: install, make writable, write-protect, read and send pages, discard,
 * send the rest (pages that leave are taken out in one step instead, where the kernel can do that);
 * so what the engine sends after it has dropped a page (ACK, RACK) leaves after the drop.
 *
 * A page that leaves for good is sent and dropped by one flush, and nothing is handled in between. What
 * was flushed may be on its way at once, because a message of another thread takes along what the loop
 * has gathered; the next owner writes to the page then. A thread here that still read the old
 * copy after another message of this turn had told it of what the owner did next (a lock released,
 * a page with the new list's head) would read what has never been: new here, old there.
 *
 * See pager.c for the threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "dqemu/check.h"
#include "dqemu/runtime.h"
#include "dqemu/stats.h"
#include "dqemu/uffd.h"

/*
 * The longest run; bounds what a peer must do at once. Pages that are sent take several messages,
 * but one system call write-protects them: from some tens of neighbours on, the kernel flushes a
 * processor's translations once for all of them.
 */
#define MOST_RUN 512u

/* As many pages as lie between two of a stream's (stream.c), and some. */
#define MOST_BRIDGE 16u

struct run {
    uint64_t page, count;
};

/* A message to one node. */
struct outgoing {
    struct dq_msg_page m; /* m.count 0: none */
    unsigned type;
    bool with_pages;
};

static struct {
    struct run install, upgrade, readonly, drop;
    const uint8_t *data; /* of install */
    bool writable;
    struct outgoing out[DQ_MAX_NODES];
    uint64_t to; /* a bit per node with a message */
} batch;

static bool is_in(const struct run *r, uint64_t page)
{
    return page - r->page < r->count;
}

static void cut_before(struct run *r, uint64_t page)
{
    uint64_t cut = page > r->page ? MIN(page - r->page, r->count) : 0;

    r->page += cut;
    r->count -= cut;
}

static bool continues(const struct run *r, uint64_t page)
{
    return r->count == 0 || (page == r->page + r->count && r->count < MOST_RUN);
}

/* False: it does not continue the run. */
static bool append(struct run *r, uint64_t page)
{
    if (!continues(r, page)) {
        return false;
    }
    if (r->count == 0) {
        r->page = page;
    }
    r->count++;
    return true;
}

/* After flushing there is always room. */
static void append_or_flush(struct run *r, uint64_t page)
{
    if (!append(r, page)) {
        dq_batch_flush();
        append(r, page);
    }
}

/* ---- flushing */

/* The first pages of the run, at most as many as go into one message. bytes NULL: read them. */
static uint32_t send_some_pages(int to, struct outgoing *o, const uint8_t *bytes, size_t most)
{
    static uint8_t copy[DQ_MOST_PAGES * DQ_PAGE_SIZE];
    struct dq_msg_page m = o->m;
    bool here = !bytes;

    m.count = (uint32_t)MIN(MIN(o->m.count, DQ_MOST_PAGES), most);
    if (!bytes) {
        bytes = copy;
        /* A page may be held and absent: see answer_echo() in pager.c. */
        dq_uffd_read(dq_pager_host(m.page), copy, m.count);
        for (uint32_t i = 0; i < m.count; i++) {
            dq_ahead_read(m.page + i, copy + (size_t)i * DQ_PAGE_SIZE);
        }
    }
    dq_stat_add(pages_out, m.count);
    dq_check_sending(to, &m, bytes, here);
    dq_node_emit(to, o->type, &m, sizeof(m), bytes, m.count);
    o->m.page += m.count;
    o->m.count -= m.count;
    return m.count;
}

static void send_all(bool with_pages)
{
    for (uint64_t left = batch.to; left; left &= left - 1) {
        int to = __builtin_ctzll(left);
        struct outgoing *o = &batch.out[to];

        if (o->m.count == 0 || o->with_pages != with_pages) {
            continue;
        }
        if (with_pages) {
            while (o->m.count) {
                send_some_pages(to, o, NULL, o->m.count);
            }
        } else {
            dq_node_emit(to, o->type, &o->m, sizeof(o->m), NULL, 0);
            o->m.count = 0;
        }
    }
}

/* The page goes with it: the engine drops it next. */
static bool leaves(unsigned type)
{
    return type == DQ_MSG_DATA_X || type == DQ_MSG_DATA_M;
}

/* The message that sends just the pages that are to be dropped; NULL: there is none. */
static struct outgoing *leaving(void)
{
    for (uint64_t left = batch.drop.count ? batch.to : 0; left; left &= left - 1) {
        struct outgoing *o = &batch.out[__builtin_ctzll(left)];

        if (o->with_pages && o->m.page == batch.drop.page && o->m.count == batch.drop.count) {
            return o;
        }
    }
    return NULL;
}

/*
 * Pages that go from here to one other node, as the pages of locks do: their memory is taken out
 * and sent. What the kernel does not move is left to the steps that follow.
 */
static void move_out(void)
{
    struct outgoing *o = leaving();
    struct run *protect = &batch.readonly;
    const uint8_t *bytes;
    size_t taken;

    if (!o || (protect->count && !is_in(&batch.drop, protect->page))) {
        return;
    }
    while (o->m.count && (taken = dq_uffd_take(dq_pager_host(o->m.page), o->m.count, &bytes)) > 0) {
        for (size_t sent = 0; sent < taken;) {
            sent +=
                send_some_pages((int)(o - batch.out), o, bytes + sent * DQ_PAGE_SIZE, taken - sent);
        }
    }
    cut_before(&batch.drop, o->m.page);
    cut_before(protect, o->m.page);
}

void dq_batch_grants(void)
{
    if (batch.install.count || batch.upgrade.count) {
        dq_batch_flush();
    }
}

void dq_batch_flush(void)
{
    if (batch.install.count) {
        dq_uffd_copy(dq_pager_host(batch.install.page), batch.data, batch.install.count,
                     batch.writable);
        dq_stat_add(pages_in, batch.install.count);
        batch.install.count = 0;
    }
    if (batch.upgrade.count) {
        dq_uffd_unprotect(dq_pager_host(batch.upgrade.page), batch.upgrade.count);
        batch.upgrade.count = 0;
    }
    move_out();
    if (batch.readonly.count) {
        dq_uffd_protect(dq_pager_host(batch.readonly.page), batch.readonly.count);
        batch.readonly.count = 0;
    }
    send_all(true);
    if (batch.drop.count) {
        dq_uffd_discard(dq_pager_host(batch.drop.page), batch.drop.count);
        batch.drop.count = 0;
    }
    send_all(false);
    batch.to = 0;
}

/* ---- effects */

void dq_batch_install(uint64_t page, const void *data, bool writable)
{
    const uint8_t *follows = batch.data + batch.install.count * DQ_PAGE_SIZE;

    if (is_in(&batch.readonly, page) || is_in(&batch.drop, page) ||
        (batch.install.count && (follows != data || batch.writable != writable))) {
        dq_batch_flush();
    }
    append_or_flush(&batch.install, page);
    if (batch.install.count == 1) {
        batch.data = data;
        batch.writable = writable;
    }
}

void dq_batch_writable(uint64_t page)
{
    if (is_in(&batch.readonly, page) || is_in(&batch.drop, page) || is_in(&batch.install, page)) {
        dq_batch_flush();
    }
    if (!dq_ahead_show(page, true) && !dq_ahead_withhold_write(page)) {
        append_or_flush(&batch.upgrade, page);
    }
}

/*
 * Pages between the run and this one that nobody here may write to anyway: to protect them too
 * changes nothing, and makes one run of two.
 */
static void bridge(struct run *r, uint64_t page)
{
    uint64_t end = r->page + r->count;

    if (r->count == 0 || page - end > MOST_BRIDGE) {
        return;
    }
    for (uint64_t p = end; p < page; p++) {
        if (dq_cache_state(dq_pager.cache, p) == DQ_EXCLUSIVE) {
            return;
        }
    }
    r->count = MIN(page - r->page, MOST_RUN);
}

void dq_batch_readonly(uint64_t page)
{
    if (is_in(&batch.drop, page) || is_in(&batch.install, page)) {
        dq_batch_flush();
    }
    bridge(&batch.readonly, page);
    append_or_flush(&batch.readonly, page);
    dq_ahead_protect(page);
}

void dq_batch_drop(uint64_t page)
{
    if (is_in(&batch.install, page)) {
        dq_batch_flush();
    }
    append_or_flush(&batch.drop, page);
    if (dq_ahead_withholds(page)) {
        dq_batch_flush(); /* its bytes may be due */
        dq_ahead_drop(page);
    }
}

/* These say something else with their count. */
static bool is_single(unsigned type)
{
    return type == DQ_MSG_GRANT_ZERO || type == DQ_MSG_WAIT;
}

/* In a request it says where in the page somebody faulted; if not known, it may be as in the next. */
static bool have_same_node(unsigned type, const struct dq_msg_page *a, const struct dq_msg_page *b)
{
    bool get = type == DQ_MSG_GET_S || type == DQ_MSG_GET_X;

    return a->node == b->node || (get && (!a->node || !b->node));
}

/* True: the message is short for the one that waits and this one. */
static bool extends(const struct outgoing *o, unsigned type, const struct dq_msg_page *m)
{
    return o->type == type && !is_single(type) && m->page == o->m.page + o->m.count &&
           have_same_node(type, m, &o->m) && m->flags == o->m.flags && o->m.count < MOST_RUN;
}

void dq_batch_send(int to, unsigned type, const struct dq_msg_page *m, bool with_page)
{
    struct outgoing *o = &batch.out[to];

    if ((with_page && (is_in(&batch.drop, m->page) || is_in(&batch.install, m->page))) ||
        (leaves(type) && !continues(&batch.drop, m->page))) {
        dq_batch_flush();
    }
    if (o->m.count && extends(o, type, m)) {
        o->m.count++;
        o->m.node = MAX(o->m.node, m->node);
        return;
    }
    if (o->m.count) {
        dq_batch_flush();
    }
    *o = (struct outgoing){.m = *m, .type = type, .with_pages = with_page};
    batch.to |= UINT64_C(1) << to;
}
