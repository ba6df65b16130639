/*
 * Files that are read and written past the page cache (O_DIRECT), and /proc/PID/mem (self.h), with
 * which the kernel does not do what it should: what is copied goes through memory of ours.
 *
 * The kernel uses the memory for that until the device has done, whatever becomes of its page meanwhile:
 * it may have been write-protected and copied to another node. So it gets memory of our own, once
 * threads run on other nodes; the guest's is read before, or written afterwards. Each buffer of ours
 * lies in its page as the guest's does, so that the kernel refuses what it would refuse.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/uio.h>
#include "qemu/memalign.h"
#include "dqemu/spin.h"
#include "direct.h"
#include "self.h"
#include "split.h"

/* Who reads or writes more at once has it done by the kernel in place. */
#define MOST_DIRECT (64u * 1024 * 1024)
#define MOST_PIECES 1024 /* IOV_MAX */

/* Pipes have the flag, too: for them it means packets. */
static bool is_direct(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    struct stat st;

    return flags >= 0 && flags & O_DIRECT && fstat(fd, &st) == 0 &&
           (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

/* The fourth argument of pread64() and pwrite64(). */
static uint64_t offset_argument(CPUArchState *env, int num, const abi_long *arg)
{
    int first = regpairs_aligned(env, num) ? 4 : 3;

    return target_offset64(arg[first], arg[first + 1]);
}

/* A call on a file that is read or written past the page cache. */
struct direct {
    bool reads;
    bool positioned; /* not where the file stands, but at offset */
    bool listed;     /* the guest names its buffers in a list */
    pid_t memory_of; /* /proc/PID/mem of that process */
    off_t offset;
    unsigned count;
    struct iovec *guest; /* its buffers, in guest memory */
    struct iovec *ours;  /* as many, in our own */
    void *memory;        /* all of these */
    size_t length;       /* of all */
};

static bool is_direct_call(CPUArchState *env, int num, const abi_long *arg, struct direct *d)
{
    d->count = 1;
    switch (num) {
    case TARGET_NR_pread64:
    case TARGET_NR_pwrite64:
        d->positioned = true;
        d->offset = offset_argument(env, num, arg);
        break;
    case TARGET_NR_preadv:
    case TARGET_NR_pwritev:
        d->positioned = true;
        d->offset = TARGET_ABI_BITS == 64 ? arg[3] : (uint32_t)arg[3] | (off_t)arg[4] << 32;
        /* fall through */
    case TARGET_NR_readv:
    case TARGET_NR_writev:
        d->listed = true;
        d->count = arg[2] > 0 && arg[2] <= MOST_PIECES ? arg[2] : 0;
        break;
    case TARGET_NR_read:
    case TARGET_NR_write:
        break;
    default:
        return false;
    }
    d->reads = num == TARGET_NR_read || num == TARGET_NR_pread64 || num == TARGET_NR_readv ||
               num == TARGET_NR_preadv;
    d->memory_of = dq_self_memory_of(arg[0]);
    return d->count && (d->memory_of || (dq_engaged && is_direct(arg[0])));
}

/*
 * The guest's buffers, and where in their pages they lie. False: not all of them are accessible, or the
 * list is not, or all are empty.
 */
static bool find_buffers(const abi_long *arg, struct direct *d)
{
    struct target_iovec one = {.iov_base = tswapal(arg[1]), .iov_len = tswapal(arg[2])};
    struct target_iovec *list = &one;
    int type = d->reads ? VERIFY_WRITE : VERIFY_READ;
    bool good = true;

    if (d->listed) {
        list = lock_user(VERIFY_READ, arg[1], d->count * sizeof(*list), 1);
    }
    for (unsigned i = 0; list && good && i < d->count; i++) {
        abi_ulong addr = tswapal(list[i].iov_base), len = tswapal(list[i].iov_len);

        d->guest[i] = (struct iovec){NULL, len};
        d->ours[i] = (struct iovec){(void *)(uintptr_t)(addr % DQ_PAGE_SIZE), len};
        d->length += len;
        if (len) {
            good = len <= MOST_DIRECT;
            d->guest[i].iov_base = good ? lock_user(type, addr, len, !d->reads) : NULL;
            good = d->guest[i].iov_base;
        }
    }
    if (d->listed && list) {
        unlock_user(list, arg[1], 0);
    }
    return list && good && d->length;
}

/* Memory for each buffer, at the same place within its page. False: they are too long for that. */
static bool make_buffers(struct direct *d)
{
    size_t total = 0;

    for (unsigned i = 0; i < d->count; i++) {
        size_t offset = (uintptr_t)d->ours[i].iov_base;

        d->ours[i].iov_base = (void *)(total + offset);
        total += ROUND_UP(offset + d->ours[i].iov_len, DQ_PAGE_SIZE);
    }
    if (total > MOST_DIRECT) {
        return false;
    }
    d->memory = qemu_memalign(DQ_PAGE_SIZE, total);
    for (unsigned i = 0; i < d->count; i++) {
        d->ours[i].iov_base = (char *)d->memory + (uintptr_t)d->ours[i].iov_base;
    }
    return true;
}

/* So many bytes, from the guest's buffers to ours or back. False: the guest's have gone. */
static bool copy_buffers(const struct iovec *to, const struct iovec *from, size_t bytes)
{
    for (unsigned i = 0; bytes; i++) {
        size_t n = MIN(bytes, to[i].iov_len);

        if (!dq_guest_copy(to[i].iov_base, from[i].iov_base, n)) {
            return false;
        }
        bytes -= n;
    }
    return true;
}

static abi_long read_or_write(const struct direct *d, int fd)
{
    abi_long ret;

    if (d->memory_of && dq_self_memory(fd, d->memory_of, d->ours, d->count,
                                       d->positioned ? &d->offset : NULL, d->reads, &ret)) {
        return ret;
    }
    dq_awake_end(); /* it may sleep in there */
    if (d->reads) {
        ret =
            d->positioned ? preadv(fd, d->ours, d->count, d->offset) : readv(fd, d->ours, d->count);
    } else {
        ret = d->positioned ? pwritev(fd, d->ours, d->count, d->offset)
                            : writev(fd, d->ours, d->count);
    }
    ret = get_errno(ret);
    dq_awake_begin();
    return ret;
}

static abi_long do_direct(const struct direct *d, int fd)
{
    abi_long ret;

    if (!d->reads && !copy_buffers(d->ours, d->guest, d->length)) {
        return -TARGET_EFAULT;
    }
    ret = read_or_write(d, fd);
    if (d->reads && ret > 0 && !copy_buffers(d->guest, d->ours, ret)) {
        return -TARGET_EFAULT;
    }
    return ret;
}

bool dq_direct_call(CPUArchState *env, int num, const abi_long arg[8], abi_long *ret)
{
    struct direct d = {0};
    bool done = false;

    if (!is_direct_call(env, num, arg, &d)) {
        return false;
    }
    d.guest = g_new0(struct iovec, 2 * d.count);
    d.ours = d.guest + d.count;
    if (find_buffers(arg, &d) && make_buffers(&d)) {
        *ret = do_direct(&d, arg[0]);
        qemu_vfree(d.memory);
        done = true;
    }
    g_free(d.guest);
    dq_split_unpin();
    return done;
}
