/*
 * The hooks: every call that the patch series makes from QEMU into dqemu.
 *
 * All of them return at once and change nothing in a run of one node. "engaged" means: the
 * cluster shares this process's memory, since the first thread was placed elsewhere; on
 * slaves always.
 *
 * Functions are called by emulated threads (and proxies) unless said otherwise. uaccess.h has those of
 * lock_user() and unlock_user().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_HOOKS_H
#define DQEMU_HOOKS_H

#include <linux/capability.h>
#include "clock.h"
#include "exec.h"
#include "qemu/interval-tree.h"
#include "user/page-protection.h"

/* ------------------------------------------------------------------ start and end */

/*
 * main(), first thing: take our own arguments out of argv (--dqemu-control=FD) and read the
 * configuration. With several nodes: meet them, and choose reserved_va.
 */
void dq_main_args(int *argc, char **argv);

/*
 * main(), before the guest is loaded: on the master, where its mappings are going to lie; on a slave
 * this runs the node and does not return.
 */
void dq_main_slave(CPUArchState *env, const char *rtsig_map);

/* probe_guest_base(), at its end: on the master, where the program is going to lie. */
void dq_guest_base_chosen(void);

/* preexit_cleanup(): the guest ends, by any thread. Tell the nodes, report the counters. */
void dq_exit(void);

/* ------------------------------------------------------------------ threads */

/*
 * do_fork() of a thread, before any lock: choose its node (and engage the cluster if it is
 * the first elsewhere); returns what ts->dq of the new thread shall be.
 */
struct dq_thread *dq_clone_place(CPUArchState *env);
/* do_fork(): the host could not create the thread after all. */
void dq_clone_failed(struct dq_thread *t);
/* clone_func(), main(): in place of cpu_loop(): runs the thread here, or is its proxy. */
void dq_cpu_loop(CPUArchState *env);
void dq_main_loop(CPUArchState *env);

/*
 * Processors, in place of the host's calls; and when a file is opened that tells of them. With one
 * node, or all on one machine, they are the host's.
 */
int dq_getcpu(unsigned *cpu, unsigned *node);
int dq_sched_getaffinity(pid_t tid, unsigned length, unsigned long *mask);
int dq_sched_setaffinity(pid_t tid, unsigned length, const unsigned long *mask);
/* The guest opens this file, which QEMU takes from the host: a descriptor, -1 with errno; -2: go on. */
int dq_open_processors(const char *path);
/* QEMU has written what the guest shall find in this file. */
void dq_opened_info(const char *path, int fd);

/*
 * cpu_copy(), in place of cpu_create() and cpu_reset(); do_syscall() of exit, in place of
 * unparenting and unreferencing: with several nodes the object is kept and used again.
 */
CPUState *dq_cpu_create(const char *type);
void dq_cpu_free(CPUState *cpu);

/*
 * cpu_copy() of x86: true: the new CPU keeps its parent's descriptor table (arch.c), which is not
 * freed with either.
 */
bool dq_cpu_shares_tables(CPUState *parent);

/*
 * host_to_target_siginfo_noswap(): what the guest is to see of a signal that a timer of processor time, or
 * the limit, has sent: *info, perhaps in *ours. Returns its si_code. Async-signal-safe.
 */
int dq_timer_signal(const siginfo_t **info, siginfo_t *ours);

/* fork_start(), in the exclusive section and before the locks: gather all memory here. */
void dq_fork_start(void);
/* fork_end(), before either side writes to guest memory: in the child this process becomes a plain emulator. */
void dq_fork_end(bool child);

/* ------------------------------------------------------------------ split pages */

/*
 * host_sigsegv_handler(): an access to a page that is split, or on the way (split.c); or a write by
 * translated code that is gone (translate.c). True: it may be repeated. False: it is neither. Does not return if the access was made by
 * translated code or a helper of it (unwinds): the instruction is going to be executed again.
 */
bool dq_split_fault(CPUState *cpu, abi_ptr addr, bool is_write, uintptr_t pc, bool unwinds,
                    const sigset_t *mask);

/*
 * elf_core_dump(), before any lock: no page is split any more, so that the kernel can write all; and the
 * calling thread comes first. Also with one node.
 */
void dq_core_dump(void);
/*
 * wmr_write_region(): write memory of the guest's to a core file by `dump`, which is dump_write(). 0, or
 * -1 with errno. Under mmap_lock; waits for pages as any access does.
 */
int dq_dump_memory(int fd, abi_ulong start, size_t size,
                   int (*dump)(int fd, const void *from, size_t size));

/* ------------------------------------------------------------------ kernel pages */

