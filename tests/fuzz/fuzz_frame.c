/*
 * What a node makes of bytes from the network: the receiving end of a link, and both sides of
 * the handshake, fed with anything. A plain decoder beside the real one says what must come of
 * it: the same messages, and the same end.
 *
 * The entry is libFuzzer's (and AFL++'s persistent mode):
 *     clang -DDQ_LIBFUZZER -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_frame.c \
 *         proto/[a-z]*.c $(pkg-config --cflags --libs glib-2.0 gnutls libevent) -o fuzz_frame
 * Otherwise main() makes the inputs itself, the same ones each time: `fuzz_frame [COUNT
 * [SEED]]`, in TAP. An input that fails is named by its seed: `fuzz_frame 1 SEED` repeats it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/tcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the reference: one pass over all the bytes, no buffers */

struct reference {
    const uint8_t *data;
    size_t size;
    size_t at;  /* where the next message must start */
    bool ended; /* lost() has been called */
};

static uint64_t little_endian(const uint8_t *bytes, int count)
{
    uint64_t x = 0;

    while (count--) {
        x = x << 8 | bytes[count];
    }
    return x;
}

static bool may_follow(uint64_t length, uint64_t trailing)
{
    if (trailing == DQ_ANY) {
        return true;
    }
    if (trailing == DQ_PAGES) {
        return length >= 4096 && length <= 16 * 4096 && length % 4096 == 0;
    }
    return length == trailing;
}

/* What the table says, spelled out once more. */
static bool header_is_good(uint64_t length, unsigned type, unsigned zero)
{
    if (zero) {
        return false;
    }
    switch (type) {
#define X(name, body, trailing, help)                                                              \
    case DQ_MSG_##name:                                                                            \
        return may_follow(length - sizeof(struct body), trailing) &&                               \
               length >= sizeof(struct body) && length <= 1048576;
        DQ_MESSAGES(X)
#undef X
    }
    return false;
}

static uint64_t seed; /* of the current input, if main() made it */

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "fuzz_frame: seed %llu: %s\n", (unsigned long long)seed, what);
        abort();
    }
}

static void on_message(void *ctx, int from, unsigned type, const void *body, size_t length)
{
    struct reference *r = ctx;
    const uint8_t *p = r->data + r->at;

    must(!r->ended, "a message after the end");
    must(from == 1, "a message from nowhere");
    must((uintptr_t)body % 8 == 0, "a body that is not aligned");
    must(r->size - r->at >= 8 + length, "more bytes than were sent");
    must(little_endian(p, 4) == length && little_endian(p + 4, 2) == type, "another header");
    must(header_is_good(length, type, little_endian(p + 6, 2)), "a malformed message delivered");
    must(memcmp(body, p + 8, length) == 0, "another body");
    r->at += 8 + length;
}

static void on_lost(void *ctx, int node, const char *why)
{
    struct reference *r = ctx;
    size_t left = r->size - r->at;
    bool bad = left >= 8 && !header_is_good(little_endian(r->data + r->at, 4),
                                            little_endian(r->data + r->at + 4, 2),
                                            little_endian(r->data + r->at + 6, 2));
    bool whole = left >= 8 && !bad && left - 8 >= little_endian(r->data + r->at, 4);

    must(!r->ended, "lost twice");
    must(node == 1, "lost nobody");
    must(!whole, "a whole message was not delivered");
    must(bad == (strncmp(why, "sent a malformed message", 24) == 0), "the wrong reason");
    must(bad || (left > 0) == (strstr(why, "in the middle") != NULL), "the wrong kind of end");
    r->ended = true;
}

static void on_ready(void *ctx)
{
    (void)ctx;
}

static void on_note(void *ctx, const char *text)
{
    (void)ctx, (void)text;
}

/* ---- the link */

static struct event_base *base;

