/*
 * Which userfaultfd this user may have; every run on more than one node needs one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PERMISSION_H
#define DQ_PERMISSION_H

/*
 * What stands against any of them, a clause for the user with its remedies. NULL: nothing; then *what,
 * if asked for, is "full", or "threads" where one is permitted that does not serve the kernel's own
 * accesses.
 */
const char *dq_permission_trouble(const char **what);

#endif
