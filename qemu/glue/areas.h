/*
 * Areas of the host's memory map, of which the kernel allows a process so many (vm.max_map_count).
 *
 * At the master's limit the guest gets ENOMEM and goes on. What must not fail then (giving back an access that
 * was taken for a moment, joining a split page) has areas in reserve, which the guest cannot use up. On the
 * other nodes, too: one that comes to its limit first leaves memory to the master (map.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_AREAS_H
#define DQEMU_AREAS_H

/* There is a reserve again, if there is room for it. On the master by the holder of the turn, elsewhere by the worker. */
void dq_areas_keep(void);

/* mprotect() that does not fail for want of areas; else it ends the run. Any thread, never blocks. */
void dq_areas_protect(void *host, size_t len, int prot);

#endif
