/*
 * The handshake without sockets: who gets in, who does not, and what each is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "proto/auth.h"

static const uint8_t secret[32] = "the run's";
static const uint8_t other_secret[32] = "another run's";
static const uint64_t nobody_taken = 1; /* by node 0 itself */

struct pair {
    struct dq_auth_config c_cfg, a_cfg;
    struct dq_auth c, a;
    enum dq_auth_result c_end, a_end;
    GByteArray *to_a, *to_c; /* all that was sent */
    size_t flip;             /* this byte of what the connector sends is changed; -1: none */
    bool flip_reply;         /* ... of what the acceptor sends */
};

/* Node 1 of 3 connects to node 0. */
static void pair_init(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->c_cfg = (struct dq_auth_config){
        .role = DQ_ROLE_CONNECTOR,
        .node = 1,
        .nodes = 3,
        .secret = secret,
        .build_id = "b1",
        .peer = 0,
    };
    p->a_cfg = (struct dq_auth_config){
        .role = DQ_ROLE_ACCEPTOR,
        .node = 0,
        .nodes = 3,
        .secret = secret,
        .build_id = "b1",
        .taken = &nobody_taken,
    };
    p->flip = SIZE_MAX;
    p->to_a = g_byte_array_new();
    p->to_c = g_byte_array_new();
}

static void pair_clear(struct pair *p)
{
    g_byte_array_unref(p->to_a);
    g_byte_array_unref(p->to_c);
}

/* What `from` has to say goes to `to` in pieces of `piece` bytes. True if there was anything. */
static bool carry(struct pair *p, struct dq_auth *from, struct dq_auth *to,
                  enum dq_auth_result *to_end, GByteArray *log, bool flip, size_t piece)
{
    uint8_t bytes[256];
    const void *out;
    size_t length = dq_auth_take(from, &out);

    memcpy(bytes, out, length);
    if (flip && p->flip >= log->len && p->flip < log->len + length) {
        bytes[p->flip - log->len] ^= 0x10;
    }
    g_byte_array_append(log, bytes, length);
    for (size_t at = 0; at < length && *to_end == DQ_AUTH_MORE;) {
        size_t n = MIN(MIN(piece, length - at), dq_auth_wants(to));

        g_assert_cmpuint(n, >, 0);
        *to_end = dq_auth_feed(to, bytes + at, n);
        at += n;
    }
    return length > 0;
}

static void run(struct pair *p, size_t piece)
{
    bool more = true;

    g_assert_cmpint(dq_auth_open(&p->c, &p->c_cfg), ==, 0);
    g_assert_cmpint(dq_auth_open(&p->a, &p->a_cfg), ==, 0);
    while (more) {
        more = carry(p, &p->c, &p->a, &p->a_end, p->to_a, !p->flip_reply, piece);
        more |= carry(p, &p->a, &p->c, &p->c_end, p->to_c, p->flip_reply, piece);
    }
}

static void test_peers_meet(void)
{
    static const size_t pieces[] = {1, 7, 64, 1000};

    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        struct pair p;

        pair_init(&p);
        run(&p, pieces[i]);
        g_assert_cmpint(p.c_end, ==, DQ_AUTH_DONE);
        g_assert_cmpint(p.a_end, ==, DQ_AUTH_DONE);
        g_assert_cmpint(dq_auth_node(&p.c), ==, 0);
        g_assert_cmpint(dq_auth_node(&p.a), ==, 1);
        g_assert_cmpuint(dq_auth_wants(&p.c), ==, 0);
        g_assert_cmpuint(dq_auth_wants(&p.a), ==, 0);
        g_assert_cmpuint(p.to_a->len, ==, sizeof(struct dq_hello) + sizeof(struct dq_proof));
        g_assert_cmpuint(p.to_c->len, ==, sizeof(struct dq_hello) + sizeof(struct dq_verdict));
        pair_clear(&p);
    }
}

