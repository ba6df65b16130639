/*
 * What the process sees of itself below /proc: the program's memory and descriptors, and nothing of
 * ours. The other hooks of self.c are in hooks.h.
 *
 * Master only; guest threads and proxies, without locks. In a run of one node, and in a forked
 * child, nothing differs from QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_SELF_H
#define DQEMU_SELF_H

#include <sys/uio.h>

/* The path, which is below /proc of this process, from there ("maps", "fd/3"); else NULL. */
const char *dq_self_file(const char *path);

/* Calls that name a descriptor of ours, by number or by path: *ret is what the guest gets. */
bool dq_self_refuses(int num, const abi_long arg[8], abi_long *ret);

/*
 * A file of this process is opened that QEMU takes from the host, and that tells other things than
 * it should. A descriptor, -1 with errno; -2: the host's is right.
 */
int dq_self_open(const char *path);

/* Is it /proc/self/mem? False, at once, unless somebody has opened that file. */
bool dq_self_is_memory(int fd);
/*
 * A read from that, or a write to it: into or from memory of ours. At *offset, or where the file
 * stands (NULL). As the call returns it. May wait for other nodes.
 */
abi_long dq_self_memory(int fd, const struct iovec *ours, unsigned count, const off_t *offset,
                        bool reads);

#endif
