/*
 * mremap() over all nodes.
 *
 * Private memory that moves is copied on the master, the pages that somebody has touched alone (those
 * of a file that nobody has touched get its content at their new place, and at the old one with
 * MREMAP_DONTUNMAP); the kernel moves its own mappings. What grows in place does so in the reserved range,
 * also before the cluster is engaged, where the host's kernel sees no room: there QEMU's own function does
 * the rest. In the child of a fork it would not know what was a file's: that is done here, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/cutils.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/translate.h"
#include "user-mmap.h"
#include "target_mman.h"
#include "dqemu/uffd.h"
#include "master/map.h"
#include "areas.h"
#include "map.h"
#include "source.h"

#ifndef MREMAP_DONTUNMAP /* Linux 5.7 */
#define MREMAP_DONTUNMAP 4
#endif

struct remap {
    abi_ulong from, old_size, new_size, to;
    unsigned long flags;
};

/* ---------------------------------------------------------------- may it be? */

/*
 * The flags by which areas of the guest's differ, whatever translations make of them, and whether
 * they lie beyond the end of their file.
 */
static int area_flags(int page_flags)
{
    return page_flags & ~(PAGE_WRITE | PAGE_WRITE_INV | DQ_PAGE_FOREIGN);
}

static bool is_valid(void *arg, int page_flags)
{
    return page_flags & PAGE_VALID;
}

static bool is_alike(void *first, int page_flags)
{
    return area_flags(page_flags) == *(int *)first;
}

/* Is all of it mapped; if `alike`, in the same way? */
static bool is_mapped(abi_ulong start, abi_ulong len, bool alike)
{
    int first = area_flags(page_get_flags(start));

    return alike ? first & PAGE_VALID && dq_map_every(start, len, is_alike, &first)
                 : dq_map_every(start, len, is_valid, NULL);
}

static bool overlap(abi_ulong a, abi_ulong a_len, abi_ulong b, abi_ulong b_len)
{
    return a < (uint64_t)b + b_len && b < (uint64_t)a + a_len;
}

/* The kernel's errors, in its order: 0 or one for errno. */
static int check_request(const struct remap *r)
{
    const unsigned long known = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    bool moves = r->flags & MREMAP_MAYMOVE, fixed = r->flags & MREMAP_FIXED;

    if (r->flags & ~known || (!moves && r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) ||
        (r->flags & MREMAP_DONTUNMAP && r->old_size != r->new_size) ||
        r->from & ~TARGET_PAGE_MASK || !TARGET_PAGE_ALIGN(r->new_size) ||
        (!r->old_size && !moves)) {
        return EINVAL;
    }
    if (fixed && (!guest_range_valid_untagged(r->to, TARGET_PAGE_ALIGN(r->new_size)) ||
                  r->to & ~TARGET_PAGE_MASK)) {
        return EINVAL;
    }
    return !moves && !guest_range_valid_untagged(r->from, TARGET_PAGE_ALIGN(r->new_size)) ? EINVAL
                                                                                          : 0;
}

/* Likewise, of what is mapped. Sizes are whole pages. */
static int check_mapped(const struct remap *r)
{
    abi_ulong size = r->old_size ? r->old_size : TARGET_PAGE_SIZE;
    bool stays = !(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP));
    bool shrinks = stays && r->old_size && r->new_size <= r->old_size;

    if (!guest_range_valid_untagged(r->from, size) ||
        !is_mapped(r->from, TARGET_PAGE_SIZE, false)) {
        return EFAULT;
    }
    if (r->flags & MREMAP_FIXED && overlap(r->from, r->old_size, r->to, r->new_size)) {
        return EINVAL;
    }
    /* what only moves, or is cut off, may be of several kinds */
    return shrinks || is_mapped(r->from, size, r->old_size != r->new_size) ? 0 : EFAULT;
}

/* ---------------------------------------------------------------- not engaged */

/* The kernel's mapping of a file grows into what is reserved behind it. With mmap_lock. */
static bool grow_over_reserved(abi_ulong start, abi_ulong old_size, abi_ulong more)
{
    void *host = g2h_untagged(start), *tail = g2h_untagged(start + old_size);
    int err;

    if (munmap(tail, more)) {
        return false;
    }
    if (mremap(host, old_size, old_size + more, 0) == host) {
        return true;
    }
    err = errno;
    if (mmap(tail, more, PROT_NONE, MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1,
             0) != tail) {
        dq_control_error(125, "cannot reserve guest memory again: %s", strerror(errno));
        _exit(125);
    }
    errno = err;
    return false;
}

