/*
 * What the master asks all nodes: each node counts the answers that it waits for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/sim/question.h"

#include <glib.h>

#include "tests/sim/tree.h"

#define ROOT 0

enum { ASK, ANSWER }; /* types of packets */

/*
 * master/map.c: the calling thread sends MAP. A call that unmaps goes on to RESET, which the loop
 * sends (dqemu/range.c); to all nodes if the range is long, which is the case here. The splitter's
 * messages are the loop's; between closing and opening a page its content moves, which is left out.
 */
const struct question questions[] = {
    {"map", {QUESTION_BY_THREAD}},
    {"unmap", {QUESTION_BY_THREAD, QUESTION_BY_LOOP}},
    {"split", {QUESTION_BY_LOOP, QUESTION_BY_LOOP}},
};
const unsigned question_count = G_N_ELEMENTS(questions);

struct asking {
    int nodes;
    unsigned fan;
    struct loops *loops;
    unsigned *awaited; /* answers, by node */
    uint64_t *told;    /* how often, by node */
};

static void tell_children(struct asking *a, int node, enum question_sender sender)
{
    unsigned children = tree_children(node, a->nodes, ROOT, a->fan);

    a->awaited[node] = children;
    for (unsigned i = 0; i < children; i++) {
        int child = tree_child(node, a->nodes, ROOT, a->fan, i);

        if (sender == QUESTION_BY_THREAD) {
            loops_send_beside(a->loops, node, child, ASK);
        } else {
            loops_send(a->loops, node, child, ASK, 0, NULL);
        }
    }
}

static void answer_if_complete(struct asking *a, int node)
{
    if (node != ROOT && a->awaited[node] == 0) {
        loops_send(a->loops, node, tree_parent(node, a->nodes, ROOT, a->fan), ANSWER, 0, NULL);
    }
}

static void ask_all(struct asking *a, enum question_sender sender)
{
    struct packet p;

    loops_settle(a->loops);
    tell_children(a, ROOT, sender);
    while (loops_next(a->loops, &p)) {
        if (p.type == ASK) {
            a->told[p.to]++;
            tell_children(a, p.to, QUESTION_BY_LOOP);
        } else {
            a->awaited[p.to]--;
        }
        answer_if_complete(a, p.to);
    }
    g_assert_cmpuint(a->awaited[ROOT], ==, 0);
}

struct question_result question_ask(const struct question *q, int nodes, unsigned fan,
                                    const struct loops_cost *cost)
{
    struct asking a = {.nodes = nodes, .fan = fan, .loops = loops_new(nodes, cost)};
    struct question_result result = {0};

    a.awaited = g_new0(unsigned, (gsize)nodes);
    a.told = g_new0(uint64_t, (gsize)nodes);
    while (result.rounds < QUESTION_ROUNDS && q->round[result.rounds] != QUESTION_NO_ROUND) {
        ask_all(&a, q->round[result.rounds++]);
    }
    result.ns = loops_time(a.loops, ROOT);
    result.busiest = loops_busiest(a.loops);
    for (int n = 0; n < nodes; n++) {
        g_assert_cmpuint(a.told[n], ==, n == ROOT ? 0 : result.rounds);
    }
    g_free(a.awaited);
    g_free(a.told);
    loops_free(a.loops);
    return result;
}
