/*
 * The guest's addresses beyond the first 64 TiB.
 *
 * With several nodes a 64-bit guest has the low range of addresses, up to DQ_GUEST_SPACE, and as far as it needs
 * them the upper ones: from 80 to 81 TiB, from 85 to 85.3 and from 87 to 126.5. What lies between, and above, is
 * the emulator's own: from DQ_GUEST_SPACE on the table of split lines (dqemu/split.h); what it maps
 * for itself that is large; at two thirds of the 47 bits that there are the program, where the kernel puts it;
 * its libraries and mappings at their end. All nodes must keep the same addresses free for the guest.
 *
 * The ranges suit those who put their heaps at places of their own choice, runtimes and sanitizers. On x86-64
 * the guest's program, stack and mappings lie in the second from the start: there is no other place that
 * neither AddressSanitizer, MemorySanitizer nor ThreadSanitizer wants for its shadows, or refuses (compiler-rt:
 * asan_mapping.h, msan.h, tsan_platform.h).
 *
 * Each node reserves the upper ranges when it starts, if nothing of its own is there (a kernel that spreads
 * programs wider than usual, vm.mmap_rnd_bits, or `ulimit -v` can forbid it). Where one node could not,
 * no node uses them, and the guest is served as under an emulator whose high addresses are taken. Otherwise
 * the guest gets a range when it first asks for an address in it; then what lies below looks mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_WIDE_H
#define DQEMU_WIDE_H

#define DQ_GUEST_SPACE (TARGET_LONG_BITS == 32 ? 1ull << 32 : 1ull << 46)

/* Reserve the upper ranges, before the node has threads. False: they cannot be had. */
bool dq_wide_reserve(void);

/* What all nodes together have found out. Before the guest's addresses are chosen. */
void dq_wide_agree(bool all);

/*
 * On a slave, with the guest's addresses reserved: those of the upper ranges are the guest's from now on, if
 * the nodes have agreed and guest addresses are the host's. Exits if the pager cannot have them.
 */
void dq_wide_open_slave(void);

/* The addresses for which there must be a table: the guest can never have more. */
uint64_t dq_wide_limit(void);

/* Is the host's mapping at this guest address the emulator's own, between the ranges? */
bool dq_wide_is_between(uint64_t addr);

/* The guest cannot map [start, DQ_GUEST_SPACE) any more; nothing is mapped there. With mmap_lock. */
void dq_wide_end_low(abi_ulong start);

/* Bytes that the emulator has reserved for the upper ranges. */
uint64_t dq_wide_bytes(void);

/*
 * Master, or a forked child, before a call about the map (dq_map_call()), with the turn if there is one:
 * gives the guest the upper range in which the call asks for an address. True: the call touches
 * what lies between the ranges, and *ret is its result. May block, if the cluster is engaged.
 */
bool dq_wide_call(int num, const abi_long arg[8], abi_long *ret);

#endif
