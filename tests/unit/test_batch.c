/*
 * The batch of the engine's effects, over a model of the kernel: what a thread of this node can read
 * and write at each moment, against what peers have been sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "dqemu/runtime.h"
#include "dqemu/uffd.h"

enum { PAGES = 12, PEERS = 3, STEPS = 400000 };

/* ---- the model of the kernel, and of what the node holds */

static struct page {
    bool present, writable;
    uint64_t value;           /* the first word */
    enum dq_page_state state; /* as the engine has it */
    bool gone;                /* sent for good, and not installed since */
    bool busy;                /* an answer about it is not out yet: its home asks nothing else */
    bool withheld;            /* held; `value` is not in memory */
    uint64_t withheld_value;
    bool withheld_writable;
} pages[PAGES];

static uint64_t value; /* the last one that was written anywhere */
static bool can_move;  /* the kernel */
static unsigned moved, sent, acks_due;

struct dq_pager dq_pager = {.guest_base = 0};

static struct page *at_address(uintptr_t at)
{
    g_assert_cmpuint(at % DQ_PAGE_SIZE, ==, 0);
    g_assert_cmpuint(at / DQ_PAGE_SIZE, <, PAGES);
    return &pages[at / DQ_PAGE_SIZE];
}

void dq_uffd_copy(uintptr_t at, const void *data, size_t count, bool writable)
{
    for (size_t i = 0; i < count; i++) {
        struct page *p = at_address(at + i * DQ_PAGE_SIZE);

        g_assert_false(p->present);
        p->present = true;
        p->writable = writable;
        memcpy(&p->value, (const uint8_t *)data + i * DQ_PAGE_SIZE, sizeof(p->value));
    }
}

void dq_uffd_protect(uintptr_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at_address(at + i * DQ_PAGE_SIZE)->writable = false;
    }
}

void dq_uffd_unprotect(uintptr_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct page *p = at_address(at + i * DQ_PAGE_SIZE);
        p->writable = p->present;
    }
}

void dq_uffd_discard(uintptr_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct page *p = at_address(at + i * DQ_PAGE_SIZE);
        p->present = p->writable = false;
    }
}

bool dq_uffd_read(uintptr_t at, void *to, size_t count)
{
    bool all = true;

    for (size_t i = 0; i < count; i++) {
        const struct page *p = at_address(at + i * DQ_PAGE_SIZE);
        uint64_t word = p->present ? p->value : 0;

        g_assert_false(p->writable); /* or a write would be lost */
        memcpy((uint8_t *)to + i * DQ_PAGE_SIZE, &word, sizeof(word));
        all &= p->present;
    }
    return all;
}

size_t dq_uffd_take(uintptr_t at, size_t count, const uint8_t **bytes)
{
    static uint8_t taken[PAGES * DQ_PAGE_SIZE];
    size_t n = 0;

    for (; can_move && n < count && at_address(at + n * DQ_PAGE_SIZE)->present; n++) {
        struct page *p = at_address(at + n * DQ_PAGE_SIZE);

        memcpy(taken + n * DQ_PAGE_SIZE, &p->value, sizeof(p->value));
        p->present = p->writable = false;
    }
    *bytes = taken;
    moved += n;
    return n;
}

enum dq_page_state dq_cache_state(const struct dq_cache *c, uint64_t page)
{
    (void)c;
    return pages[page].state;
}

/* ---- withheld pages */

bool dq_ahead_withholds(uint64_t page)
{
    return pages[page].withheld;
}

void dq_ahead_read(uint64_t page, void *to)
{
    if (pages[page].withheld) {
        memcpy(to, &pages[page].withheld_value, sizeof(uint64_t));
    }
}

void dq_ahead_drop(uint64_t page)
{
    pages[page].withheld = false;
}

void dq_ahead_protect(uint64_t page)
{
    pages[page].withheld_writable = false;
}

bool dq_ahead_withhold_write(uint64_t page)
{
    (void)page;
    return false;
}

bool dq_ahead_show(uint64_t page, bool writable)
{
    struct page *p = &pages[page];

    if (!p->withheld) {
        return false;
    }
    p->withheld = false;
    p->present = true;
    p->writable = writable || p->withheld_writable;
    p->value = p->withheld_value;
    return true;
}

