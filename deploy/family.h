/*
 * The processes that come of a run: the nodes, what a --wrap put between, and what the guest
 * forked, however often and into whatever session or group. When a run fails they all end; after
 * an orderly end those of the guest live on, as they would have under the plain emulator.
 *
 * One thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_FAMILY_H
#define DQ_FAMILY_H

/*
 * From now on whoever loses its parent becomes this process's child, so that nobody can leave
 * the family. Children that this process has already (its program was started by exec) do not
 * belong to it. Before any node is started; without this call there is no family.
 */
void dq_family_open(void);

/* SIGKILL to all of them. How many were alive; 0: nobody is left. */
int dq_family_kill(void);

#endif
