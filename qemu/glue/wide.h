/*
 * The guest's addresses beyond the first 64 TiB.
 *
 * With several nodes a 64-bit guest has two ranges of addresses: up to DQ_GUEST_SPACE, where everything
 * lies that it does not ask for by address; and the wide one, up to 126 TiB, for sanitizers and runtimes
 * that put their heaps at places of their own choice. Between them, and above, is the emulator's own: the
 * kernel puts a program in the middle of the 47 bits that there are, its libraries and mappings at
 * their end, and all nodes must keep the same addresses free for the guest.
 *
 * Each node reserves the wide range when it starts, if nothing of its own is there (a kernel that spreads
 * programs wider than usual, vm.mmap_rnd_bits, or `ulimit -v` can forbid it). Where one node could not,
 * no node uses it, and the guest is served as under an emulator whose high addresses are taken. The guest
 * gets the range when it first asks for an address in it; then what lies between looks mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_WIDE_H
#define DQEMU_WIDE_H

#define DQ_GUEST_SPACE (TARGET_LONG_BITS == 32 ? 1ull << 32 : 1ull << 46)
#define DQ_WIDE_START 0x570000000000ull
#define DQ_WIDE_END 0x7e0000000000ull

/* Reserve the wide range, before the node has threads. False: it cannot be had. */
bool dq_wide_reserve(void);

/* What all nodes together have found out. Before the guest's addresses are chosen. */
void dq_wide_agree(bool all);

/*
 * On a slave, with the guest's addresses reserved: those of the wide range are the guest's from now on, if
 * the nodes have agreed and guest addresses are the host's. Exits if the pager cannot have it.
 */
void dq_wide_open_slave(void);

/* The addresses for which there must be a table: the guest can never have more. */
uint64_t dq_wide_limit(void);

/* Is the host's mapping at this guest address the emulator's own, between the ranges? */
bool dq_wide_is_between(uint64_t addr);

/* The guest cannot map [start, DQ_GUEST_SPACE) any more; nothing is mapped there. With mmap_lock. */
void dq_wide_end_low(abi_ulong start);

/* Bytes that the emulator has reserved for the range. */
uint64_t dq_wide_bytes(void);

/*
 * Master, or a forked child, before a call about the map (dq_map_call()), with the turn if there is one:
 * gives the guest the wide range if the call asks for an address there. True: the call touches
 * what lies between the ranges, and *ret is its result. May block, if the cluster is engaged.
 */
bool dq_wide_call(int num, const abi_long arg[8], abi_long *ret);

#endif
