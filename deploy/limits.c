/*
 * Limits that are too tight for a run: told before anything is started, because within it they
 * show as connections that never come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/limits.h"

#include <sys/resource.h>

#include "deploy/say.h"

/*
 * What a node keeps open apart from its connections, in the upper half of its table (the lower
 * is the guest's): loop 3, pager 4, control channel, listener, file mappings, the kernel's lists
 * while it reads them, and a stranger or two at its door.
 */
#define NODE_FILES 16

void dq_limits_check(int nodes)
{
    const rlim_t least = 2 * (NODE_FILES + (rlim_t)nodes);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < least) {
        dq_say_die(DQ_STATUS_FAULT,
                   "the limit of open files, %d, is too low for %d nodes; raise it to %d or more "
                   "(ulimit -n), or use fewer nodes",
                   (int)limit.rlim_cur, nodes, (int)least);
    }
}
