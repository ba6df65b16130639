/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slave/sched.h"

#include <glib.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dqemu/node.h"
#include "dqemu/processors.h"
#include "dqemu/sched_attr.h"

#define BITS (8 * sizeof(unsigned long))
#define WORDS (CPU_SETSIZE / BITS)

struct dq_sched {
    struct dq_msg_sched how;
    bool bound; /* to what is in the mask; else the mask says nothing about this node */
    cpu_set_t mask;
};

static const struct dq_config *config;
static cpu_set_t own;

void dq_sched_open(const struct dq_config *cfg)
{
    config = cfg;
    CPU_ZERO(&own);
    sched_getaffinity(0, sizeof(own), &own);
}

/* With several hosts the guest counts the processors of all: these are, of those that are ours, ... */
static bool read_of_hosts(const unsigned long *mask, size_t words, cpu_set_t *out)
{
    unsigned long ranks[WORDS];
    unsigned rank = 0;

    if (!dq_processors_of_node(config, dq_node_self(), mask, words, ranks, WORDS)) {
        return false;
    }
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &own)) {
            if (ranks[rank / BITS] >> (rank % BITS) & 1) {
                CPU_SET(cpu, out);
            }
            rank++;
        }
    }
    return true;
}

/* On one machine they are the kernel's. */
static bool read_of_machine(const unsigned long *mask, size_t words, cpu_set_t *out)
{
    memcpy(out, mask, MIN(words * sizeof(*mask), sizeof(*out)));
    return CPU_COUNT(out) > 0;
}

struct dq_sched *dq_sched_read(const struct dq_msg_sched *m, size_t length)
{
    const unsigned long *mask = (const void *)(m + 1);
    const size_t bytes = length - sizeof(*m);
    struct dq_sched *s;

    if (bytes % sizeof(*mask)) {
        return NULL;
    }
    s = g_new0(struct dq_sched, 1);
    s->how = *m;
    s->bound = dq_processors_count(config) ? read_of_hosts(mask, bytes / sizeof(*mask), &s->mask)
                                           : read_of_machine(mask, bytes / sizeof(*mask), &s->mask);
    return s;
}

void dq_sched_apply(const struct dq_sched *s, int host_tid)
{
    const struct dq_sched_attr wish = {
        .size = sizeof(wish),
        .policy = s->how.policy,
        .nice = s->how.nice,
        .priority = s->how.priority,
    };

    syscall(SYS_sched_setattr, host_tid, &wish, 0);
    sched_setaffinity(host_tid, sizeof(s->mask), s->bound ? &s->mask : &own);
}