/* A second mapping of shared memory, of the new size, replaces the first. 1: it is not shared. */
static int replace_shared(abi_ulong start, abi_ulong new_size)
{
    void *host = g2h_untagged(start), *twin = mremap(host, 0, new_size, MREMAP_MAYMOVE);
    int err;

    if (twin == MAP_FAILED) {
        return errno == EINVAL ? 1 : -1;
    }
    if (mremap(twin, new_size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED, host) == host) {
        return 0;
    }
    err = errno;
    munmap(twin, new_size);
    errno = err;
    return -1;
}

/* With mmap_lock. */
static bool grow_host(abi_ulong start, abi_ulong old_size, abi_ulong more, int flags)
{
    int shared = replace_shared(start, old_size + more);

    if (shared <= 0) {
        return shared == 0;
    }
    if (flags & PAGE_ANON) { /* the kernel may have several mappings of it: the last one grows */
        start += old_size - TARGET_PAGE_SIZE;
        old_size = TARGET_PAGE_SIZE;
    }
    return grow_over_reserved(start, old_size, more);
}

/* The flags of the same kind of mapping, where nothing was mapped. */
static int new_flags(int page_flags)
{
    return dq_map_like(page_flags) | PAGE_RESET | (page_flags & (PAGE_ANON | PAGE_PASSTHROUGH));
}

static abi_long grow_unengaged(const struct remap *r)
{
    abi_ulong tail = r->from + r->old_size, more = r->new_size - r->old_size;
    bool done = false;
    int flags;

    mmap_lock();
    if (!page_check_range_empty(tail, tail + more - 1)) {
        errno = ENOMEM;
    } else {
        flags = page_get_flags(tail - 1);
        done = grow_host(r->from, r->old_size, more, flags);
        if (done) {
            page_set_flags(tail, tail + more - 1, new_flags(flags));
            dq_advice_grow(tail, more);
        }
    }
    mmap_unlock();
    return done ? (abi_long)r->from : -1;
}

static abi_long move_and_keep(const struct remap *r)
{
    abi_ulong to = r->flags & MREMAP_FIXED ? r->to : dq_map_choose(0, r->new_size, 0);
    void *host;

    if (to == (abi_ulong)-1) {
        return -1;
    }
    mmap_lock();
    host = mremap(g2h_untagged(r->from), r->old_size, r->new_size, r->flags | MREMAP_FIXED,
                  g2h_untagged(to));
    if (host != MAP_FAILED) {
        page_set_flags(to, to + r->new_size - 1, new_flags(page_get_flags(r->from)));
        shm_region_rm_complete(to, to + r->new_size - 1);
    }
    mmap_unlock();
    if (host == MAP_FAILED) {
        return -1;
    }
    dq_map_forget_unengaged(to, r->new_size);
    dq_advice_move(r->from, r->old_size, to, true);
    return to;
}

/* The kernel's mapping has moved, and perhaps grown, and kept what was said of it. */
static void advice_follows(const struct remap *r, abi_ulong to)
{
    abi_ulong size = MIN(r->old_size, r->new_size);

    if (r->old_size > size) {
        dq_advice_forget(r->from + size, r->old_size - size);
    }
    if (to != r->from) {
        dq_map_forget_unengaged(to, r->new_size);
        dq_advice_move(r->from, size, to, false);
    }
    if (r->new_size > size) {
        dq_advice_grow(to + size, r->new_size - size);
    }
}

/* QEMU's function comes here again, and then passes. */
static bool remap_by_qemu(const struct remap *r, abi_long *ret)
{
    static __thread bool again;

    if (again || !r->old_size) {
        return false;
    }
    again = true;
    *ret = target_mremap(r->from, r->old_size, r->new_size, r->flags, r->to);
    again = false;
    if (*ret != -1) {
        advice_follows(r, *ret);
    }
    return true;
}

