/*
 * Whether this user may have a userfaultfd that serves the kernel's accesses too, which every
 * run on more than one node needs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PERMISSION_H
#define DQ_PERMISSION_H

/* What stands against it, a clause for the user with its remedies. NULL: nothing. */
const char *dq_permission_trouble(void);

#endif
