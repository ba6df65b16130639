/*
 * Files that are read and written past the page cache: see direct.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_DIRECT_H
#define DQEMU_DIRECT_H

#include "internal.h"

/*
 * On the master, by the thread or its proxy, before a system call is executed. True: it was such a read or
 * write, it has been executed, and *ret is the result.
 */
bool dq_direct_call(CPUArchState *env, int num, const abi_long arg[8], abi_long *ret);

/* Is this file read and written so? */
bool dq_direct_is(int fd);

/* Memory in place of a buffer of the guest's, at the same place within its page. */
struct dq_direct_buffer {
    void *memory; /* for qemu_vfree() */
    void *data;
};
void dq_direct_buffer_make(struct dq_direct_buffer *b, abi_ulong addr, size_t len);

/* The fourth argument of pread64() and its kin; of no meaning for others. */
uint64_t dq_direct_offset(CPUArchState *env, int num, const abi_long *arg);

#endif