/* Where the foreign stretch begins that ends the range. With mmap_lock. */
static abi_ulong foreign_end(abi_ulong start, abi_ulong len)
{
    abi_ulong last = start + len - 1, to = last, begin = start;
    bool before = false, foreign;

    for (abi_ulong from = start;; from = to + 1, to = last) {
        foreign = page_stretch(from, &to) & DQ_PAGE_FOREIGN;
        begin = foreign && !before ? from : begin;
        before = foreign;
        if (to == last) {
            return begin;
        }
    }
}

/* ---------------------------------------------------------------- in the child of a fork */

/*
 * What is one mapping of a file for the guest is several of the kernel's here: anonymous memory where it was
 * touched. It moves in as many pieces as the kernel asks for. Where it was is reserved then. With mmap_lock.
 */
static bool move_pieces(char *from, size_t len, char *to)
{
    size_t half = ROUND_UP(len / 2, DQ_PAGE_SIZE);

    if (mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to) {
        return mmap(from, len, PROT_NONE, MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE,
                    -1, 0) == from;
    }
    return errno == EFAULT && half < len && move_pieces(from, half, to) &&
           move_pieces(from + half, len - half, to + half);
}

/* With mmap_lock. */
static void copy_flags(abi_ulong from, abi_ulong len, abi_ulong to)
{
    abi_ulong last = from + len - 1, end = last;

    for (abi_ulong at = from;; at = end + 1, end = last) {
        int flags = page_stretch(at, &end);

        page_set_flags(at - from + to, end - from + to, new_flags(flags));
        if (end == last) {
            return;
        }
    }
}

static void show_source(abi_ulong start, abi_ulong len, const void *source, void *arg)
{
    if (source) {
        dq_source_restore(start, len, source);
    } else {
        dq_map_restore_host(start, len);
    }
}

/* Nothing is mapped at `to`. With mmap_lock. */
static bool move_files(abi_ulong from, abi_ulong len, abi_ulong to, bool keep)
{
    if (keep && !dq_source_copy(from, len, to)) {
        return false;
    }
    if (!move_pieces(g2h_untagged(from), len, g2h_untagged(to))) {
        return false;
    }
    copy_flags(from, len, to);
    dq_advice_move(from, len, to, keep);
    if (keep) {
        dq_source_each(from, len, show_source, NULL);
    } else {
        dq_source_move(from, len, to);
        page_set_flags(from, from + len - 1, 0);
    }
    return true;
}

/* The end may lie beyond the end of the file. With mmap_lock. */
static bool grow_files(abi_ulong start, abi_ulong size, abi_ulong more)
{
    abi_ulong tail = start + size, begin;
    int flags = page_get_flags(tail - 1);
    void *mapping = dq_source_grow(tail, more);

    if (!mapping) {
        begin = foreign_end(start, size);
        if (!grow_over_reserved(begin, tail - begin, more)) {
            return false;
        }
    } else if (mapping == MAP_FAILED) {
        return false;
    }
    page_set_flags(tail, tail + more - 1, new_flags(flags));
    if (mapping) {
        dq_source_add(tail, more, mapping);
        dq_source_restore(tail, more, mapping);
    }
    return true;
}

/* Sizes differ, or it has to move. */
static abi_long remap_files_to(const struct remap *r, abi_ulong to)
{
    abi_ulong size = MIN(r->old_size, r->new_size);
    bool done;

    if (r->old_size > size && target_munmap(r->from + size, r->old_size - size)) {
        return -1;
    }
    if (r->flags & MREMAP_FIXED && target_munmap(to, r->new_size)) {
        return -1;
    }
    mmap_lock();
    done = (to == r->from || move_files(r->from, size, to, r->flags & MREMAP_DONTUNMAP)) &&
           (r->new_size == size || grow_files(to, size, r->new_size - size));
    mmap_unlock();
    return done ? (abi_long)to : -1;
}

static bool has_room(const struct remap *r)
{
    return guest_range_valid_untagged(r->from, r->new_size) &&
           dq_map_is_empty(r->from + r->old_size, r->new_size - r->old_size);
}