/* ---- the check of pages (dqemu/check.h) is off */

void dq_check_sending(int to, const struct dq_msg_page *m, const uint8_t *bytes, bool here)
{
    (void)to;
    (void)m;
    (void)bytes;
    (void)here;
}

/* ---- peers */

/* What leaves must be what the page held last: nobody here has another copy from now on. */
void dq_node_emit(int to, unsigned type, const void *body, size_t length, const void *bytes,
                  unsigned count)
{
    struct dq_msg_page m;

    g_assert_cmpuint(length, ==, sizeof(m));
    g_assert_cmpint(to, <, PEERS);
    memcpy(&m, body, sizeof(m));
    for (uint32_t i = 0; i < m.count; i++) {
        pages[m.page + i].busy &= type == DQ_MSG_GET_X;
        if (type == DQ_MSG_ACK) {
            g_assert_false(pages[m.page + i].present);
            acks_due--;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        struct page *p = &pages[m.page + i];
        uint64_t word, held = p->withheld ? p->withheld_value : p->value;

        memcpy(&word, (const uint8_t *)bytes + (size_t)i * DQ_PAGE_SIZE, sizeof(word));
        g_assert_false(p->gone);
        g_assert_cmpuint(word, ==, held);
        p->gone = type != DQ_MSG_DATA_S;
        sent++;
    }
}

/* ---- the engine */

static struct dq_msg_page message(uint64_t page)
{
    return (struct dq_msg_page){.page = page, .count = 1};
}

static void make_readonly(uint64_t page)
{
    if (pages[page].state == DQ_EXCLUSIVE) {
        dq_batch_readonly(page);
    }
    pages[page].state = DQ_SHARED;
}

static void send_page(uint64_t page, int to, unsigned type)
{
    struct dq_msg_page m = message(page);

    make_readonly(page);
    pages[page].busy = true;
    dq_batch_send(to, type, &m, true);
}

static void drop(uint64_t page)
{
    pages[page].state = DQ_INVALID;
    dq_batch_drop(page);
}

static void leave(uint64_t page, int to, unsigned type)
{
    send_page(page, to, type);
    drop(page);
}

static void acknowledge(uint64_t page, int to)
{
    struct dq_msg_page m = message(page);

    make_readonly(page);
    drop(page);
    pages[page].busy = true;
    acks_due++;
    dq_batch_send(to, DQ_MSG_ACK, &m, false);
}

/* A message's pages, in one piece of memory. */
static void arrive(uint64_t page, uint64_t count, enum dq_page_state state)
{
    static uint8_t body[PAGES * DQ_PAGE_SIZE];

    for (uint64_t i = 0; i < count; i++) {
        value++;
        memcpy(body + i * DQ_PAGE_SIZE, &value, sizeof(value));
        pages[page + i].state = state;
        dq_batch_install(page + i, body + i * DQ_PAGE_SIZE, state == DQ_EXCLUSIVE);
        pages[page + i].gone = false;
    }
    dq_batch_grants();
}

static void arrive_withheld(uint64_t page, bool writable)
{
    struct page *p = &pages[page];

    p->state = writable ? DQ_EXCLUSIVE : DQ_SHARED;
    p->withheld = true;
    p->withheld_value = ++value;
    p->withheld_writable = writable;
    p->gone = false;
}

/* Between any two events, threads may read what is present, and write what is writable. */
static void check_and_write(void)
{
    for (int i = 0; i < PAGES; i++) {
        g_assert_false(pages[i].gone && (pages[i].present || pages[i].withheld));
        if (pages[i].writable) {
            g_assert_true(pages[i].present);
            pages[i].value = ++value;
        }
    }
}

/* ... and when all is flushed, they can do what the engine says. */
static void check_flushed(void)
{
    dq_batch_flush();
    check_and_write();
    g_assert_cmpuint(acks_due, ==, 0);
    for (int i = 0; i < PAGES; i++) {
        const struct page *p = &pages[i];

        g_assert_cmpint(p->present || p->withheld, ==, p->state != DQ_INVALID);
        g_assert_cmpint(p->writable || (p->withheld && p->withheld_writable), ==,
                        p->state == DQ_EXCLUSIVE);
    }
}

static void reset(bool kernel_moves)
{
    dq_batch_flush();
    memset(pages, 0, sizeof(pages));
    can_move = kernel_moves;
    moved = sent = 0;
}

/* Two pages that are no neighbours go to two nodes, and then something else is handled. */
static void test_apart(gconstpointer kernel_moves)
{
    reset(GPOINTER_TO_INT(kernel_moves));
    arrive(2, 1, DQ_EXCLUSIVE);
    arrive(7, 1, DQ_EXCLUSIVE);
    leave(2, 1, DQ_MSG_DATA_M);
    check_and_write();
    leave(7, 2, DQ_MSG_DATA_X);
    check_and_write();
    acknowledge(2, 1); /* no neighbour of the last, either */
    check_and_write();
    check_flushed();
    g_assert_cmpuint(sent, ==, 2);
}

/* Neighbours that leave for one node share what the kernel is asked for. */
static void test_run(void)
{
    reset(true);
    arrive(3, 4, DQ_EXCLUSIVE);
    for (uint64_t page = 3; page < 7; page++) {
        leave(page, 1, DQ_MSG_DATA_X);
        check_and_write();
        g_assert_cmpuint(sent, ==, 0);
    }
    check_flushed();
    g_assert_cmpuint(sent, ==, 4);
    g_assert_cmpuint(moved, ==, 4);
}

/* A page that nobody here has seen yet leaves with its neighbour. */
static void test_withheld(void)
{
    reset(true);
    arrive(4, 1, DQ_EXCLUSIVE);
    arrive_withheld(5, true);
    leave(4, 1, DQ_MSG_DATA_X);
    leave(5, 1, DQ_MSG_DATA_X);
    check_and_write();
    check_flushed();
    g_assert_cmpuint(sent, ==, 2);
    g_assert_cmpuint(moved, ==, 1);
}

static void arrive_somehow(uint64_t page)
{
    uint64_t most = g_random_int_range(1, 5), count = 0;

    while (count < most && page + count < PAGES && !pages[page + count].state &&
           !pages[page + count].busy) {
        count++;
    }
    if (g_random_int_range(0, 4)) {
        arrive(page, count, g_random_boolean() ? DQ_EXCLUSIVE : DQ_SHARED);
    } else {
        arrive_withheld(page, g_random_boolean());
    }
}

/* What the engine may ask for of a page in its state. */
static void step(void)
{
    uint64_t page = g_random_int_range(0, PAGES);
    int to = g_random_int_range(1, PEERS);
    struct page *p = &pages[page];
    struct dq_msg_page m = message(page);

    if (p->busy) {
        return;
    }
    if (p->state == DQ_INVALID) {
        arrive_somehow(page);
        return;
    }
    switch (g_random_int_range(0, 8)) {
    case 0:
    case 1:
        leave(page, to, g_random_boolean() ? DQ_MSG_DATA_X : DQ_MSG_DATA_M);
        break;
    case 2:
        acknowledge(page, to);
        break;
    case 3:
        send_page(page, to, DQ_MSG_DATA_S);
        break;
    case 4:
        dq_batch_send(to, DQ_MSG_GET_X, &m, false);
        break;
    case 5:
        if (p->state == DQ_SHARED) {
            p->state = DQ_EXCLUSIVE;
            dq_batch_writable(page);
        }
        break;
    default:
        make_readonly(page); /* at rest */
        break;
    }
}

static void test_any_order(gconstpointer kernel_moves)
{
    reset(GPOINTER_TO_INT(kernel_moves));
    for (int i = 0; i < STEPS; i++) {
        step();
        check_and_write();
        if (g_random_int_range(0, 6) == 0) {
            check_flushed();
        }
    }
    g_assert_cmpuint(sent, >, STEPS / 10);
    g_assert_cmpint(moved > STEPS / 100, ==, GPOINTER_TO_INT(kernel_moves));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/batch/apart/moved", GINT_TO_POINTER(true), test_apart);
    g_test_add_data_func("/batch/apart/copied", GINT_TO_POINTER(false), test_apart);
    g_test_add_func("/batch/run", test_run);
    g_test_add_func("/batch/withheld", test_withheld);
    g_test_add_data_func("/batch/any_order/moved", GINT_TO_POINTER(true), test_any_order);
    g_test_add_data_func("/batch/any_order/copied", GINT_TO_POINTER(false), test_any_order);
    return g_test_run();
}