/* The secret is not among the bytes, and no two runs say the same. */
static void test_secret_stays_here(void)
{
    struct pair p, q;

    pair_init(&p);
    pair_init(&q);
    run(&p, 1000);
    run(&q, 1000);
    g_assert_null(memmem(p.to_a->data, p.to_a->len, secret, 8));
    g_assert_null(memmem(p.to_c->data, p.to_c->len, secret, 8));
    g_assert_cmpint(memcmp(p.c.mine.nonce, q.c.mine.nonce, 32), !=, 0);
    g_assert_cmpint(memcmp(p.a.mine.nonce, q.a.mine.nonce, 32), !=, 0);
    g_assert_cmpint(memcmp(p.c.mine.nonce, p.a.mine.nonce, 32), !=, 0);
    g_assert_cmpint(memcmp(p.to_a->data + 128, q.to_a->data + 128, 32), !=, 0);
    pair_clear(&p);
    pair_clear(&q);
}

static void test_wrong_secret(void)
{
    struct pair p;

    pair_init(&p);
    p.c_cfg.secret = other_secret;
    run(&p, 1000);
    g_assert_cmpint(p.a_end, ==, DQ_AUTH_STRANGER);
    g_assert_cmpstr(dq_auth_why(&p.a), ==, "does not know the secret of this run");
    g_assert_cmpint(p.c_end, ==, DQ_AUTH_REFUSED);
    g_assert_true(g_str_has_prefix(dq_auth_why(&p.c), "refused the secret of this run"));
    /* Nothing that depends on the secret was told to who does not know it. */
    for (size_t i = 128 + offsetof(struct dq_verdict, mac); i < p.to_c->len; i++) {
        g_assert_cmpuint(p.to_c->data[i], ==, 0);
    }
    pair_clear(&p);
}

/* Every bit of the exchange is under a MAC or checked by itself. */
static void test_tampering_is_noticed(void)
{
    for (int reply = 0; reply < 2; reply++) {
        size_t length = 128 + (reply ? sizeof(struct dq_verdict) : sizeof(struct dq_proof));

        for (size_t at = 0; at < length; at++) {
            struct pair p;
            bool spare = reply && at >= 132 && at < 136; /* dq_verdict.zero */

            pair_init(&p);
            p.flip = at;
            p.flip_reply = reply;
            run(&p, 1000);
            g_assert_true(spare || p.c_end != DQ_AUTH_DONE);
            g_assert_true(reply || p.a_end != DQ_AUTH_DONE);
            /* A stranger on the line cannot have the acceptor blame a node of the run. */
            g_assert_cmpint(p.a_end, !=, DQ_AUTH_REFUSED);
            pair_clear(&p);
        }
    }
}

/* The proof of an earlier connection is worth nothing in this one. */
static void test_replay(void)
{
    struct pair p;
    struct dq_auth again;

    pair_init(&p);
    run(&p, 1000);
    g_assert_cmpint(dq_auth_open(&again, &p.a_cfg), ==, 0);
    g_assert_cmpint(dq_auth_feed(&again, p.to_a->data, 128), ==, DQ_AUTH_MORE);
    g_assert_cmpint(dq_auth_feed(&again, p.to_a->data + 128, 32), ==, DQ_AUTH_STRANGER);
    pair_clear(&p);
}

/* Who knows no secret and sends back what it hears is let in by neither side. */
static void test_reflection(void)
{
    struct dq_hello hello = {.magic = DQ_PROTO_MAGIC,
                             .version = DQ_PROTO_VERSION,
                             .role = DQ_ROLE_ACCEPTOR,
                             .nodes = 3,
                             .peer = 1,
                             .build = "b1"};
    struct dq_verdict v = {.code = DQ_VERDICT_OK};
    struct dq_auth a;
    struct pair p;
    const void *out;

    pair_init(&p);
    g_assert_cmpint(dq_auth_open(&a, &p.a_cfg), ==, 0);
    g_assert_cmpint(dq_auth_feed(&a, &hello, sizeof(hello)), ==, DQ_AUTH_STRANGER);

    g_assert_cmpint(dq_auth_open(&a, &p.c_cfg), ==, 0);
    g_assert_cmpuint(dq_auth_take(&a, &out), ==, sizeof(struct dq_hello));
    g_assert_cmpint(dq_auth_feed(&a, &hello, sizeof(hello)), ==, DQ_AUTH_MORE);
    g_assert_cmpuint(dq_auth_take(&a, &out), ==, sizeof(v.mac));
    memcpy(v.mac, out, sizeof(v.mac));
    g_assert_cmpint(dq_auth_feed(&a, &v, sizeof(v)), ==, DQ_AUTH_REFUSED);
    pair_clear(&p);
}

