/*
 * System calls that have no implementation here: counted, and told by name when the node ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"

/* Numbers are below this on all instruction sets, but for a few of Arm's own. */
#define NUMBERS 1024

static unsigned counts[NUMBERS + 1]; /* atomic; the last: all numbers beyond */

void dq_missing_count(int num)
{
    const bool listed = num >= 0 && num < NUMBERS;

    qatomic_inc(&counts[listed ? num : NUMBERS]);
    dq_stat_add(syscalls_missing, 1);
}

static void tell(int num, unsigned times)
{
    const char *name = num < NUMBERS ? dq_syscall_name(num) : "beyond all numbers";
    g_autofree char *number = g_strdup_printf("number %d", num);

    dq_control_log("the system call %s is missing in QEMU: answered with ENOSYS %u time%s",
                   name ? name : number, times, times == 1 ? "" : "s");
}

void dq_missing_tell(void)
{
    for (int num = 0; num <= NUMBERS; num++) {
        const unsigned times = qatomic_read(&counts[num]) ? qatomic_xchg(&counts[num], 0) : 0;

        if (times) {
            tell(num, times);
        }
    }
}
