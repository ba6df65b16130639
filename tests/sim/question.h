/*
 * What the master asks all nodes, simulated: a map call, the splitting of a page. Asked directly, as
 * the code does it, or along the tree of tree.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SIM_QUESTION_H
#define SIM_QUESTION_H

#include "tests/sim/loops.h"

#define QUESTION_FLAT UINT32_MAX /* the fan-out that has the root tell everybody itself */
#define QUESTION_ROUNDS 2

/* Who sends what the root says: in the code another thread than the loop may. */
enum question_sender { QUESTION_NO_ROUND, QUESTION_BY_LOOP, QUESTION_BY_THREAD };

/* One round after the other: the next begins when all have answered. */
struct question {
    const char *name;
    enum question_sender round[QUESTION_ROUNDS];
};

extern const struct question questions[];
extern const unsigned question_count;

struct question_result {
    uint64_t ns;      /* until the root has the last answer */
    uint64_t busiest; /* messages that the busiest node sent and received */
    unsigned rounds;
};

/*
 * Node 0 asks; ends the program if not every other node is told once in each round. What the nodes do before they answer takes no time: it is the same either way.
 */
struct question_result question_ask(const struct question *q, int nodes, unsigned fan,
                                    const struct loops_cost *cost);

#endif
