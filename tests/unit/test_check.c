/*
 * The check of pages: what is well passes, and each kind of fault is found and named.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "dqemu/check.h"
#include "dqemu/runtime.h"
#include "dqemu/sums.h"
#include "dqemu/uffd.h"

enum { PAGES = 80, PAGE = 5, PEER = 2, SHADOW = 16 };

static uint8_t memory[PAGES][DQ_PAGE_SIZE];

struct dq_pager dq_pager = {.self = 1, .guest_base = 0x10000000};

/* ---- what the check asks of the runtime */

static jmp_buf failed;
static char text[2000];

/* What fails ends the process; here it is left by a jump, with what it has put together. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

void dq_node_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    longjmp(failed, 1);
}

uint64_t dq_node_now(void)
{
    return 1000000;
}

static struct {
    int to;
    unsigned type;
    uint8_t body[1000];
    size_t length;
} sent;

void dq_node_send2(int to, unsigned type, const void *body, size_t length, const void *more,
                   size_t more_length)
{
    sent.to = to;
    sent.type = type;
    memcpy(sent.body, body, length);
    memcpy(sent.body + length, more, more_length);
    sent.length = length + more_length;
}

bool dq_uffd_read(uintptr_t at, void *to, size_t pages)
{
    memcpy(to, memory[(at - dq_pager.guest_base) / DQ_PAGE_SIZE], pages * DQ_PAGE_SIZE);
    return true;
}

/* ---- */

static uintptr_t at(uint64_t page)
{
    return dq_pager_host(page);
}

#define PASSES(step)                                                                               \
    do {                                                                                           \
        text[0] = '\0';                                                                            \
        if (setjmp(failed) == 0) {                                                                 \
            step;                                                                                  \
        }                                                                                          \
        g_assert_cmpstr(text, ==, "");                                                             \
    } while (0)

#define FAILS(step, words)                                                                         \
    do {                                                                                           \
        text[0] = '\0';                                                                            \
        if (setjmp(failed) == 0) {                                                                 \
            step;                                                                                  \
        }                                                                                          \
        g_assert_nonnull(strstr(text, words));                                                     \
    } while (0)

static void start(unsigned on)
{
    struct dq_config cfg;

    dq_config_init(&cfg);
    cfg.check_pages = on;
    dq_check_start(&cfg);
    memset(memory, 0, sizeof(memory));
    memset(&sent, 0, sizeof(sent));
}

static void test_off(void)
{
    start(0);
    g_assert_false(dq_check_is_on());
    PASSES(dq_check_kept(at(PAGE), memory[PAGE]));
    memory[PAGE][0]++;
    PASSES(dq_check_seen(at(PAGE), memory[PAGE]));
    PASSES(dq_check_arrived(PEER, PAGE, memory[PAGE]));
    PASSES(dq_check_sending(PEER, &(struct dq_msg_page){.page = PAGE, .count = 1}, memory[PAGE],
                            false));
    g_assert_cmpuint(sent.length, ==, 0);
    memory[SHADOW][0]++;
    PASSES(dq_check_moved(PAGE, SHADOW, 64));
}

static void test_stands_still(void)
{
    start(1);
    g_assert_true(dq_check_is_on());
    PASSES(dq_check_seen(at(PAGE), memory[PAGE])); /* nobody knows of it */
    memory[PAGE][9]++;
    PASSES(dq_check_kept(at(PAGE), memory[PAGE]));
    PASSES(dq_check_seen(at(PAGE), memory[PAGE]));
    memory[PAGE][4095]++;
    FAILS(dq_check_seen(at(PAGE), memory[PAGE]),
          "node 1: page 5 changed while nobody could write to it");
}

static void test_written(void)
{
    start(1);
    PASSES(dq_check_kept(at(PAGE), memory[PAGE]));
    PASSES(dq_check_let_go(at(PAGE - 1), 2));
    memory[PAGE][0]++;
    PASSES(dq_check_seen(at(PAGE), memory[PAGE]));
    PASSES(dq_check_kept(at(PAGE), memory[PAGE]));
    memory[PAGE][0]++;
    FAILS(dq_check_kept(at(PAGE), memory[PAGE]), "page 5 changed");
}

/* The guest has mapped something else there. */
static void test_absent(void)
{
    start(1);
    PASSES(dq_check_kept(at(PAGE), memory[PAGE]));
    PASSES(dq_check_kept(at(PAGE), NULL));
    PASSES(dq_check_seen(at(PAGE), NULL));
    memory[PAGE][0]++;
    PASSES(dq_check_seen(at(PAGE), memory[PAGE]));
}

static void send_two(void)
{
    struct dq_msg_page m = {.page = PAGE, .count = 2};

    PASSES(dq_check_sending(PEER, &m, memory[PAGE], false));
    g_assert_cmpint(sent.to, ==, PEER);
    g_assert_cmpuint(sent.type, ==, DQ_MSG_SUMS);
    g_assert_cmpuint(sent.length, ==, sizeof(m) + 2 * sizeof(uint64_t));
}

