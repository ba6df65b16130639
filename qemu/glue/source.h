/*
 * Where the pages of private file mappings come from.
 *
 * Under the pager a private mapping of a file is anonymous memory with the file's content.
 * The kernel's own mapping of the same lives on elsewhere in the master's address space,
 * never written to: the source, from which the content comes, also again after MADV_DONTNEED.
 * It needs no descriptor, and follows what the guest does to the range. Holes of sparse files
 * are no source: their pages are zero like any untouched memory. Their part of the kernel's mapping
 * tells only whose they are.
 *
 * Master only, by the holder of the turn (in a forked child: of mmap_lock). Addresses and
 * lengths are whole pages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_SOURCE_H
#define DQEMU_SOURCE_H

/* A part of a file mapping that may hold something else than zeroes. */
struct dq_extent {
    abi_ulong start, length; /* from the beginning of the mapping */
};

/* Before the guest runs, by the master: opens what it needs of this process. */
void dq_source_prepare(void);

/* In a forked child, before it runs: the same for its own memory, if it is needed. */
void dq_source_in_child(void);

/*
 * The extents of the first `len` bytes of a mapping of fd from offset on; the position of fd
 * changes. One extent for all if fd is -1 or its file cannot tell. The last page is always in
 * one. To be freed by the caller.
 */
GArray *dq_source_extents(int fd, off_t offset, abi_ulong len);

/*
 * The file that is open as fd, with a position of its own, if it is worth asking for its
 * extents; else -1. To be closed by the caller.
 */
int dq_source_reopen(int fd, abi_ulong len);

/* How much of a file mapping does not lie beyond the end of the file, in bytes. */
abi_ulong dq_source_in_file(const void *mapping, abi_ulong len);

/*
 * `mapping` (the kernel's, readable, of `len` bytes) becomes the source of [start, start +
 * len), as far as extents go.
 */
void dq_source_add(abi_ulong start, abi_ulong len, void *mapping, const GArray *extents);

bool dq_source_any(void);
bool dq_source_within(abi_ulong start, abi_ulong len); /* has some of the range a source? */
/* The range is private memory of a file no more. */
void dq_source_forget(abi_ulong start, abi_ulong len);
/* The range has another address from now on. */
void dq_source_move(abi_ulong start, abi_ulong len, abi_ulong to);
/*
 * The mapping that ends before `end` grows: what the kernel has mapped beyond, somewhere; it
 * is the caller's. NULL if it is no mapping of a file, MAP_FAILED with errno if it cannot grow.
 */
void *dq_source_grow(abi_ulong end, abi_ulong more);

/* Call fn for each stretch of the range that has a source, or has none (NULL). */
void dq_source_each(abi_ulong start, abi_ulong len,
                    void (*fn)(abi_ulong start, abi_ulong len, const void *source));

/* Likewise for each stretch that is of a file, holes too: where the kernel's mapping of it is. */
void dq_source_each_file(abi_ulong start, abi_ulong len,
                         void (*fn)(void *arg, abi_ulong start, abi_ulong len, const void *mapping),
                         void *arg);

/*
 * Copy all that is not zero, from anywhere in this process to host memory. Pages of zeroes
 * stay untouched, and so do those that cannot be read.
 */
void dq_source_copy(void *to, const void *from, abi_ulong len);

/*
 * The range has the content of its source again; zeroes where the file has become shorter.
 * Whoever reads it meanwhile sees what was there before or what is there then. Blocks.
 */
void dq_source_restore(abi_ulong start, abi_ulong len, const void *source);

/*
 * Read or write a part of one page of the guest's that is mapped and not split, whatever its
 * protection. False: the kernel has no such page (beyond the end of a file). Blocks.
 */
bool dq_source_access(abi_ulong addr, void *data, size_t len, bool write);

#endif