static void test_wrong_build(void)
{
    struct pair p;

    pair_init(&p);
    p.c_cfg.build_id = "b\x1b[2m2";
    run(&p, 1000);
    g_assert_cmpint(p.a_end, ==, DQ_AUTH_REFUSED);
    g_assert_cmpint(dq_auth_node(&p.a), ==, 1);
    g_assert_cmpstr(dq_auth_why(&p.a), ==,
                    "runs build b?[2m2, this node runs b1; install the same dqemu on every node");
    g_assert_cmpint(p.c_end, ==, DQ_AUTH_REFUSED);
    g_assert_true(g_str_has_prefix(dq_auth_why(&p.c), "runs build b1, this node runs "));
    pair_clear(&p);
}

static void test_wrong_count(void)
{
    struct pair p;

    pair_init(&p);
    p.c_cfg.nodes = 4;
    run(&p, 1000);
    g_assert_cmpint(p.a_end, ==, DQ_AUTH_REFUSED);
    g_assert_cmpstr(dq_auth_why(&p.a), ==, "counts 4 nodes in this run, this node counts 3");
    g_assert_cmpint(p.c_end, ==, DQ_AUTH_REFUSED);
    pair_clear(&p);
}

/* Nobody on the way can lower the level either: test_tampering_is_noticed. */
static void test_wrong_protection(void)
{
    struct pair p;

    pair_init(&p);
    p.c_cfg.protect = DQ_PROTECT_ENCRYPT;
    run(&p, 1000);
    g_assert_cmpint(p.a_end, ==, DQ_AUTH_REFUSED);
    g_assert_cmpstr(dq_auth_why(&p.a), ==,
                    "protects its connections by encryption, this node by nothing; start all "
                    "nodes with the same");
    g_assert_cmpint(p.c_end, ==, DQ_AUTH_REFUSED);
    g_assert_true(g_str_has_prefix(dq_auth_why(&p.c), "protects its connections by nothing, "));
    pair_clear(&p);
}

/* The key of the record layer: one for each connection, and no MAC that was sent. */
static void test_key(void)
{
    uint8_t c[DQ_AUTH_KEY_SIZE], a[DQ_AUTH_KEY_SIZE], other[DQ_AUTH_KEY_SIZE];
    struct pair p, q;

    pair_init(&p);
    pair_init(&q);
    run(&p, 1000);
    run(&q, 1000);
    g_assert_cmpint(dq_auth_key(&p.c, c), ==, 0);
    g_assert_cmpint(dq_auth_key(&p.a, a), ==, 0);
    g_assert_cmpint(dq_auth_key(&q.a, other), ==, 0);
    g_assert_cmpmem(c, sizeof(c), a, sizeof(a));
    g_assert_cmpint(memcmp(a, other, sizeof(a)), !=, 0);
    g_assert_null(memmem(p.to_a->data, p.to_a->len, a, 8));
    g_assert_null(memmem(p.to_c->data, p.to_c->len, a, 8));
    g_assert_cmpint(memcmp(a, secret, sizeof(a)), !=, 0);
    pair_clear(&p);
    pair_clear(&q);
}

