/*
 * Whether this user may have a userfaultfd that serves the kernel's accesses too, which every
 * run on more than one node needs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PERMISSION_H
#define DQ_PERMISSION_H

/* Ends the process with one line (status 125) that names the remedies if not. */
void dq_permission_check(void);

#endif
