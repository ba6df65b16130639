/*
 * The check of a frame's header, for every type and every length near its bounds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <unistd.h>

#include "proto/frame.h"

static int check_length(unsigned type, uint32_t length)
{
    struct dq_frame f = {.length = length, .type = type};

    return dq_frame_check(&f);
}

static void expect(unsigned type, uint32_t size, uint32_t trailing)
{
    bool any = trailing == DQ_ANY, pages = trailing == DQ_PAGES;
    uint32_t least = any ? size : size + (pages ? DQ_PAGE_SIZE : trailing);
    uint32_t most = any ? DQ_MAX_BODY : pages ? size + DQ_MOST_PAGES * DQ_PAGE_SIZE : least;
    uint32_t step = pages ? DQ_PAGE_SIZE : 1;
    uint32_t lengths[] = {
        0,           1,           least - 1,   least,           least + 1, least + step,
        most - 1,    most,        most + 1,    most + step,     size,      size + 1,
        size + step, most - step, DQ_MAX_BODY, DQ_MAX_BODY + 1, INT32_MAX, UINT32_MAX,
    };

    g_assert_cmpuint(dq_msg_size(type), ==, size);
    g_assert_cmpuint(dq_msg_trailing(type), ==, trailing);
    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        uint32_t l = lengths[i];

        bool good = l >= least && l <= most && (l - size) % step == 0;

        g_assert_cmpint(check_length(type, l), ==, good ? 0 : -EMSGSIZE);
    }
}

static void test_every_message(void)
{
#define X(name, body, trailing, help)                                                              \
    expect(DQ_MSG_##name, sizeof(struct body), trailing);                                          \
    g_assert_cmpstr(dq_msg_name(DQ_MSG_##name), ==, #name);
    DQ_MESSAGES(X)
#undef X
}

static void test_unknown_types(void)
{
    static const unsigned types[] = {DQ_MSG_NONE, DQ_MSG_COUNT, DQ_MSG_COUNT + 1, 32768, 65535};

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        for (uint32_t length = 0; length < 100; length++) {
            g_assert_cmpint(check_length(types[i], length), ==, -EPROTO);
        }
        g_assert_cmpstr(dq_msg_name(types[i]), ==, "unknown");
        g_assert_cmpuint(dq_msg_size(types[i]), ==, 0);
        g_assert_cmpuint(dq_msg_trailing(types[i]), ==, 0);
    }
    g_assert_cmpstr(dq_msg_name(65536 + DQ_MSG_GET_S), ==, "unknown");
}

static void test_zero_must_be_zero(void)
{
    for (unsigned bit = 0; bit < 16; bit++) {
        struct dq_frame f = {.length = 16, .type = DQ_MSG_GET_S, .zero = 1u << bit};

        g_assert_cmpint(dq_frame_check(&f), ==, -EPROTO);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(30);
    g_test_add_func("/frame/every-message", test_every_message);
    g_test_add_func("/frame/unknown-types", test_unknown_types);
    g_test_add_func("/frame/zero-must-be-zero", test_zero_must_be_zero);
    return g_test_run();
}
