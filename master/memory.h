/*
 * The guest's memory, on whatever nodes it is. Each touched page is counted by its home.
 *
 * Master only; guest threads and proxies, but for dq_memory_message().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MASTER_MEMORY_H
#define DQ_MASTER_MEMORY_H

#include <stdint.h>

#include "proto/wire.h"

/* In pages. */
struct dq_memory {
    uint64_t touched;
    uint64_t most; /* touched at once: no less than it was */
    uint64_t here; /* of these the master holds so many */
};

/* Asks the other nodes, and waits for their loops: under no lock. */
struct dq_memory dq_memory_count(void);

/* MEMORY, on the loop. -EPROTO: nobody has asked. */
int dq_memory_message(const struct dq_msg_memory *m);

#endif
