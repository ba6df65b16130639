/*
 * The memory map of all nodes, as the master changes it.
 *
 * Changes happen one at a time: a thread takes the turn for its whole call. The turn is not
 * an ordinary lock: its holder waits for other nodes. That is safe because those who answer
 * (every node's loop and worker) never need it, nor any lock under which somebody may wait
 * for it. Order: the emulator's exclusive section, then the turn, then mmap_lock (and
 * mmap_lock is not held while waiting for the other nodes).
 *
 * Guest threads and proxies of the master, but for dq_map_message().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MASTER_MAP_H
#define DQ_MASTER_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

void dq_map_begin(void); /* take the turn; blocks */
void dq_map_end(void);

/* Tell every other node; in order, and no answer yet. With the turn. */
void dq_map_tell(enum dq_map_op op, uint64_t start, uint64_t length, uint32_t flags);
/* Send what the loader set up (opaque bytes) likewise. */
void dq_map_tell_globals(const void *globals, size_t length);
/* Wait until all nodes have applied all that they were told. With the turn; blocks. */
void dq_map_wait(void);

/* MAPPED, on the loop. -EPROTO if none is awaited. */
int dq_map_message(const struct dq_msg_cookie *m);

/* In a forked child: nobody else is there. */
void dq_map_forked(void);

#endif
