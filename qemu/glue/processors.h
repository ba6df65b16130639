/*
 * Processors as the guest sees them, for the rest of the glue. What QEMU calls is in hooks.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_GLUE_PROCESSORS_H
#define DQEMU_GLUE_PROCESSORS_H

#include <stdint.h>

struct dq_thread;

/* Once, before there are threads. */
void dq_processors_open(void);

/* A new thread, by its parent: it has the parent's mask. Bit n: it may start on node n. */
uint64_t dq_processors_inherit(struct dq_thread *child);

/* The calling thread goes on at t->node: its host thread is bound as its mask says, or as a proxy, not. */
void dq_processors_bind(const struct dq_thread *t);

#endif
