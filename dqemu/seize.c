/*
 * Pages that one thread has to itself for a moment: what the emulator executes alone on its node must
 * be alone among all nodes.
 *
 * Nobody waits for a page while he has one: all are asked for, and kept from the moment on at which the
 * loop finds all of them here; if one has left meanwhile, everything begins again. So a seizure waits
 * for others, but no circle of waiting can close over it. The hold time gives each page that comes the
 * time in which the next one can.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/gate.h"
#include "dqemu/runtime.h"

struct seizure {
    uint64_t page;
    unsigned count;
    bool done;
    struct dq_gate answered;
};

static bool all_are_here(const struct seizure *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (dq_cache_state(dq_pager.cache, s->page + i) != DQ_EXCLUSIVE) {
            return false;
        }
    }
    return true;
}

static void seize_on_loop(void *arg)
{
    struct seizure *s = arg;

    s->done = all_are_here(s);
    for (unsigned i = 0; s->done && i < s->count; i++) {
        dq_cache_keep(dq_pager.cache, s->page + i, dq_node_now());
    }
    dq_gate_open(&s->answered);
}

void dq_pager_seize(uint64_t page, unsigned count)
{
    bool done = !dq_node_is_live();

    while (!done) {
        struct seizure s = {.page = page, .count = count};

        dq_pager_want(page, count, true);
        dq_node_post(seize_on_loop, &s);
        dq_gate_wait(&s.answered);
        done = s.done;
    }
}

static void yield_on_loop(void *arg)
{
    struct seizure *s = arg;

    for (unsigned i = 0; i < s->count; i++) {
        uint64_t now = dq_node_now();

        dq_cache_let_go(dq_pager.cache, s->page + i, now, now);
    }
    dq_gate_open(&s->answered);
}

void dq_pager_yield(uint64_t page, unsigned count)
{
    struct seizure s = {.page = page, .count = count};

    if (dq_node_is_live()) {
        dq_node_post(yield_on_loop, &s);
        dq_gate_wait(&s.answered);
    }
}
