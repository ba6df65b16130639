/*
 * Limits of this process, inherited by the nodes, that are too tight for a run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_LIMITS_H
#define DQ_LIMITS_H

/*
 * Ends the program with one line if so many nodes could not start and meet here. What the guest
 * itself needs beyond that is its own affair. SIGCHLD must not be ignored.
 */
void dq_limits_check(int nodes);

#endif
