/*
 * A check of everything that is sent, for who suspects that a write was lost (-o check.pages=1):
 *
 * - A page that nobody on this node can write to has the bytes that it had when it came or was
 *   write-protected: whenever it is sent, made writable or dropped.
 * - A page arrives as it was sent.
 * - A page that was split has in its granules what it had as a page, and the other way round.
 *
 * The first that is not so ends the run with one line that names the page, the nodes and what
 * was done with the page last. A page that is held and absent counts as never seen: the kernel
 * takes pages away where the guest maps anew, before the engine hears of it.
 *
 * All nodes check or none does: the sums of pages travel in a message of their own, before the
 * pages. It costs some tens of microseconds a page and a few hundred bytes of memory; when it is off,
 * nothing but a look at a flag.
 *
 * All functions: on the loop (start: before it runs); they do not block. Without the check they do
 * nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CHECK_H
#define DQ_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dqemu/config.h"
#include "proto/wire.h"

void dq_check_start(const struct dq_config *cfg);
bool dq_check_is_on(void);

/* ---- what the kernel is told, by host addresses: uffd.c */

/* Installed for reading only, or just write-protected: these bytes stay. NULL: it is absent. */
void dq_check_kept(uintptr_t at, const void *bytes);
/* Read or moved out. If nobody could write to the page, it must be as it was. NULL: absent. */
void dq_check_seen(uintptr_t at, const void *bytes);
/* Writable from now on, or gone. */
void dq_check_let_go(uintptr_t at, size_t pages);

/* ---- what nodes tell each other, by pages: batch.c, pager.c */

/*
 * These pages leave in the next message to this node: tell it their sums. here: they have not been
 * moved out, so they stay as they are until they are dropped or made writable.
 */
void dq_check_sending(int to, const struct dq_msg_page *m, const uint8_t *bytes, bool here);
/* A page has arrived. */
void dq_check_arrived(int from, uint64_t page, const void *bytes);
/* DQ_MSG_SUMS. 0; -EPROTO: it cannot come. */
int dq_check_message(int from, const void *body, size_t length);

/* ---- splitting, at the master: split.c */

/* The page and the shadow pages that stand for it now hold the same. */
void dq_check_moved(uint64_t page, uint64_t shadow, unsigned granules);

#endif
