/*
 * The bytes of every message, written down: a change of the wire format shows here, and asks
 * for a new DQ_PROTO_VERSION.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/frame.h"

/* One of each body, every byte of it different. */
static const struct dq_msg_page a_dq_msg_page = {
    .page = 0x0807060504030201, .count = 0x0c0b0a09, .node = 0x0e0d, .flags = 0x100f};
static const struct dq_msg_range a_dq_msg_range = {
    .page = 0x0807060504030201, .count = 0x100f0e0d0c0b0a09, .cookie = 0x1817161514131211};
static const struct dq_msg_map a_dq_msg_map = {.cookie = 0x0807060504030201,
                                               .start = 0x100f0e0d0c0b0a09,
                                               .length = 0x1817161514131211,
                                               .op = 0x1a19,
                                               .quiet = 0x1c1b,
                                               .flags = 0x201f1e1d};
static const struct dq_msg_map_ask a_dq_msg_map_ask = {.tid = 0x04030201,
                                                       .zero = 0x08070605,
                                                       .start = 0x100f0e0d0c0b0a09,
                                                       .length = 0x1817161514131211};
static const struct dq_msg_split a_dq_msg_split = {.page = 0x0807060504030201,
                                                   .slot = 0x0c0b0a09,
                                                   .shift = 0x0d,
                                                   .op = 0x0e,
                                                   .refused = 0x0f,
                                                   .left = 0x10};
static const struct dq_msg_cookie a_dq_msg_cookie = {.cookie = 0x0807060504030201};
static const struct dq_msg_thread a_dq_msg_thread = {.tid = 0x04030201, .arg = 0x08070605};
static const struct dq_msg_syscall a_dq_msg_syscall = {
    .tid = 0x04030201,
    .number = 0x08070605,
    .arg = {0x100f0e0d0c0b0a09, 0x1817161514131211, 0x201f1e1d1c1b1a19, 0x2827262524232221,
            0x302f2e2d2c2b2a29, 0x3837363534333231, 0x403f3e3d3c3b3a39, 0x4847464544434241}};
static const struct dq_msg_result a_dq_msg_result = {.tid = 0x04030201,
                                                     .signals = 0x08070605,
                                                     .value = 0x100f0e0d0c0b0a09,
                                                     .mask = 0x1817161514131211,
                                                     .go = 0x1c1b1a19,
                                                     .zero = 0x201f1e1d};
static const struct dq_msg_futex a_dq_msg_futex = {.addr = 0x0807060504030201,
                                                   .cookie = 0x100f0e0d0c0b0a09,
                                                   .to = 0x1817161514131211,
                                                   .count = 0x1c1b1a19,
                                                   .bitset = 0x201f1e1d,
                                                   .moves = 0x24232221,
                                                   .zero = 0x28272625};
static const struct dq_msg_time_ask a_dq_msg_time_ask = {
    .monotonic = 0x0807060504030201,
    .raw = 0x100f0e0d0c0b0a09,
    .kernel = {0x1817161514131211, 0x201f1e1d1c1b1a19},
    .space = 0x2827262524232221};
static const struct dq_msg_time a_dq_msg_time = {.monotonic_asked = 0x0807060504030201,
                                                 .raw_asked = 0x100f0e0d0c0b0a09,
                                                 .monotonic = 0x1817161514131211,
                                                 .raw = 0x201f1e1d1c1b1a19,
                                                 .realtime = 0x2827262524232221,
                                                 .boottime = 0x302f2e2d2c2b2a29,
                                                 .monotonic_after = 0x3837363534333231,
                                                 .same = 0x3c3b3a39,
                                                 .differ = 0x403f3e3d};
static const struct dq_msg_cpu_ask a_dq_msg_cpu_ask = {
    .cookie = 0x0807060504030201, .tid = 0x0c0b0a09, .parts = 0x100f0e0d};
static const struct dq_msg_cpu a_dq_msg_cpu = {.cookie = 0x0807060504030201,
                                               .ns = 0x100f0e0d0c0b0a09,
                                               .user_us = 0x1817161514131211,
                                               .system_us = 0x201f1e1d1c1b1a19};
static const struct dq_msg_sched a_dq_msg_sched = {
    .tid = 0x04030201, .policy = 0x08070605, .nice = 0x0c0b0a09, .priority = 0x100f0e0d};
static const struct dq_msg_memory a_dq_msg_memory = {
    .cookie = 0x0807060504030201, .pages = 0x100f0e0d0c0b0a09, .most = 0x1817161514131211};

