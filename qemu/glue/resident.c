/*
 * mincore() over all nodes: what somebody has touched is there, wherever it is.
 *
 * Of a file that is mapped privately there is also what the kernel has in its cache, as without nodes: the
 * kernel's own mapping is asked (source.h). Of what only the master has, the kernel knows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/mman.h>
#include "user/page-protection.h"
#include "master/map.h"
#include "resident.h"
#include "source.h"
#include "split.h"

/* The pages that are being asked for: a byte each. */
struct pages {
    abi_ulong start;
    unsigned char *there;
};

static void add_file(abi_ulong start, abi_ulong len, const void *mapping, void *arg)
{
    const struct pages *p = arg;
    size_t count = len >> DQ_PAGE_BITS;
    g_autofree unsigned char *cached = mapping ? g_malloc0(count) : NULL;

    if (cached && mincore((void *)mapping, len, cached) == 0) {
        for (size_t i = 0; i < count; i++) {
            p->there[((start - p->start) >> DQ_PAGE_BITS) + i] |= cached[i] & 1;
        }
    }
}

/* At most as many as one question may be about. With the turn, none of them split. */
static void look(abi_ulong start, size_t count, unsigned char *there)
{
    uint64_t touched[DQ_RESIDENT_PAGES / 64];
    struct pages p = {start, there};

    dq_pager_resident(start >> DQ_PAGE_BITS, count, touched);
    for (size_t i = 0; i < count; i++) {
        abi_ulong page = start + i * DQ_PAGE_SIZE;

        there[i] = touched[i / 64] >> i % 64 & 1;
        if (page_get_flags(page) & DQ_PAGE_FOREIGN) {
            mincore(g2h_untagged(page), DQ_PAGE_SIZE, &there[i]);
        }
    }
    dq_source_each(start, count << DQ_PAGE_BITS, add_file, &p);
}

/* With the turn. */
static void look_everywhere(abi_ulong start, size_t count, unsigned char *there)
{
    dq_split_exclude(start >> DQ_PAGE_BITS, count);
    for (size_t done = 0; done < count; done += DQ_RESIDENT_PAGES) {
        look(start + (done << DQ_PAGE_BITS), MIN(count - done, DQ_RESIDENT_PAGES), there + done);
    }
    dq_split_include();
}

static abi_long call(abi_ulong start, abi_ulong len, abi_ulong to)
{
    size_t count = len >> DQ_PAGE_BITS;
    g_autofree unsigned char *there = g_try_malloc0(count);
    bool told;

    if (!there) {
        return -TARGET_EAGAIN;
    }
    dq_map_begin();
    if (!page_check_range(start, len, PAGE_VALID)) {
        dq_map_end();
        return -TARGET_ENOMEM;
    }
    if (dq_engaged) {
        look_everywhere(start, count, there);
    } else {
        mincore(g2h_untagged(start), len, there);
    }
    dq_map_end();

    if (!access_ok(thread_cpu, VERIFY_WRITE, to, count)) {
        return -TARGET_EFAULT;
    }
    dq_split_pin(cpu_untagged_addr(thread_cpu, to), count);
    told = dq_guest_copy(g2h(thread_cpu, to), there, count);
    dq_split_unpin();
    return told ? 0 : -TARGET_EFAULT;
}

bool dq_resident_call(int num, const abi_long arg[8], abi_long *ret)
{
#ifdef TARGET_NR_mincore
    abi_ulong start = arg[0], len = TARGET_PAGE_ALIGN((abi_ulong)arg[1]);

    if (num == TARGET_NR_mincore && !(start & ~TARGET_PAGE_MASK) && len &&
        guest_range_valid_untagged(start, len)) {
        *ret = call(start, len, arg[2]);
        return true;
    }
#endif
    return false; /* what is wrong with it, or nothing to do, QEMU says */
}
