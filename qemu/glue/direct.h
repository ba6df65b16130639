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

#endif
