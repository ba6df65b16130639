/*
 * The processors that the guest sees when the nodes are on several hosts: those of all hosts, in the
 * order of the nodes, from 0 on without holes. Programs choose by them how many threads they start.
 *
 * Masks have bit k % W of word k / W for processor k, as the kernel's (W: bits of an unsigned long).
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PROCESSORS_H
#define DQ_PROCESSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dqemu/config.h"

/* How many there are. 0: the guest sees those of the machine where the master is, as they are. */
int dq_processors_count(const struct dq_config *cfg);

/* Words of a mask of them all. */
size_t dq_processors_words(const struct dq_config *cfg);

/* Those that are in the mask and exist: out gets dq_processors_words() words. False: none. */
bool dq_processors_filter(const struct dq_config *cfg, const unsigned long *mask, size_t words,
                          unsigned long *out);

/* Bit n: node n has a processor in this mask of dq_processors_words() words. */
uint64_t dq_processors_nodes(const struct dq_config *cfg, const unsigned long *mask);

/*
 * Which of a node's own processors are in the mask (of `words` words): bit k of `own` words is the k-th
 * of those that its processes may use. False: none.
 */
bool dq_processors_of_node(const struct dq_config *cfg, int node, const unsigned long *mask,
                           size_t words, unsigned long *own, size_t own_words);

/*
 * The share of each node in the processors of its host, which several nodes may have in common: how
 * many threads it takes at once, at least 1.
 */
void dq_processors_shares(const struct dq_config *cfg, int share[DQ_MAX_NODES]);

/*
 * /proc/cpuinfo of a machine with `count` processors: `info`, that of another, has a block for each
 * ("processor : K", up to an empty line), which are repeated in turn; what else it has comes once, at
 * the end. The caller's to g_free().
 */
char *dq_processors_info(const char *info, int count);

#endif