/* A node of a later version: knows the secret, and the layout of the handshake, as all will. */
static void test_later_version(void)
{
    struct {
        char label[16];
        struct dq_hello connector;
        struct dq_hello acceptor;
        uint32_t code;
        uint32_t zero;
    } all = {
        .label = "dqemu connector",
        .connector = {.magic = DQ_PROTO_MAGIC,
                      .version = DQ_PROTO_VERSION + 1,
                      .role = DQ_ROLE_CONNECTOR,
                      .nodes = 3,
                      .node = 2,
                      .build = "b9"},
    };
    g_autofree char *why =
        g_strdup_printf("speaks version %d of the protocol, this node speaks %d; "
                        "install the same dqemu on every node",
                        DQ_PROTO_VERSION + 1, DQ_PROTO_VERSION);
    struct dq_auth a;
    struct pair p;
    const void *out;
    uint8_t mac[32];

    pair_init(&p);
    g_assert_cmpint(dq_auth_open(&a, &p.a_cfg), ==, 0);
    g_assert_cmpint(dq_auth_feed(&a, &all.connector, 128), ==, DQ_AUTH_MORE);
    g_assert_cmpuint(dq_auth_take(&a, &out), ==, 128);
    memcpy(&all.acceptor, out, 128);
    g_assert_cmpint(gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, 32, &all, sizeof(all), mac), ==, 0);
    g_assert_cmpint(dq_auth_feed(&a, mac, 32), ==, DQ_AUTH_REFUSED);
    g_assert_cmpint(dq_auth_node(&a), ==, 2);
    g_assert_cmpstr(dq_auth_why(&a), ==, why);
    g_assert_cmpuint(dq_auth_take(&a, &out), ==, sizeof(struct dq_verdict));
    pair_clear(&p);
}

static void test_number_not_expected(void)
{
    static const struct {
        int node, peer;
        uint64_t taken;
    } cases[] = {
        {1, 0, 3}, /* connected already */
        {2, 1, 1}, /* looks for another */
        {0, 0, 1}, /* this node's own number */
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct pair p;

        pair_init(&p);
        p.c_cfg.node = cases[i].node;
        p.c_cfg.peer = cases[i].peer;
        p.a_cfg.taken = &cases[i].taken;
        run(&p, 1000);
        g_assert_cmpint(p.a_end, ==, DQ_AUTH_STRANGER);
        g_assert_cmpint(p.c_end, ==, DQ_AUTH_REFUSED);
        pair_clear(&p);
    }
}

/* A refusal cannot be turned into a welcome on its way. */
static void test_verdict_is_proved(void)
{
    const uint64_t taken = 3;
    const void *out;
    struct dq_verdict v;
    struct dq_auth c, a;
    size_t length;
    struct pair p;

    pair_init(&p);
    p.a_cfg.taken = &taken;
    g_assert_cmpint(dq_auth_open(&c, &p.c_cfg), ==, 0);
    g_assert_cmpint(dq_auth_open(&a, &p.a_cfg), ==, 0);
    length = dq_auth_take(&c, &out);
    g_assert_cmpint(dq_auth_feed(&a, out, length), ==, DQ_AUTH_MORE);
    length = dq_auth_take(&a, &out);
    g_assert_cmpint(dq_auth_feed(&c, out, length), ==, DQ_AUTH_MORE);
    length = dq_auth_take(&c, &out);
    g_assert_cmpint(dq_auth_feed(&a, out, length), ==, DQ_AUTH_STRANGER);
    g_assert_cmpuint(dq_auth_take(&a, &out), ==, sizeof(v));
    memcpy(&v, out, sizeof(v));
    g_assert_cmpuint(v.code, ==, DQ_VERDICT_PLACE);
    v.code = DQ_VERDICT_OK;
    g_assert_cmpint(dq_auth_feed(&c, &v, sizeof(v)), ==, DQ_AUTH_REFUSED);
    pair_clear(&p);
}

