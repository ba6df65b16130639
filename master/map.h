/*
 * The memory map of all nodes, as the master changes it.
 *
 * Changes happen one at a time: a thread takes the turn for its whole call. The turn is not
 * an ordinary lock: its holder waits for other nodes. That is safe because those who answer
 * (every node's loop and worker) never need it, nor any lock under which somebody may wait
 * for it. Order: the emulator's exclusive section, then the turn, then mmap_lock (and
 * mmap_lock is not held while waiting for the other nodes).
 *
 * A node knows of a range if it has been told how it is mapped; until then, no thread of it can access
 * the range. Who knows hears of all changes; who does not, asks when one of its threads gets there. So
 * what the threads of one node do among themselves costs the others nothing.
 *
 * Addresses and lengths are in bytes, of whole pages.
 *
 * Guest threads and proxies of the master, but for dq_map_message().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MASTER_MAP_H
#define DQ_MASTER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

void dq_map_begin(void); /* take the turn, for a thread of the master; blocks */
void dq_map_end(void);
/* The call is one of a thread that runs on this node. With the turn. */
void dq_map_for(int node);

/*
 * With the turn: tell the nodes that know of some of the range, and unless it is forbidden, that of the
 * call's thread. They know all of it from then on; of a range that is forbidden nobody knows. In order;
 * no answers yet.
 */
void dq_map_tell(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags);
/* Likewise, but the caller's node need not answer: it does as told before the call returns there. */
void dq_map_tell_at_last(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags);
/* Tell every other node. */
void dq_map_tell_all(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags);
/* Tell one that does not know of it; nobody waits for its answer. */
void dq_map_tell_one(int node, enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags);
/*
 * Does the node (not the master) know how the page at `address` is mapped? [*first, *last], which it is in,
 * shrinks to where that is so, or is not. With the turn; does not block.
 */
bool dq_map_is_known(int node, uint64_t address, uint64_t *first, uint64_t *last);
/* Send what the loader set up (opaque bytes) likewise. */
void dq_map_tell_globals(const void *globals, size_t length);
/* Wait until all nodes have applied all that they were told. With the turn; blocks. */
void dq_map_wait(void);

/* MAPPED, on the loop. -EPROTO if none is awaited. */
int dq_map_message(const struct dq_msg_cookie *m);

/* In a forked child: nobody else is there. */
void dq_map_forked(void);

#endif
