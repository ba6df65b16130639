/*
 * System calls whose memory travels with them: see carry.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_GLUE_CARRY_H
#define DQEMU_GLUE_CARRY_H

#include "internal.h"
#include "dqemu/carry.h"

/* A message that a slave sends for such a call, and that its answer is for. */
struct dq_carried {
    struct dq_msg_syscall *call; /* owned until dq_carry_end() */
    size_t length;
};

/* On a slave, by the calling thread: true if the memory of this call travels. Waits for pages. */
bool dq_carry_begin(CPUArchState *env, int num, const abi_long arg[8], struct dq_carried *c);
/*
 * The result has come: store what came with it, and take it off the result. The value for the thread,
 * which is -TARGET_EFAULT if its memory has gone meanwhile. Waits for pages.
 */
abi_long dq_carry_end(struct dq_carried *c, struct dq_remote *remote);

/*
 * At the proxy: what QEMU locks, and lies in the message, is found there until dq_carry_close(). The message
 * is the caller's, and changes. -EPROTO: no slave of this build sends such a one.
 */
int dq_carry_open(void *message, size_t length);
/* The call has returned this: its value for the thread, and what goes with the result is appended. */
abi_long dq_carry_close(abi_long ret, GByteArray *out);

/* For lock_user(): what stands for this memory; NULL: it itself. Waits for pages in rare cases. */
void *dq_carry_lock(abi_ulong addr, ssize_t len, bool write);

#endif