static void test_arrives(void)
{
    start(1);
    memory[PAGE][0] = 1;
    send_two();
    g_assert_cmpint(dq_check_message(PEER, sent.body, sent.length), ==, 0);
    PASSES(dq_check_arrived(PEER, PAGE, memory[PAGE]));
    PASSES(dq_check_arrived(PEER, PAGE + 1, memory[PAGE + 1]));
    FAILS(dq_check_arrived(PEER, PAGE + 1, memory[PAGE + 1]), "not its sum");

    g_assert_cmpint(dq_check_message(PEER, sent.body, sent.length), ==, 0);
    memory[PAGE][77] ^= 1;
    FAILS(dq_check_arrived(PEER, PAGE, memory[PAGE]), "page 5 is not as node 2 sent it");
}

static void test_sent_again(void)
{
    start(1);
    PASSES(dq_check_kept(at(PAGE), memory[PAGE]));
    send_two();
    memory[PAGE][5]++;
    FAILS(dq_check_sending(PEER, &(struct dq_msg_page){.page = PAGE, .count = 1}, memory[PAGE],
                           false),
          "sent to node 2");
}

/* What was not moved out is not to change before it is dropped; what was may come back changed. */
static void test_leaves(void)
{
    struct dq_msg_page m = {.page = PAGE, .count = 1};

    start(1);
    PASSES(dq_check_sending(PEER, &m, memory[PAGE], true));
    memory[PAGE][5]++;
    FAILS(dq_check_seen(at(PAGE), memory[PAGE]), "sent to node 2");

    start(1);
    PASSES(dq_check_sending(PEER, &m, memory[PAGE], false));
    memory[PAGE][5]++;
    PASSES(dq_check_sending(PEER, &m, memory[PAGE], false));
    g_assert_cmpint(dq_check_message(PEER, sent.body, sent.length), ==, 0);
    PASSES(dq_check_arrived(PEER, PAGE, memory[PAGE]));
}

static void test_sums_out_of_turn(void)
{
    start(1);
    send_two();
    g_assert_cmpint(dq_check_message(PEER, sent.body, sent.length - 8), ==, -EPROTO);
    g_assert_cmpint(dq_check_message(PEER, sent.body, sent.length), ==, 0);
    g_assert_cmpint(dq_check_message(PEER, sent.body, sent.length), ==, -EPROTO);
    PASSES(dq_check_arrived(PEER, PAGE, memory[PAGE]));
    PASSES(dq_check_arrived(PEER, PAGE + 1, memory[PAGE + 1]));
}

static void test_moved(void)
{
    start(1);
    for (unsigned granules = 2; granules <= 64; granules *= 2) {
        unsigned size = DQ_PAGE_SIZE / granules, last = DQ_PAGE_SIZE - 1;

        for (unsigned i = 0; i < DQ_PAGE_SIZE; i++) {
            memory[PAGE][i] = (uint8_t)g_random_int();
            memory[SHADOW + i / size][i] = memory[PAGE][i];
        }
        PASSES(dq_check_moved(PAGE, SHADOW, granules));
        memory[SHADOW][last]++; /* no part of the first granule */
        PASSES(dq_check_moved(PAGE, SHADOW, granules));
        memory[SHADOW + granules - 1][last]++;
        FAILS(dq_check_moved(PAGE, SHADOW, granules), "page 5 and its");
    }
}

/* The line is about what was done last, and no longer than a line. */
static void test_steps(void)
{
    struct dq_sums *s = dq_sums_new();
    char *steps;

    for (unsigned i = 0; i < 1000; i++) {
        g_assert_null(dq_sums_look(s, PAGE, 1 + i, false, i % 2 ? "came from" : "sent to",
                                   (int)(i % 7), i * 1000));
    }
    dq_sums_let_go(s, PAGE, "let go", 1000000);
    dq_sums_let_go(s, PAGE + 1, "let go", 1000000); /* never seen */
    steps = dq_sums_steps(s, PAGE, 1002000);
    g_assert_true(g_str_has_suffix(steps, "came from node 5 (3e8) 3 us ago, let go 2 us ago"));
    g_assert_cmpuint(strlen(steps), <, 400);
    g_free(steps);
    steps = dq_sums_steps(s, PAGE + 1, 1002000);
    g_assert_cmpstr(steps, ==, "");
    g_free(steps);
    dq_sums_free(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/check/off", test_off);
    g_test_add_func("/check/stands_still", test_stands_still);
    g_test_add_func("/check/written", test_written);
    g_test_add_func("/check/absent", test_absent);
    g_test_add_func("/check/arrives", test_arrives);
    g_test_add_func("/check/sent_again", test_sent_again);
    g_test_add_func("/check/leaves", test_leaves);
    g_test_add_func("/check/sums_out_of_turn", test_sums_out_of_turn);
    g_test_add_func("/check/moved", test_moved);
    g_test_add_func("/check/steps", test_steps);
    return g_test_run();
}