/*
 * init_guest_commpage() of x86-64: true: the page, which has no memory and lies above the guest's,
 * is known with these flags.
 */
bool dq_page_beyond(vaddr page, int flags);

/*
 * cpu_loop() of Arm: the thread has called the kernel's page, and goes to the master if that is about
 * the master's memory. The helpers take these in place of mmap_lock, under which nobody may wait for
 * a page: with several nodes nothing keeps a program from unmapping a word that it is using, as
 * nothing ever does in system calls.
 */
void dq_kernel_trap(CPUArchState *env);
void dq_helper_lock(void);
void dq_helper_unlock(void);

/* ------------------------------------------------------------------ system calls */

/*
 * do_syscall(): true: done (elsewhere), *ret is the result. False: QEMU executes it here,
 * and dq_syscall_end() follows.
 */
bool dq_syscall_begin(CPUArchState *env, int num, const abi_long arg[8], abi_long *ret);
/*
 * `arg`: the first. Returns the call's result. Also with one node: a call without an implementation is
 * remembered.
 */
abi_long dq_syscall_end(CPUArchState *env, int num, abi_long arg, abi_long ret);

/* capget() and capset(), in place of the kernel's: without what is ours (root.h). */
int dq_capget(struct __user_cap_header_struct *header, struct __user_cap_data_struct *data);
int dq_capset(struct __user_cap_header_struct *header, struct __user_cap_data_struct *data);

/* mount(), where there is data: in place of the kernel's, whose result it has. */
int dq_mount(const char *source, const char *target, const char *type, unsigned long flags,
             abi_ulong data);

/* Of strace.c: the name of a system call, or NULL. */
const char *dq_syscall_name(int num);
/* print_syscall(): whose call it is: the thread's number, and with several nodes where it runs. */
void dq_strace_thread(FILE *f, const TaskState *ts);

/*
 * do_futex(): true: handled over all nodes, *ret is the result. False: the host's kernel
 * does it; then dq_futex_host_end() follows.
 */
bool dq_futex(CPUState *cpu, bool time64, abi_ulong uaddr, int op, int val, abi_ulong timeout,
              abi_ulong uaddr2, int val3, int *ret);
int dq_futex_host_end(int ret);
/* A thread's end: wake who joins it. True: done. */
bool dq_futex_wake_tid(abi_ulong uaddr);

/*
 * getdents() and its kin, after the host's call `num` on fd gave `length` bytes of entries in a
 * buffer of `count`: without our descriptors. The length then, or -1 with errno.
 */
long dq_hide_entries(int num, int fd, void *entries, size_t count, long length);

/*
 * open_self_maps_1(), in place of mmap_lock() and of walk_memory_regions(): what the host has mapped
 * is first made what the guest has.
 */
void dq_self_map_lock(void);
void dq_self_map_unlock(void);
void dq_self_map(void *opaque, walk_memory_regions_fn fn, IntervalTreeRoot *host_maps);

/* ------------------------------------------------------------------ signals */

/* process_pending_signals(), first thing: true: done (a thread of a slave). */
bool dq_signals(CPUArchState *env);
/*
 * handle_pending_signal(): true: the frame was taken down, to be built where the thread
 * runs (this is its proxy). False: build it here.
 */
bool dq_signal_frame(CPUArchState *env, int sig, struct target_sigaction *sa,
                     target_siginfo_t *info, target_sigset_t *set);

/* ------------------------------------------------------------------ memory map */

/*
 * target_mmap() and its kin, first thing, arguments already checked as far as QEMU's own
 * function does before it takes mmap_lock. Once engaged these do the whole call, on all
 * nodes, and return true with *ret as QEMU's function would return it (errno set likewise). Before,
 * they see to what is refused, locked, grows downwards, or grows in place.
 */
bool dq_mmap(abi_ulong start, abi_ulong len, int prot, int flags, int page_flags, int fd,
             off_t offset, abi_long *ret);
bool dq_munmap(abi_ulong start, abi_ulong len, int *ret);
bool dq_mprotect(abi_ulong start, abi_ulong len, int prot, int page_flags, int *ret);
bool dq_mremap(abi_ulong old_addr, abi_ulong old_size, abi_ulong new_size, unsigned long flags,
               abi_ulong new_addr, abi_long *ret);
bool dq_madvise(abi_ulong start, abi_ulong len, int advice, abi_long *ret);
/* mmap.c's own, made public: a mapping has replaced what System V memory was there. */
void shm_region_rm_complete(abi_ptr start, abi_ptr last);
/* After a successful target_shmat() or target_shmdt(). */
void dq_shm_attached(abi_ulong start, abi_ulong len);
void dq_shm_detached(abi_ulong start, abi_ulong len);

#endif
