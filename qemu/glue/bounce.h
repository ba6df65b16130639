/*
 * System calls on copies of the guest's memory: see bounce.c, and uaccess.h for the calls of QEMU's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_GLUE_BOUNCE_H
#define DQEMU_GLUE_BOUNCE_H

/* Once the pager has been admitted, before the guest runs. */
void dq_bounce_open(void);
/* In a forked child: its memory is the kernel's alone. */
void dq_bounce_in_child(void);

/*
 * QEMU executes the system call `num` from here on; until dq_bounce_end() its locked memory is
 * copied where that is needed. A call may make another one.
 */
void dq_bounce_begin(int num);
/*
 * Gives back what the call has left locked. False: memory that it has written was unmapped or protected
 * meanwhile, where the kernel would have said EFAULT. Harmless without a begin.
 */
bool dq_bounce_end(void);

/*
 * From the guest's memory (pinned) into ours, or out. Waits for pages, many at a time. False: the guest's
 * has gone meanwhile.
 */
bool dq_bounce_copy(abi_ulong guest, uint8_t *ours, size_t length, bool out);

#endif
