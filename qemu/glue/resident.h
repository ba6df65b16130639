/*
 * What mincore() tells: see resident.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_RESIDENT_H
#define DQEMU_RESIDENT_H

/*
 * On the master, guest threads and proxies: mincore(). True: done, *ret is the result. Takes the turn of the map, and
 * waits for other nodes.
 */
bool dq_resident_call(int num, const abi_long arg[8], abi_long *ret);

#endif
