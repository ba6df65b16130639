/*
 * A cluster of node processes for tests, without the launcher and without the emulator: the
 * parent speaks the launcher's part of the control channel, each child runs a function as one
 * node with a piece of shared "guest" memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TEST_CLUSTER_H
#define TEST_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define GUEST_PAGES 32768u /* from guest address 0 */
#define NODE_THREADS 3     /* that tests usually run on a node */
#define MAX_CLUSTER 4

/* ---- in a node */

/* The host's address of a guest page. */
uint64_t *guest(uint64_t page);

/* All nodes call it the same number of times; returns once all have. One thread per node. */
void barrier(void);

/* Run fn(index, arg) on `count` threads of this node, index from 0, and join them. */
void threads(int count, void (*fn)(int index, void *arg), void *arg);

/* A cheap random number; *state is the caller's, seeded with anything. */
uint64_t rnd(uint64_t *state);

/* Monotonic time has passed `ms` since the node began. */
bool time_is_up(unsigned ms);

/* The node has failed: say why and end it. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define check(condition) ((condition) ? (void)0 : fail("%s:%d: %s", __FILE__, __LINE__, #condition))

/* What drop_code of this node's emulator does; set it before the first hold. */
extern void (*cluster_drop_code)(uint64_t page);

/* ---- in the parent */

struct cluster {
    int nodes;
    pid_t pid[MAX_CLUSTER];
    int control[MAX_CLUSTER];
};

/* Tunables of the clusters to come, as the members of a JSON object. */
extern const char *cluster_options;

/*
 * Start `nodes` nodes that each run body(node) on memory under the pager, then leave. With
 * `bare`, body sets up the memory for itself (guest_map(), dq_pager_*).
 */
void cluster_start(struct cluster *c, int nodes, void (*body)(int node), bool bare);
/* Wait for all: true if every node left with status 0. */
bool cluster_end(struct cluster *c);
/* The text of the first "error" line from the node, or "". Static storage. */
const char *cluster_error(struct cluster *c, int node);

/* For `bare` nodes: reserve the guest's memory; the host's address of guest address 0. */
uintptr_t guest_map(void);
void guest_allow(uint64_t page, uint64_t count, int protection); /* mprotect */

#endif
