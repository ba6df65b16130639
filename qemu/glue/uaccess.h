/*
 * What QEMU's access_ok(), lock_user() and unlock_user() call: where a system call finds the guest's
 * memory.
 *
 * As a rule that is the memory itself. On a node whose userfaultfd serves threads but not the kernel
 * (dq_pager_serves_kernel()), the kernel would say EFAULT where it met a page that is elsewhere, or
 * protected; so system calls get a copy there, made and written back by the thread, which may wait
 * for pages as any thread does. See bounce.c.
 *
 * A proxy finds there what has travelled with the call, which is all of most calls' memory: see carry.c.
 *
 * Emulated threads and proxies. Included by linux-user/qemu.h, so it needs nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_UACCESS_H
#define DQEMU_UACCESS_H

/* Changes once, before the guest runs; false again in a forked child. */
extern bool dq_bouncing;

/*
 * access_ok(), which has found the range (untagged) not accessible: a slave may have known nothing of it yet.
 * True: it knows by now what there is to know. Blocks; no lock of QEMU's or ours may be held.
 */
bool dq_learn(abi_ulong addr, abi_ulong len);
/*
 * lock_user(), which has found the range (untagged) accessible: what the caller is to use in its
 * place. Its content is that of the memory if `copy`, or if `write` and not known to be replaced. Waits
 * for pages. NULL: the memory has gone since.
 */
void *dq_lock_user(abi_ulong addr, ssize_t len, bool write, bool copy);
/* target_strlen(): the length of the string there if that has travelled with the call; else -1. */
ssize_t dq_carried_strlen(abi_ulong addr);
/* unlock_user(): `len` bytes from the first on count, where it is known that others do not. */
void dq_bounce_unlock(void *host, ssize_t len);

static inline void dq_unlock_user(void *host, ssize_t len)
{
    if (unlikely(dq_bouncing)) {
        dq_bounce_unlock(host, len);
    }
}

#endif
