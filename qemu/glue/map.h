/*
 * What the files of the memory map share: map.c (mapping, unmapping, protection), remap.c
 * (mremap), advice.c, mlock.c. Master only, by the holder of the turn; addresses and lengths are whole pages
 * of the guest's, and ranges lie within what it can map.
 *
 * The functions that change a range return false, or -1, with errno, and then have changed nothing
 * unless they say otherwise. They block, and need that mmap_lock is not held, unless they say
 * otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_MAP_H
#define DQEMU_MAP_H

/* Is nothing mapped there? (Others may split the tree's nodes for translated code.) */
bool dq_map_is_empty(abi_ulong start, abi_ulong len);

/* Does `holds` say so of the page flags of every stretch of the range? Takes mmap_lock; does not block. */
bool dq_map_every(abi_ulong start, abi_ulong len, bool (*holds)(void *arg, int page_flags),
                  void *arg);

/*
 * Call fn for each stretch of the range that is foreign, or is not. mmap_lock may be held, and is
 * not taken around fn, which may change the range.
 */
void dq_map_each_kind(abi_ulong start, abi_ulong len,
                      void (*fn)(abi_ulong start, abi_ulong len, bool foreign, void *arg),
                      void *arg);

/* What is split in the range is joined, and nothing is split until the call ends. */
void dq_map_exclude(abi_ulong start, abi_ulong len);

/*
 * mprotect() on this node's host. Fails if the kernel has no room for more areas, and has joined all
 * split pages by then, as each costs areas.
 */
bool dq_map_protect_host(abi_ulong start, abi_ulong len, int host_prot);

/* No node maps the range any more, and its pages are untouched. */
bool dq_map_forget(abi_ulong start, abi_ulong len);

/* What the host maps for these page flags of QEMU's. */
int dq_map_prot_of_flags(int page_flags);

/* The host protects the range as the guest's map says, and does not fail. Does not block. */
void dq_map_restore_host(abi_ulong start, abi_ulong len);

/*
 * The range, of which the host has taken the mapping away, is reserved memory again. With mmap_lock;
 * does not block. The others have to be told.
 */
void dq_map_reserve(abi_ulong start, abi_ulong len);

/* Not engaged: QEMU's own function is about to unmap the range, or to map over it. Does not block. */
void dq_map_forget_unengaged(abi_ulong start, abi_ulong len);

/* The range, where nothing is mapped, is private memory of all nodes with these flags. */
bool dq_map_allow(abi_ulong start, abi_ulong len, int prot, int page_flags);

/*
 * The kernel's mapping somewhere in this process becomes the guest's range: as it is, and usable by
 * threads of the master; or as the source of private memory. Their result is `start`. If they fail,
 * the mapping is gone.
 */
abi_long dq_map_foreign(abi_ulong start, abi_ulong len, void *mapping, int page_flags);
abi_long dq_map_file(abi_ulong start, abi_ulong len, char *mapping, int prot, int page_flags);

/* Where a new mapping goes by these flags of mmap(); -1 with errno. */
abi_ulong dq_map_choose(abi_ulong start, abi_ulong len, int flags);

/* What the host's protection must be for the guest's; the guest's, and the flags for a like mapping. */
int dq_map_host_prot(int prot);
int dq_map_guest_prot(int page_flags);
int dq_map_like(int page_flags);

/* ---- advice.c ---- */

/*
 * Nothing that was said of the range holds any more; for the kernel, with engaged memory, and here. With or
 * without mmap_lock. Do not block.
 */
void dq_advice_clear_host(abi_ulong start, abi_ulong len);
void dq_advice_forget(abi_ulong start, abi_ulong len);
/* What the kernel has to know of the range it knows of `to`, too: engaged memory, not in use yet. */
bool dq_advice_apply(abi_ulong start, abi_ulong len, abi_ulong to);
/* The range is at `to` now, and has left nothing, or (`keep`) stays mapped where it was, too. */
void dq_advice_move(abi_ulong start, abi_ulong len, abi_ulong to, bool keep);
/* What holds before `end` holds for `more` behind it. Without locking, which blocks. */
bool dq_advice_grow(abi_ulong end, abi_ulong more);

/* ---- mlock.c ---- */

/*
 * May the guest map so much more, where new memory is to be locked? If so: is it? MAP_LOCKED asks
 * for it as well. 0 or the error for errno.
 */
int dq_mlock_new(abi_ulong len, bool ask, bool *locked);
/* May what is mapped at `start` grow by so much? 0 or the error for errno. */
int dq_mlock_grow(abi_ulong start, abi_ulong more);
/* The range has just been mapped, and is locked. */
void dq_mlock_add(abi_ulong start, abi_ulong len);
/* The range is locked no more; it has another address. Do not block. */
void dq_mlock_forget(abi_ulong start, abi_ulong len);
void dq_mlock_move(abi_ulong start, abi_ulong len, abi_ulong to);
/* Is some of it locked? Does not block. */
bool dq_mlock_any(abi_ulong start, abi_ulong len);

#endif