static abi_long remap_files(const struct remap *r)
{
    bool stays = !(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP));
    abi_ulong to = r->flags & MREMAP_FIXED ? r->to : r->from;

    if (stays && r->new_size > r->old_size && !has_room(r)) {
        if (!(r->flags & MREMAP_MAYMOVE)) {
            errno = ENOMEM;
            return -1;
        }
        stays = false;
    }
    if (!stays && !(r->flags & MREMAP_FIXED)) {
        to = dq_map_choose(0, r->new_size, 0);
    }
    return to == (abi_ulong)-1 ? -1 : remap_files_to(r, to);
}

/* False: QEMU's function does it. */
static bool remap_unengaged(const struct remap *r, abi_long *ret)
{
    if (r->old_size && dq_source_within(r->from, r->old_size)) {
        *ret = remap_files(r);
        return true;
    }
    if (r->flags & MREMAP_DONTUNMAP) {
        *ret = move_and_keep(r);
        return true;
    }
    if (!(r->flags & MREMAP_MAYMOVE) && r->new_size > r->old_size) {
        *ret = grow_unengaged(r);
        return true;
    }
    return remap_by_qemu(r, ret);
}

/* ---------------------------------------------------------------- in place */

/* Private memory at the end of a mapping grows. */
static bool grow_private(abi_ulong tail, abi_ulong more, int old_flags)
{
    void *mapping = dq_source_grow(tail, more);

    dq_map_exclude(tail, more);
    if (mapping == MAP_FAILED) {
        return false;
    }
    if (mapping) {
        return dq_map_file(tail, more, mapping, dq_map_guest_prot(old_flags),
                           new_flags(old_flags)) != -1;
    }
    if (dq_advice_grow(tail, more) &&
        dq_map_allow(tail, more, dq_map_guest_prot(old_flags), new_flags(old_flags))) {
        return true;
    }
    dq_advice_clear_host(tail, more);
    dq_advice_forget(tail, more);
    return false;
}

/* In place only what is shared can; what is private, and beyond the end of its file, has to move. */
static bool grow_foreign(abi_ulong start, abi_ulong old_size, abi_ulong more, int old_flags)
{
    abi_ulong tail = start + old_size, begin;
    int shared;

    mmap_lock();
    begin = foreign_end(start, old_size);
    shared = replace_shared(begin, tail - begin + more);
    if (shared == 0) {
        page_set_flags(tail, tail + more - 1, new_flags(old_flags));
    }
    mmap_unlock();
    if (shared) {
        errno = shared == 1 ? ENOMEM : errno;
        return false;
    }
    dq_map_tell(DQ_MAP_FOREIGN, tail, more, new_flags(old_flags));
    dq_map_wait();
    return true;
}

static abi_long grow(const struct remap *r)
{
    abi_ulong tail = r->from + r->old_size, more = r->new_size - r->old_size;
    int flags = page_get_flags(tail - 1);
    bool done = flags & DQ_PAGE_FOREIGN ? grow_foreign(r->from, r->old_size, more, flags)
                                        : grow_private(tail, more, flags);

    return done ? (abi_long)r->from : -1;
}

/* ---------------------------------------------------------------- moving */

struct touched {
    uintptr_t at;
    size_t pages;
};

static void note_touched(void *arg, uintptr_t at, size_t pages)
{
    struct touched t = {at, pages};

    g_array_append_val((GArray *)arg, t);
}

/*
 * What somebody has touched (struct touched, to be freed). While memory is gathered nothing may be
 * written to, so it is only looked at then, and copied later.
 */
static GArray *find_touched(abi_ulong start, abi_ulong len, int *err)
{
    GArray *runs = g_array_new(FALSE, FALSE, sizeof(struct touched));

    dq_pager_gather(start >> DQ_PAGE_BITS, len >> DQ_PAGE_BITS);
    *err = dq_uffd_present((uintptr_t)g2h_untagged(start), len, note_touched, runs);
    dq_pager_thaw();
    return runs;
}

/*
 * Pages may have left again meanwhile (to who asks ahead of its threads): they come back. `all`: those of
 * zeroes, too.
 */
static void copy_run(uintptr_t at, size_t pages, uintptr_t to, bool all)
{
    for (; pages; pages--, at += DQ_PAGE_SIZE, to += DQ_PAGE_SIZE) {
        if (all || !buffer_is_zero((const void *)at, DQ_PAGE_SIZE)) {
            memcpy((void *)to, (const void *)at, DQ_PAGE_SIZE);
        }
    }
}

