/*
 * Flow control by credits: two ends that send, deal and stall at random never lack a buffer and
 * never wait for ever, also over a landing area that few packets fill.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>

#include "proto/credit.h"
#include "proto/ring.h"

#define AREA (256u * 1024)
#define PACKET (72u * 1024)

static void test_limits(void)
{
    struct dq_credit c;

    dq_credit_init(&c, 8, AREA);
    g_assert_false(dq_credit_take(&c)); /* nothing is granted yet */
    dq_credit_granted(&c, 2);
    g_assert_true(dq_credit_take(&c));
    g_assert_true(dq_credit_take(&c));
    g_assert_false(dq_credit_take(&c));
    g_assert_cmpint(dq_credit_returned(&c, 3), ==, -EPROTO);
    g_assert_cmpint(dq_credit_returned(&c, 1), ==, 0);
    g_assert_true(dq_credit_take(&c));
    g_assert_cmpint(dq_credit_returned(&c, 2), ==, 0);
    g_assert_cmpint(dq_credit_returned(&c, 1), ==, -EPROTO);
}

static void test_due(void)
{
    struct dq_credit c;

    dq_credit_init(&c, 8, AREA);
    g_assert_false(dq_credit_due(&c));
    dq_credit_owe(&c, 0);
    g_assert_false(dq_credit_due(&c));
    dq_credit_owe(&c, 0);
    g_assert_true(dq_credit_due(&c)); /* a quarter of the packets */
    g_assert_cmpuint(dq_credit_give(&c), ==, 2);
    g_assert_false(dq_credit_due(&c));
    g_assert_cmpuint(dq_credit_give(&c), ==, 0);
    dq_credit_owe(&c, AREA / 4);
    g_assert_true(dq_credit_due(&c)); /* a quarter of the bytes */
    g_assert_cmpuint(dq_credit_give(&c), ==, 1);
    g_assert_false(dq_credit_due(&c));
}

struct packet {
    uint64_t mark;
    uint32_t bytes;   /* placed in the landing area */
    uint32_t credits; /* returned with it */
    bool is_packet;   /* else it returns credits only */
};

/* One end: what it has sent and the other has not yet seen, and what it awaits. */
struct end {
    struct dq_credit credit;
    struct dq_ring ring;
    GQueue out;  /* struct packet, under way to the other */
    GQueue sent; /* marks of packets whose credits are out */
    uint64_t to_send;
};

static void emit(struct end *e, uint32_t bytes, bool is_packet)
{
    struct packet p = {.bytes = bytes, .is_packet = is_packet};

    p.credits = dq_credit_give(&e->credit);
    p.mark = dq_ring_mark(&e->ring);
    g_queue_push_tail(&e->out, g_memdup2(&p, sizeof(p)));
    if (is_packet) {
        g_queue_push_tail(&e->sent, g_memdup2(&p.mark, sizeof(p.mark)));
    }
}

static bool send_one(struct end *e, bool big)
{
    uint32_t bytes = 0;
    uint64_t at;

    if (e->to_send == 0) {
        return false;
    }
    if (big) {
        bytes = (uint32_t)g_test_rand_int_range(513, PACKET + 1);
        if (!dq_ring_take(&e->ring, bytes, &at)) {
            return false;
        }
        if (!dq_credit_take(&e->credit)) {
            dq_ring_untake(&e->ring);
            return false;
        }
    } else if (!dq_credit_take(&e->credit)) {
        return false;
    }
    e->to_send--;
    emit(e, bytes, true);
    return true;
}

/* `to` deals with the oldest thing under way from `from`. */
static bool deal(struct end *from, struct end *to)
{
    struct packet *p = g_queue_pop_head(&from->out);

    if (!p) {
        return false;
    }
    g_assert_cmpint(dq_credit_returned(&to->credit, p->credits), ==, 0);
    for (uint32_t i = 0; i < p->credits; i++) {
        uint64_t *mark = g_queue_pop_head(&to->sent);

        dq_ring_release(&to->ring, *mark);
        g_free(mark);
    }
    if (p->is_packet) {
        dq_credit_owe(&to->credit, p->bytes);
        if (dq_credit_due(&to->credit)) {
            emit(to, 0, false);
        }
    }
    g_free(p);
    return true;
}

/* As many buffers as proto/credit.h says are enough. */
static void check_buffers(const struct end *e, uint32_t room)
{
    unsigned packets = 0, returns = 0;

    for (GList *l = e->out.head; l; l = l->next) {
        const struct packet *p = l->data;

        packets += p->is_packet;
        returns += !p->is_packet;
    }
    g_assert_cmpuint(packets, <=, room);
    g_assert_cmpuint(returns, <=, DQ_CREDIT_RETURNS);
}

static void play(uint32_t room, int big_share, int talk_a, int talk_b)
{
    struct end e[2] = {{.to_send = 20000}, {.to_send = talk_b ? 20000 : 0}};
    int talk[2] = {talk_a, talk_b};

    for (int i = 0; i < 2; i++) {
        dq_credit_init(&e[i].credit, room, AREA);
        dq_credit_granted(&e[i].credit, room);
        dq_ring_init(&e[i].ring, AREA);
    }
    while (e[0].to_send || e[1].to_send) {
        bool moved = false;

        for (int i = 0; i < 2; i++) {
            /* bursts, and stalls in which nothing is dealt with */
            int sends = g_test_rand_int_range(0, talk[i] + 1);
            int deals = g_test_rand_int_range(0, 4) ? 0 : g_test_rand_int_range(0, 300);

            while (sends-- > 0 && send_one(&e[i], g_test_rand_int_range(0, 100) < big_share)) {
                moved = true;
            }
            while (deals-- > 0 && deal(&e[!i], &e[i])) {
                moved = true;
            }
            check_buffers(&e[0], room);
            check_buffers(&e[1], room);
        }
        if (!moved && !e[0].out.length && !e[1].out.length) {
            /* Nothing is under way: both must be able to send the largest there is. */
            for (int i = 0; i < 2; i++) {
                g_assert_true(e[i].to_send == 0 || send_one(&e[i], true));
            }
        }
    }
    for (int i = 0; i < 2; i++) {
        g_queue_clear_full(&e[i].out, g_free);
        g_queue_clear_full(&e[i].sent, g_free);
    }
}

static void test_two_ends(void)
{
    static const uint32_t rooms[] = {4, 5, 8, 32, 256};

    for (unsigned i = 0; i < G_N_ELEMENTS(rooms); i++) {
        play(rooms[i], 0, 400, 400);
        play(rooms[i], 50, 400, 400);
        play(rooms[i], 100, 50, 50);
    }
}

static void test_one_end_only_listens(void)
{
    play(32, 0, 400, 0);
    play(32, 50, 400, 0);
    play(256, 100, 400, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/credit/limits", test_limits);
    g_test_add_func("/credit/when-due", test_due);
    g_test_add_func("/credit/two-ends-never-lack-a-buffer-nor-wait-for-ever", test_two_ends);
    g_test_add_func("/credit/one-end-only-listens", test_one_end_only_listens);
    return g_test_run();
}
