/*
 * Limits of this process that the nodes inherit and that are too tight for a run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_LIMITS_H
#define DQ_LIMITS_H

/* Ends the program with one line if so many nodes could not even meet. */
void dq_limits_check(int nodes);

#endif
