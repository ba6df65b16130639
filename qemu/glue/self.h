/*
 * What the process sees of itself below /proc: the program's memory and descriptors, and nothing of
 * ours. The other hooks of self.c are in hooks.h.
 *
 * Master only; guest threads and proxies, without locks. In a run of one node, and in a forked
 * child, nothing differs from QEMU but the memory of other processes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_SELF_H
#define DQEMU_SELF_H

#include <sys/uio.h>

/* The path, which is below /proc of this process, from there ("maps", "fd/3"); else NULL. */
const char *dq_self_file(const char *path);

/* Whose it is if it is below the folder of a thread of this process: the kernel's number; else 0. */
int dq_self_thread(const char *path);

/* An open file with this content, for the guest; -1 with errno. */
int dq_self_text(const char *text);

/* Calls that name a descriptor of ours, by number or by path: *ret is what the guest gets. */
bool dq_self_refuses(int num, const abi_long arg[8], abi_long *ret);

/*
 * A file of this process is opened that QEMU takes from the host, and that tells other things than
 * it should. A descriptor, -1 with errno; -2: the host's is right.
 */
int dq_self_open(const char *path);

/* QEMU has written what the guest shall find in this file of the process. */
void dq_self_opened(const char *path, int fd);

/* ---------------------------------------------------------------- account.c; in forked children too */

/* Before the guest runs. control: the launcher's channel. */
void dq_account_start(int control);
/* Who the guest shall see as its parent: not the launcher where that has adopted it. */
pid_t dq_account_parent(pid_t parent);
/* A forked child has told nothing yet. */
void dq_account_in_child(void);
/* The most memory ever, of all nodes; no less than was ever told of this process. */
void dq_account_peak(long *peak_kib);
/* As dq_self_open(), of "status" and "statm"; and as dq_self_opened(), of "stat". */
int dq_account_open(const char *path, const char *file);
void dq_account_stat(int fd);

/* ---------------------------------------------------------------- /proc/PID/mem */

/* Of which process is it /proc/PID/mem? 0, at once, unless somebody has opened such a file; also of this
 * process where the kernel knows all of it. */
pid_t dq_self_memory_of(int fd);
/*
 * A read from that, or a write to it: into or from memory of ours. At *offset, or where the file
 * stands (NULL). *ret: as the call returns it. May wait for other nodes. False: the kernel knows all of
 * the process.
 */
bool dq_self_memory(int fd, pid_t pid, const struct iovec *ours, unsigned count,
                    const off_t *offset, bool reads, abi_long *ret);
/* The cluster is engaged: other processes find all of this one's memory, too. */
void dq_self_serve(void);

#endif