/*
 * Header and fixed body of each message in the order of the table, with the least that may
 * follow (nothing, or a page). Bodies count 01 02 03 ... where the fields above say so.
 */
static const struct {
    const char *name;
    const char *header; /* length (8 digits), type (4), zero (4) */
    unsigned body;      /* bytes counted from 01 */
} golden[] = {
    {"GET_S", "1000000001000000", 16},
    {"GET_X", "1000000002000000", 16},
    {"DONE", "1000000003000000", 16},
    {"GRANT_ZERO", "1000000004000000", 16},
    {"GRANT_UP", "1000000005000000", 16},
    {"WAIT", "1000000006000000", 16},
    {"FETCH_S", "1000000007000000", 16},
    {"FETCH_X", "1000000008000000", 16},
    {"FETCH_M", "1000000009000000", 16},
    {"INV", "100000000a000000", 16},
    {"DATA_S", "101000000b000000", 16},
    {"DATA_X", "101000000c000000", 16},
    {"DATA_M", "101000000d000000", 16},
    {"ACK", "100000000e000000", 16},
    {"RACK", "100000000f000000", 16},
    {"OWN", "1800000010000000", 24},
    {"RESET", "1800000011000000", 24},
    {"RESET_FILE", "1800000012000000", 24},
    {"RESET_DONE", "1800000013000000", 24},
    {"LIST", "1800000014000000", 24},
    {"LISTED", "1800000015000000", 24},
    {"MAP", "2000000016000000", 32},
    {"MAPPED", "0800000017000000", 8},
    {"GLOBALS", "0800000018000000", 8},
    {"SPLIT_ASK", "1000000019000000", 16},
    {"SPLIT", "100000001a000000", 16},
    {"SPLIT_DONE", "100000001b000000", 16},
    {"START", "080000001c000000", 8},
    {"RESULT", "200000001d000000", 32},
    {"KICK", "080000001e000000", 8},
    {"SYSCALL", "480000001f000000", 72},
    {"TAKE", "0800000020000000", 8},
    {"EXIT", "0800000021000000", 8},
    {"MOVE", "0800000022000000", 8},
    {"FUTEX_REGISTER", "2800000023000000", 40},
    {"FUTEX_REGISTERED", "2800000024000000", 40},
    {"FUTEX_REVOKE", "2800000025000000", 40},
    {"FUTEX_REVOKED", "2800000026000000", 40},
    {"FUTEX_HOLD", "2800000027000000", 40},
    {"FUTEX_HELD", "2800000028000000", 40},
    {"FUTEX_MOVE", "2800000029000000", 40},
    {"FUTEX_MOVED", "280000002a000000", 40},
    {"FUTEX_WAKE", "280000002b000000", 40},
    {"FUTEX_WOKEN", "280000002c000000", 40},
    {"END", "080000002d000000", 8},
    {"TIME_ASK", "280000002e000000", 40},
    {"TIME", "400000002f000000", 64},
    {"CPU_ASK", "1000000030000000", 16},
    {"CPU", "2000000031000000", 32},
    {"SUMS", "1000000032000000", 16},
    {"SCHED", "1000000033000000", 16},
    {"MEMORY_ASK", "0800000034000000", 8},
    {"MEMORY", "1800000035000000", 24},
    {"STATES_ASK", "0800000036000000", 8},
    {"STATE", "0800000037000000", 8},
    {"RESIDENT_ASK", "1800000038000000", 24},
    {"RESIDENT", "1800000039000000", 24},
    {"MAP_ASK", "180000003a000000", 24},
};

static void hex_of(char *to, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        to += sprintf(to, "%02x", ((const uint8_t *)bytes)[i]);
    }
}

static void check(unsigned type, const char *name, const void *body, size_t size, uint32_t trailing)
{
    struct dq_frame f = {.length = size + (trailing == DQ_PAGES ? DQ_PAGE_SIZE : 0), .type = type};
    char hex[40];

    g_assert_cmpuint(type - 1, <, G_N_ELEMENTS(golden));
    hex_of(hex, &f, sizeof(f));
    g_assert_cmpstr(golden[type - 1].name, ==, name);
    g_assert_cmpstr(golden[type - 1].header, ==, hex);
    g_assert_cmpuint(golden[type - 1].body, ==, size);
    for (size_t i = 0; i < size; i++) {
        g_assert_cmpuint(((const uint8_t *)body)[i], ==, i + 1);
    }
}

