/*
 * Calls whose bytes travel with them: a slave's thread reads or writes a file, and its buffer stays
 * where it is. Otherwise the pages of the buffer would move to the master for the call, and back
 * for the thread's next use of them.
 *
 * The bytes of a write are taken when the call begins, as the kernel does; those of a read are
 * stored when it has ended, before the thread goes on. A call that is not plain (a buffer that is
 * not accessible, or the master's own, or very long; -strace, which prints the buffer) goes the
 * ordinary way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <sys/syscall.h>
#include "qemu/log.h"
#include "qemu/memalign.h"
#include "user/safe-syscall.h"
#include "fd-trans.h"
#include "dqemu/spin.h"
#include "direct.h"
#include "self.h"
#include "split.h"
#include "transfer.h"

/* Longer buffers move as pages: a message is stored at both ends before anything is done. */
#define MOST (256u * 1024)

static bool is_read(int num)
{
    switch (num) {
    case TARGET_NR_read:
    case TARGET_NR_pread64:
        return true;
    default:
        return false;
    }
}

static bool is_write(int num)
{
    switch (num) {
    case TARGET_NR_write:
    case TARGET_NR_pwrite64:
        return true;
    default:
        return false;
    }
}

static bool has_foreign_page(abi_ulong addr, abi_ulong len)
{
    abi_ulong last = (addr + len - 1) & TARGET_PAGE_MASK;

    for (abi_ulong page = addr & TARGET_PAGE_MASK; page <= last; page += TARGET_PAGE_SIZE) {
        if (dq_is_foreign(page)) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- on the slave */

bool dq_transfer_begin(CPUArchState *env, int num, const abi_long arg[8],
                       struct dq_transfer *transfer)
{
    CPUState *cpu = env_cpu(env);
    abi_ulong addr = arg[1], len = arg[2];
    bool reads = is_read(num);
    size_t out = reads ? 0 : len;

    if ((!reads && !is_write(num)) || len == 0 || len > MOST || qemu_loglevel_mask(LOG_STRACE) ||
        !access_ok(cpu, reads ? VERIFY_WRITE : VERIFY_READ, addr, len) ||
        has_foreign_page(cpu_untagged_addr(cpu, addr), len)) {
        return false;
    }
    dq_split_pin(cpu_untagged_addr(cpu, addr), len);
    *transfer = (struct dq_transfer){
        .buffer = g2h(cpu, addr),
        .room = reads ? len : 0,
        .call = g_malloc(sizeof(*transfer->call) + out),
        .length = sizeof(*transfer->call) + out,
    };
    *transfer->call = (struct dq_msg_syscall){
        .tid = dq_this_thread()->remote.tid,
        .number = num | DQ_SYSCALL_TRANSFER,
        .arg = {arg[0], addr, len, dq_direct_offset(env, num, arg)},
    };
    if (!dq_guest_copy(transfer->call + 1, transfer->buffer, out)) {
        g_free(transfer->call);
        return false;
    }
    return true;
}

abi_long dq_transfer_end(const struct dq_transfer *transfer, struct dq_remote *remote)
{
    struct dq_msg_result *r = remote->result;
    size_t head = sizeof(*r) + r->signals * sizeof(struct dq_frame_of_signal);
    size_t got = transfer->room && r->value > 0 ? r->value : 0;

    if (got > transfer->room || remote->result_length != head + got) {
        dq_control_error(125,
                         "node %d got a malformed result; install the same dqemu on every node",
                         dq_config.node);
        _exit(125);
    }
    remote->result_length = head;
    g_free(transfer->call);
    return dq_guest_copy(transfer->buffer, (char *)r + head, got) ? r->value : -TARGET_EFAULT;
}

/* ---------------------------------------------------------------- at the proxy */

/* Of /proc/self/mem: arg[3] is the offset, if the call has one. */
static abi_long serve_memory(const uint64_t *arg, void *data, size_t len, bool positioned,
                             bool reads)
{
    const struct iovec ours = {data, len};
    const off_t offset = arg[3];

    return dq_self_memory(arg[0], &ours, 1, positioned ? &offset : NULL, reads);
}

static abi_long serve_write(int num, const uint64_t *arg, const void *data, size_t len)
{
    TargetFdDataFunc translate = fd_trans_target_to_host_data(arg[0]);
    g_autofree void *copy = NULL;

    if (dq_node_owns_fd(arg[0])) {
        return -TARGET_EBADF;
    }
    if (dq_self_is_memory(arg[0])) {
        return serve_memory(arg, (void *)data, len, num != TARGET_NR_write, false);
    }

    if (num != TARGET_NR_write) {
        return get_errno(pwrite(arg[0], data, len, arg[3]));
    }
    if (translate) {
        abi_long ret;

        copy = g_memdup2(data, len);
        ret = translate(copy, len);
        if (ret < 0) {
            return ret;
        }
        data = copy;
        len = ret;
    }
    return get_errno(safe_syscall(SYS_write, (int)arg[0], data, len));
}

static abi_long serve_read(int num, const uint64_t *arg, void *data, size_t len)
{
    TargetFdDataFunc translate = fd_trans_host_to_target_data(arg[0]);
    abi_long ret;

    if (dq_node_owns_fd(arg[0])) {
        return -TARGET_EBADF;
    }
    if (dq_self_is_memory(arg[0])) {
        return serve_memory(arg, data, len, num != TARGET_NR_read, true);
    }
    if (num != TARGET_NR_read) {
        return get_errno(pread(arg[0], data, len, arg[3]));
    }
    ret = get_errno(safe_syscall(SYS_read, (int)arg[0], data, len));
    return ret >= 0 && translate ? translate(data, ret) : ret;
}

int dq_transfer_serve(const struct dq_msg_syscall *s, const void *data, size_t length,
                      GByteArray *out, abi_long *ret)
{
    int num = s->number & ~DQ_SYSCALL_TRANSFER;
    bool direct = dq_direct_is(s->arg[0]);
    struct dq_direct_buffer b = {0};

    if (is_write(num) && length == s->arg[2] && length <= MOST) {
        if (direct) {
            dq_direct_buffer_make(&b, s->arg[1], length);
            memcpy(b.data, data, length);
        }
        dq_awake_end(); /* it may sleep in there */
        *ret = serve_write(num, s->arg, direct ? b.data : data, length);
        dq_awake_begin();
        qemu_vfree(b.memory);
        return 0;
    }
    if (!is_read(num) || length || s->arg[2] > MOST) {
        return -EPROTO;
    }
    g_byte_array_set_size(out, s->arg[2]);
    if (direct) {
        dq_direct_buffer_make(&b, s->arg[1], out->len);
    }
    dq_awake_end();
    *ret = serve_read(num, s->arg, direct ? b.data : out->data, out->len);
    dq_awake_begin();
    if (direct && *ret > 0) {
        memcpy(out->data, b.data, *ret);
    }
    qemu_vfree(b.memory);
    g_byte_array_set_size(out, MAX(*ret, 0));
    return 0;
}