static void feed_link(const uint8_t *data, size_t size, unsigned piece)
{
    static const struct dq_transport_events events = {on_ready, on_message, on_lost, on_note, NULL};
    struct dq_transport_config cfg = {.nodes = 2, .build_id = "b", .handshake_ms = 1000};
    struct reference r = {.data = data, .size = size};
    struct dq_transport *t = dq_transport_tcp.create(base, &cfg, &events, &r);
    int fd[2];

    must(t && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0, "no socket");
    dq_tcp_link_up(&dq_tcp_of(t)->links[1], fd[0], NULL);
    for (size_t at = 0; at < size && !r.ended;) {
        size_t n = MIN(size - at, piece);
        ssize_t sent = send(fd[1], data + at, n, MSG_NOSIGNAL);

        at += sent > 0 ? sent : 0;
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    close(fd[1]);
    while (!r.ended) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    dq_transport_tcp.destroy(t);
}

/* ---- the handshake */

static void feed_auth(const uint8_t *data, size_t size, enum dq_role role, unsigned piece)
{
    static const uint8_t secret[32] = "of nobody";
    uint64_t taken = 1;
    struct dq_auth_config cfg = {
        .role = role,
        .node = 0,
        .nodes = 2,
        .secret = secret,
        .build_id = "b",
        .peer = 1,
        .taken = &taken,
    };
    enum dq_auth_result result = DQ_AUTH_MORE;
    struct dq_auth a;
    const void *out;

    must(dq_auth_open(&a, &cfg) == 0, "no random numbers");
    for (size_t at = 0; at < size && result == DQ_AUTH_MORE;) {
        size_t n = MIN(MIN(size - at, piece), dq_auth_wants(&a));

        must(n > 0, "a handshake that neither ends nor reads");
        result = dq_auth_feed(&a, data + at, n);
        at += n;
        must(dq_auth_take(&a, &out) <= sizeof(struct dq_hello), "too much to say");
    }
    must(result != DQ_AUTH_DONE, "let in without the secret");
    must(result == DQ_AUTH_MORE ||
             result == (role == DQ_ROLE_ACCEPTOR ? DQ_AUTH_STRANGER : DQ_AUTH_REFUSED),
         "the wrong kind of refusal");
    must(result == DQ_AUTH_MORE || *dq_auth_why(&a), "refused without a reason");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned pieces[] = {1, 3, 8, 24, 100, 4096, 65536, 1u << 20};
    unsigned piece;

    if (size < 1) {
        return 0;
    }
    if (!base) {
        base = event_base_new();
    }
    piece = pieces[data[0] >> 2 & 7];
    switch (data[0] & 3) {
    case 0:
        feed_auth(data + 1, size - 1, DQ_ROLE_ACCEPTOR, piece);
        break;
    case 1:
        feed_auth(data + 1, size - 1, DQ_ROLE_CONNECTOR, piece);
        break;
    default:
        /* A byte at a time, a long input only costs time. */
        feed_link(data + 1, size - 1, size > 10000 ? MAX(piece, 1000u) : piece);
    }
    return 0;
}

#ifndef DQ_LIBFUZZER

static uint64_t state;

/* splitmix64: the same numbers on every machine. */
static uint64_t number(uint64_t below)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static void append_random(GByteArray *to, size_t length)
{
    size_t at = to->len;

    g_byte_array_set_size(to, at + length);
    for (size_t i = at; i < to->len; i++) {
        to->data[i] = number(256);
    }
}

static void append_message(GByteArray *to)
{
    unsigned type = 1 + number(DQ_MSG_COUNT - 1);
    uint32_t trailing = dq_msg_trailing(type);
    struct dq_frame f = {.length = dq_msg_size(type), .type = type};

    if (trailing == DQ_ANY) {
        trailing = number(20) ? number(300) : number(8) ? number(200000) : DQ_MAX_BODY - f.length;
    } else if (trailing == DQ_PAGES) {
        trailing = (1 + number(DQ_MOST_PAGES)) * DQ_PAGE_SIZE;
    }
    f.length += trailing;
    if (number(12) == 0) {
        /* A wrong header: too long, too short, huge, unknown, reserved bits. */
        uint32_t lengths[] = {f.length + 1, f.length - 1, UINT32_MAX, DQ_MAX_BODY + 1, 0};

        switch (number(3)) {
        case 0:
            f.length = lengths[number(G_N_ELEMENTS(lengths))];
            break;
        case 1:
            f.type = number(65536);
            break;
        default:
            f.zero = 1 + number(65535);
        }
    }
    g_byte_array_append(to, (void *)&f, sizeof(f));
    append_random(to, dq_msg_size(type) + trailing);
}

static void append_hello(GByteArray *to, enum dq_role role)
{
    struct dq_hello h = {.magic = DQ_PROTO_MAGIC, .version = number(3), .role = role, .node = 1};

    g_byte_array_append(to, (void *)&h, sizeof(h));
}

static void make_input(GByteArray *in)
{
    uint8_t mode = number(8) ? 2 : number(2);

    mode |= number(8) << 2;
    g_byte_array_append(in, &mode, 1);
    if (number(16) == 0) {
        append_random(in, number(3000));
    } else if ((mode & 3) < 2) {
        append_hello(in, (mode & 3) == 0 ? DQ_ROLE_CONNECTOR : DQ_ROLE_ACCEPTOR);
        append_random(in, number(60));
    } else {
        for (uint64_t n = number(30); n > 0; n--) {
            append_message(in);
        }
    }
    if (number(3) == 0) {
        g_byte_array_set_size(in, 1 + number(in->len));
    }
    if (number(6) == 0) {
        in->data[number(in->len)] ^= 1u << number(8);
    }
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    const char *scale = getenv("DQEMU_TIME_SCALE");

    alarm(100 * (scale ? atoi(scale) : 1));
    printf("1..1\n");
    fflush(stdout);
    for (seed = first; seed < first + count; seed++) {
        GByteArray *in = g_byte_array_new();
        uint8_t *exact;

        state = seed;
        make_input(in);
        /* In a block of its own size: a read past the end is one for the sanitizer to see. */
        exact = g_memdup2(in->data, in->len);
        LLVMFuzzerTestOneInput(exact, in->len);
        g_free(exact);
        g_byte_array_unref(in);
    }
    event_base_free(base);
    printf("ok 1 - %llu inputs from seed %llu\n", (unsigned long long)count,
           (unsigned long long)first);
    return 0;
}

#endif
