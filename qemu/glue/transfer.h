/*
 * Calls whose bytes travel with them: see transfer.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_TRANSFER_H
#define DQEMU_TRANSFER_H

#include "internal.h"

struct dq_transfer {
    void *buffer;                /* in guest memory */
    size_t room;                 /* bytes that may come with the result */
    struct dq_msg_syscall *call; /* the message, owned until dq_transfer_end() */
    size_t length;               /* its own, with the bytes that go with the call */
};

/* On a slave, by the calling thread: true if the call is one of those; *transfer has its message. */
bool dq_transfer_begin(CPUArchState *env, int num, const abi_long arg[8],
                       struct dq_transfer *transfer);
/*
 * The result has come: store what came with it, and take it off the result. The value for the thread,
 * which is -TARGET_EFAULT if its buffer has gone meanwhile.
 */
abi_long dq_transfer_end(const struct dq_transfer *transfer, struct dq_remote *remote);

/*
 * At the proxy: execute the call; what is to go with the result is appended to `out` (empty).
 * -EPROTO: no slave of this build asks so.
 */
int dq_transfer_serve(const struct dq_msg_syscall *s, const void *data, size_t length,
                      GByteArray *out, abi_long *ret);

#endif
