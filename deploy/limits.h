/*
 * Limits of this process, inherited by the nodes, that are too tight for a run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_LIMITS_H
#define DQ_LIMITS_H

/*
 * What keeps `here` nodes of `all` from starting on this machine and meeting the others: a clause
 * for the user, with its remedy, his to g_free(). NULL: nothing. What the guest itself needs beyond
 * that is its own affair. SIGCHLD must not be ignored.
 */
char *dq_limits_trouble(int here, int all);

#endif