/* The caller has forbidden both ranges to all threads. */
static bool copy_pages(abi_ulong from, abi_ulong to, abi_ulong len)
{
    uintptr_t distance = (uintptr_t)g2h_untagged(to) - (uintptr_t)g2h_untagged(from);
    bool files = dq_source_within(from, len);
    GArray *runs;
    int err;

    if (!dq_map_protect_host(to, len, PROT_READ | PROT_WRITE) ||
        !dq_map_protect_host(from, len, PROT_READ)) {
        return false;
    }
    runs = find_touched(from, len, &err);
    for (guint i = 0; err == 0 && i < runs->len; i++) {
        const struct touched *t = &g_array_index(runs, struct touched, i);

        copy_run(t->at, t->pages, t->at + distance, files);
    }
    g_array_free(runs, TRUE);
    errno = -err;
    return err == 0;
}

static void reset_untouched(abi_ulong start, abi_ulong len, const void *source, void *arg)
{
    dq_source_reset(start, len, source);
}

/* The old place, as it was: its pages untouched, zeroes or the file's. */
static bool leave_untouched(abi_ulong start, abi_ulong len)
{
    dq_source_each(start, len, reset_untouched, NULL);
    return true;
}

static void share_source(abi_ulong start, abi_ulong len, const void *source, void *distance)
{
    if (source) {
        dq_source_reset(start + *(abi_ulong *)distance, len, source);
    }
}

/*
 * Where the range goes, it has the same sources: those that move with it later, or others, if the range
 * keeps its own.
 */
static bool share_sources(abi_ulong from, abi_ulong len, abi_ulong to, bool keep)
{
    abi_ulong distance = keep ? 0 : to - from;

    if (keep && !dq_source_copy(from, len, to)) {
        return false;
    }
    dq_source_each(keep ? to : from, len, share_source, &distance);
    return true;
}

/* What the range had is at its new place: it goes, or stays untouched. */
static bool give_up(abi_ulong from, abi_ulong len, abi_ulong to, bool keep)
{
    dq_advice_move(from, len, to, keep);
    if (keep) {
        return leave_untouched(from, len);
    }
    dq_source_move(from, len, to);
    if (dq_map_forget(from, len)) {
        return true;
    }
    dq_source_move(to, len, from);
    dq_advice_move(to, len, from, false);
    return false;
}

static bool move_private(abi_ulong from, abi_ulong len, abi_ulong to, int flags, bool keep)
{
    int err;

    dq_map_exclude(from, len);
    dq_map_exclude(to, len);
    /* before anything is copied there: who touches a page of zeroes is granted its neighbours, too */
    if (!share_sources(from, len, to, keep)) {
        return false;
    }
    if (copy_pages(from, to, len) && dq_advice_apply(from, len, to) &&
        dq_map_allow(to, len, dq_map_guest_prot(flags), new_flags(flags))) {
        dq_map_restore_host(from, len);
        if (give_up(from, len, to, keep)) {
            return true;
        }
    }
    err = errno;
    dq_map_restore_host(from, len);
    dq_map_forget(to, len); /* what was copied so far; no area that was not there before */
    errno = err;
    return false;
}

/* The kernel moves its own mapping. old_size is 0 for a second mapping of the same memory. */
static bool move_foreign(abi_ulong from, abi_ulong old_size, abi_ulong new_size, abi_ulong to,
                         bool keep)
{
    int flags = new_flags(page_get_flags(from));
    void *host =
        mremap(g2h_untagged(from), old_size, new_size,
               MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0), g2h_untagged(to));

    if (host == MAP_FAILED) {
        return false;
    }
    mmap_lock();
    page_set_flags(to, to + new_size - 1, flags);
    if (old_size && !keep) {
        dq_map_reserve(from, old_size);
    }
    mmap_unlock();
    if (old_size && !keep) {
        dq_map_tell(DQ_MAP_FORBID, from, old_size, 0);
    }
    dq_map_tell(DQ_MAP_FOREIGN, to, new_size, flags);
    dq_map_wait();
    if (old_size) {
        dq_advice_move(from, old_size, to, keep);
    }
    return true;
}

/*
 * Stretch by stretch; a foreign one at the end grows with its move. What has moved before one cannot
 * stays moved, as in the kernel.
 */
