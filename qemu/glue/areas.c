/*
 * The reserve: pages whose protections alternate, so that each is an area.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/atomic.h"
#include "areas.h"

#define RESERVE ((size_t)512) /* areas: each join needs two at most, and they are rarely needed */

static char *reserve; /* taken and given by exchange */

static size_t reserve_bytes(void)
{
    return RESERVE * qemu_real_host_page_size();
}

static char *make_reserve(void)
{
    size_t page = qemu_real_host_page_size();
    char *p =
        mmap(NULL, reserve_bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    for (size_t i = 0; i < RESERVE; i += 2) {
        if (mprotect(p + i * page, page, PROT_READ)) {
            munmap(p, reserve_bytes());
            return NULL;
        }
    }
    return p;
}

/* Ours is superfluous if somebody else has put one there. */
void dq_areas_keep(void)
{
    char *p = qatomic_read(&reserve) ? NULL : make_reserve();

    if (p && qatomic_cmpxchg(&reserve, NULL, p)) {
        munmap(p, reserve_bytes());
    }
}

static bool give_reserve(void)
{
    char *p = qatomic_xchg(&reserve, NULL);

    if (p) {
        munmap(p, reserve_bytes());
    }
    return p;
}

void dq_areas_protect(void *host, size_t len, int prot)
{
    while (mprotect(host, len, prot)) {
        if (errno != ENOMEM || !give_reserve()) {
            dq_control_error(125,
                             "node %d cannot protect guest memory: %s; raise vm.max_map_count, or "
                             "set -o split.pages to less",
                             dq_config.node, strerror(errno));
            _exit(125);
        }
    }
}
