/*
 * A userfaultfd of the kind that this user may have: for a node, and for the launcher, which looks
 * beforehand. Any thread; never blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_USERFAULTFD_H
#define DQ_USERFAULTFD_H

#include <stdbool.h>

/*
 * A descriptor, close-on-exec and non-blocking, on which nothing is agreed yet. Where this user may have no
 * more, or `threads_only`, it serves the faults of threads alone (UFFD_USER_MODE_ONLY, Linux 5.11);
 * *serves_kernel: the kernel's own accesses, too. -EPERM: not even that is permitted; -ENOSYS: the kernel
 * has none; or -errno.
 */
int dq_userfaultfd_open(bool threads_only, bool *serves_kernel);

#endif