static bool move_all(const struct remap *r, abi_ulong size, abi_ulong to)
{
    abi_ulong last = r->from + size - 1, end = last;
    bool keep = r->flags & MREMAP_DONTUNMAP, done = true;

    for (abi_ulong from = r->from; done; from = end + 1, end = last) {
        abi_ulong at = to + (from - r->from), len, new_len;
        int flags;

        mmap_lock();
        flags = page_stretch(from, &end);
        mmap_unlock();
        len = end - from + 1;
        new_len = end == last ? r->new_size - (from - r->from) : len;
        done = flags & DQ_PAGE_FOREIGN ? move_foreign(from, len, new_len, at, keep)
                                       : move_private(from, len, at, flags, keep);
        if (end == last) {
            break;
        }
    }
    return done;
}

static abi_long move(const struct remap *r)
{
    bool fixed = r->flags & MREMAP_FIXED;
    abi_ulong to = fixed ? r->to : dq_map_choose(0, r->new_size, 0);
    struct remap moved = {to, MIN(r->old_size, r->new_size), r->new_size, 0, 0};

    if (to == (abi_ulong)-1) {
        return -1;
    }
    if (fixed && !dq_map_is_empty(to, r->new_size) && !dq_map_forget(to, r->new_size)) {
        return -1;
    }
    if (!r->old_size) {
        return move_foreign(r->from, 0, r->new_size, to, false) ? (abi_long)to : -1;
    }
    if (r->new_size < r->old_size &&
        !dq_map_forget(r->from + r->new_size, r->old_size - r->new_size)) {
        return -1;
    }
    if (!move_all(r, moved.old_size, to)) {
        return -1;
    }
    if (r->new_size > r->old_size && !(page_get_flags(to + moved.old_size - 1) & DQ_PAGE_FOREIGN) &&
        grow(&moved) == -1) {
        return -1;
    }
    return to;
}

static abi_long remap(const struct remap *r)
{
    if (!(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && r->old_size) {
        abi_ulong less = r->old_size - r->new_size;

        if (r->new_size == r->old_size) {
            return r->from;
        }
        if (r->new_size < r->old_size) {
            return dq_map_forget(r->from + r->new_size, less) ? (abi_long)r->from : -1;
        }
        if (has_room(r) && grow(r) != -1) {
            return r->from;
        }
        if (!(r->flags & MREMAP_MAYMOVE)) {
            errno = ENOMEM;
            return -1;
        }
    }
    return move(r);
}

/* Only shared memory can be mapped twice. */
static int check_kind(const struct remap *r)
{
    return !r->old_size && !(page_get_flags(r->from) & DQ_PAGE_FOREIGN) ? EINVAL : 0;
}

/* 0, or one for errno: *r is the request then, in whole pages. */
static int check(struct remap *r)
{
    int err = check_request(r);

    if (!err) {
        r->old_size = TARGET_PAGE_ALIGN(r->old_size);
        r->new_size = TARGET_PAGE_ALIGN(r->new_size);
        err = check_mapped(r);
    }
    if (!err && r->new_size > r->old_size) {
        err = dq_mlock_grow(r->from, r->new_size - r->old_size);
    }
    return err;
}

static bool remap_engaged(const struct remap *r, abi_long *ret)
{
    dq_areas_keep();
    errno = check_kind(r);
    if (!errno) {
        *ret = remap(r);
    }
    return true;
}

bool dq_mremap(abi_ulong old_addr, abi_ulong old_size, abi_ulong new_size, unsigned long flags,
               abi_ulong new_addr, abi_long *ret)
{
    struct remap r = {old_addr, old_size, new_size, new_addr, flags};
    bool locked, done;

    if (dq_config.nodes == 1 && !dq_is_child) {
        return false;
    }
    *ret = -1;
    errno = check(&r);
    if (errno) {
        return true;
    }
    locked = dq_mlock_any(r.from, 1);
    done = dq_engaged ? remap_engaged(&r, ret) : remap_unengaged(&r, ret);
    if (locked && *ret != -1 && r.new_size > r.old_size) {
        dq_mlock_add(*ret + r.old_size, r.new_size - r.old_size);
    }
    return done;
}