static void test_first_wrong_byte(void)
{
    struct dq_hello good = {.magic = DQ_PROTO_MAGIC, .version = 1, .role = DQ_ROLE_CONNECTOR};
    struct dq_auth_config cfg;
    struct pair p;

    pair_init(&p);
    cfg = p.a_cfg;
    for (size_t wrong = 0; wrong < 8; wrong++) {
        uint8_t bytes[sizeof(good)];
        struct dq_auth a;

        memcpy(bytes, &good, sizeof(good));
        bytes[wrong] ^= 1;
        g_assert_cmpint(dq_auth_open(&a, &cfg), ==, 0);
        for (size_t i = 0; i < wrong; i++) {
            g_assert_cmpint(dq_auth_feed(&a, bytes + i, 1), ==, DQ_AUTH_MORE);
        }
        g_assert_cmpint(dq_auth_feed(&a, bytes + wrong, 1), ==, DQ_AUTH_STRANGER);
        g_assert_cmpuint(dq_auth_wants(&a), ==, 0);
    }
    pair_clear(&p);
}

static void test_random_bytes(void)
{
    struct pair p;

    pair_init(&p);
    for (int i = 0; i < 20000; i++) {
        struct dq_auth_config *cfg = i & 1 ? &p.c_cfg : &p.a_cfg;
        uint64_t magic = DQ_PROTO_MAGIC;
        uint16_t role = i & 1 ? DQ_ROLE_ACCEPTOR : DQ_ROLE_CONNECTOR;
        uint8_t bytes[128];
        struct dq_auth a;
        enum dq_auth_result end = DQ_AUTH_MORE;

        g_assert_cmpint(dq_auth_open(&a, cfg), ==, 0);
        for (int step = 0; end == DQ_AUTH_MORE; step++) {
            size_t wants = dq_auth_wants(&a);

            for (size_t k = 0; k < wants; k++) {
                bytes[k] = g_test_rand_int();
            }
            if (step == 0 && i & 2) {
                memcpy(bytes, &magic, 8);
                memcpy(bytes + 12, &role, 2);
            }
            end = dq_auth_feed(&a, bytes, wants);
        }
        g_assert_cmpint(end, ==, i & 1 ? DQ_AUTH_REFUSED : DQ_AUTH_STRANGER);
    }
    pair_clear(&p);
}

static void test_bad_configurations(void)
{
    static const int numbers[][2] = {{0, 0}, {-1, 2}, {2, 2}, {0, DQ_MAX_NODES + 1}};
    char build[DQ_BUILD_ID_SIZE + 1] = {0};
    struct dq_auth a;
    struct pair p;

    pair_init(&p);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        struct dq_auth_config cfg = p.c_cfg;

        cfg.node = numbers[i][0];
        cfg.nodes = numbers[i][1];
        g_assert_cmpint(dq_auth_open(&a, &cfg), ==, -EINVAL);
    }
    memset(build, 'b', DQ_BUILD_ID_SIZE - 1);
    p.c_cfg.build_id = p.a_cfg.build_id = build;
    run(&p, 1000);
    g_assert_cmpint(p.a_end, ==, DQ_AUTH_DONE);
    build[DQ_BUILD_ID_SIZE - 1] = 'b';
    g_assert_cmpint(dq_auth_open(&a, &p.c_cfg), ==, -EINVAL);
    pair_clear(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    alarm(60);
    g_test_add_func("/auth/peers-meet", test_peers_meet);
    g_test_add_func("/auth/secret-stays-here", test_secret_stays_here);
    g_test_add_func("/auth/wrong-secret", test_wrong_secret);
    g_test_add_func("/auth/tampering-is-noticed", test_tampering_is_noticed);
    g_test_add_func("/auth/replay", test_replay);
    g_test_add_func("/auth/reflection", test_reflection);
    g_test_add_func("/auth/wrong-build", test_wrong_build);
    g_test_add_func("/auth/wrong-count", test_wrong_count);
    g_test_add_func("/auth/wrong-protection", test_wrong_protection);
    g_test_add_func("/auth/key", test_key);
    g_test_add_func("/auth/later-version", test_later_version);
    g_test_add_func("/auth/number-not-expected", test_number_not_expected);
    g_test_add_func("/auth/verdict-is-proved", test_verdict_is_proved);
    g_test_add_func("/auth/first-wrong-byte", test_first_wrong_byte);
    g_test_add_func("/auth/random-bytes", test_random_bytes);
    g_test_add_func("/auth/bad-configurations", test_bad_configurations);
    return g_test_run();
}
