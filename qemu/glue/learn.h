/*
 * Parts of the memory map that a node has not heard of yet: see learn.c. uaccess.h has dq_learn(), by
 * which a slave's thread asks; here is the master's side.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_LEARN_H
#define DQEMU_LEARN_H

#include "internal.h"

/*
 * The node hears how the range is mapped, and what is mapped alike around it, as far as it has not yet.
 * Nothing if the addresses are not the guest's. On the master, with the turn; blocks. Whose turn it is calls
 * dq_split_include() afterwards.
 */
void dq_teach(int node, abi_ulong start, abi_ulong len);

/*
 * On a slave: an instruction has met a fault at this address (untagged). True: it is to be executed again,
 * for the page is known by now, or may have become so just before. Blocks.
 */
bool dq_learn_fault(abi_ulong addr, struct dq_doubt *doubt);

/* The calling proxy's thread is about to begin on its node, with this state: its stack is taught. Blocks. */
void dq_teach_stack(CPUArchState *env, int node);

/* MAP_ASK of the calling proxy's thread: it is taught. Blocks. 0, or -EPROTO: no such range. */
int dq_teach_asked(int node, const struct dq_msg_map_ask *m);

#endif
