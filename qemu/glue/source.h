/*
 * Where the pages of private file mappings come from.
 *
 * Under the pager a private mapping of a file is anonymous memory, whose pages get the file's
 * content when somebody touches them. The kernel's own mapping of the same lives on elsewhere in the
 * master's address space, never written to: the source, from which the content comes, also again after
 * MADV_DONTNEED. It needs no descriptor, and follows what the guest does to the range. The pager is told
 * where it is by dq_pager_reset_file().
 *
 * Master only, by the holder of the turn (in a forked child: of mmap_lock). Addresses and
 * lengths are whole pages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_SOURCE_H
#define DQEMU_SOURCE_H

/* Before the guest runs, by the master: opens what it needs of this process. */
void dq_source_prepare(void);

/*
 * Around a fork while memory is gathered, in parent and child. In the child, which may have no rights any
 * more to look at itself, pages that nobody had touched have the content of their sources then, by
 * mappings of the files. Costs by the stretches of such pages, not by their number.
 */
void dq_source_before_fork(void);
void dq_source_after_fork(bool child);

/* How much of a file mapping does not lie beyond the end of the file, in bytes. */
abi_ulong dq_source_in_file(const void *mapping, abi_ulong len);

/* `mapping` (the kernel's, readable, of `len` bytes) becomes the source of [start, start + len). */
void dq_source_add(abi_ulong start, abi_ulong len, void *mapping);

bool dq_source_any(void);
bool dq_source_within(abi_ulong start, abi_ulong len); /* has some of the range a source? */
/* The range is private memory of a file no more. */
void dq_source_forget(abi_ulong start, abi_ulong len);
/* The range has another address from now on. */
void dq_source_move(abi_ulong start, abi_ulong len, abi_ulong to);
/*
 * The range at `to`, which has no source, has the same sources as this one, by mappings of its own. False
 * with errno: as before; EINVAL if the kernel cannot map a file's mapping twice. Does not block.
 */
bool dq_source_copy(abi_ulong start, abi_ulong len, abi_ulong to);
/*
 * The mapping that ends before `end` grows: what the kernel has mapped beyond, somewhere; it
 * is the caller's. NULL if it is no mapping of a file, MAP_FAILED with errno if it cannot grow.
 */
void *dq_source_grow(abi_ulong end, abi_ulong more);

/*
 * The pages of the range are untouched on all nodes, and begin with what the source has there (with
 * zeroes if it is NULL). Engaged only. Blocks.
 */
void dq_source_reset(abi_ulong start, abi_ulong len, const void *source);

/* Call fn for each stretch of the range that has a source, or has none (NULL). */
void dq_source_each(abi_ulong start, abi_ulong len,
                    void (*fn)(abi_ulong start, abi_ulong len, const void *source, void *arg),
                    void *arg);

/* Copy from anywhere in this process. What cannot be read counts as zeroes. */
void dq_source_read(void *to, const void *from, abi_ulong len);

/*
 * In a forked child: the range has the content of its source again. Whoever reads it meanwhile sees what
 * was there before or what is there then.
 */
void dq_source_restore(abi_ulong start, abi_ulong len, const void *source);

/*
 * Read or write a part of one page of the guest's that is mapped and not split, whatever its
 * protection. False: the kernel has no such page (beyond the end of a file). Blocks.
 */
bool dq_source_access(abi_ulong addr, void *data, size_t len, bool write);

#endif