static void test_every_message(void)
{
#define X(name, body, trailing, help)                                                              \
    check(DQ_MSG_##name, #name, &a_##body, sizeof(a_##body), trailing);
    DQ_MESSAGES(X)
#undef X
    g_assert_cmpuint(DQ_MSG_COUNT - 1, ==, G_N_ELEMENTS(golden));
}

static void expect_bytes(const void *bytes, size_t length, const char *want)
{
    g_autofree char *hex = g_malloc(2 * length + 1);

    hex_of(hex, bytes, length);
    g_assert_cmpstr(hex, ==, want);
}

static void test_run(void)
{
    struct dq_run r = {.page = 0x0807060504030201, .count = 0x100f0e0d0c0b0a09};

    expect_bytes(&r, sizeof(r), "0102030405060708090a0b0c0d0e0f10");
}

/* What follows a call and a result. */
static void test_carry(void)
{
    struct dq_carry c = {.count = 0x04030201, .zero = 0x08070605};
    struct dq_carry_range r = {
        .addr = 0x0807060504030201, .length = 0x0c0b0a09, .use = 0x0e0d, .unit = 0x100f};

    expect_bytes(&c, sizeof(c), "0102030405060708");
    expect_bytes(&r, sizeof(r), "0102030405060708090a0b0c0d0e0f10");
    g_assert_cmpuint(DQ_SYSCALL_CARRIES, ==, 0x80000000);
    g_assert_cmpint(DQ_CARRY_IN, ==, 0);
    g_assert_cmpint(DQ_CARRY_IN_OUT, ==, 1);
    g_assert_cmpint(DQ_CARRY_FILLED, ==, 2);
    g_assert_cmpint(DQ_CARRY_ALIGN, ==, 8);
}

/* These never change, whatever the version. */
static void test_handshake(void)
{
    struct dq_hello h = {.magic = DQ_PROTO_MAGIC,
                         .version = 0x04030201,
                         .role = DQ_ROLE_ACCEPTOR,
                         .nodes = 0x0807,
                         .node = 0x0a09,
                         .peer = 0x0c0b,
                         .protect = DQ_PROTECT_ENCRYPT,
                         .nonce = {0xaa, [31] = 0xbb},
                         .build = "build"};
    struct dq_proof p = {.mac = {1, [31] = 2}};
    struct dq_verdict v = {.code = DQ_VERDICT_PLACE, .mac = {1, [31] = 2}};

    expect_bytes(&h, sizeof(h),
                 "6471656d75000000" /* dqemu */
                 "01020304"
                 "0200"
                 "0708"
                 "090a"
                 "0b0c"
                 "02000000"
                 "aa000000000000000000000000000000000000000000000000000000000000bb"
                 "6275696c64000000000000000000000000000000000000000000000000000000"
                 "0000000000000000000000000000000000000000000000000000000000000000"
                 "0000000000000000");
    expect_bytes(&p, sizeof(p), "0100000000000000000000000000000000000000000000000000000000000002");
    expect_bytes(&v, sizeof(v),
                 "0200000000000000"
                 "0100000000000000000000000000000000000000000000000000000000000002");
    g_assert_cmpint(DQ_VERDICT_OK, ==, 0);
    g_assert_cmpint(DQ_VERDICT_SECRET, ==, 1);
    g_assert_cmpint(DQ_ROLE_CONNECTOR, ==, 1);
}

static void test_numbers(void)
{
    g_assert_cmpuint(DQ_MAP_SET, ==, 0);
    g_assert_cmpuint(DQ_MAP_FORBID, ==, 1);
    g_assert_cmpuint(DQ_MAP_FOREIGN, ==, 2);
    g_assert_cmpuint(DQ_NODE_MAP, ==, 0xffff);
    g_assert_cmpuint(DQ_PAGE_SIZE, ==, 4096);
    g_assert_cmpuint(DQ_MAX_BODY, ==, 1048576);
    g_assert_cmpuint(DQ_MOST_PAGES, ==, 16);
    g_assert_cmpuint(DQ_PAGE_CLEAN, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(30);
    g_test_add_func("/wire/every-message", test_every_message);
    g_test_add_func("/wire/run", test_run);
    g_test_add_func("/wire/carry", test_carry);
    g_test_add_func("/wire/handshake", test_handshake);
    g_test_add_func("/wire/numbers", test_numbers);
    return g_test_run();
}
