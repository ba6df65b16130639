/*
 * The state of a thread as bytes: the first part of CPUArchState (arch.h; as a rule what a reset
 * clears, since that is architectural state, while the rest holds host pointers and set-up of this
 * process), the signal mask and the alternate stack.
 *
 * Most of it is zero (vector registers beyond the length in use), so it travels as the
 * blocks that are not. All nodes run the same build; the length is checked all the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/cutils.h"

#define BLOCK 64
#define HEAD DQ_ARCH_STATE

struct state_header {
    uint64_t mask;
    uint64_t altstack_sp, altstack_size;
    uint32_t head; /* HEAD, to be sure */
    uint32_t blocks;
    uint64_t beyond; /* see dq_arch_beyond_head() */
};

struct state_block {
    uint32_t number;
    uint32_t zero;
    unsigned char bytes[BLOCK];
};

static size_t block_length(size_t number)
{
    return MIN(HEAD - number * BLOCK, BLOCK);
}

void dq_state_pack(CPUArchState *env, GByteArray *out)
{
    TaskState *ts = get_task_state(env_cpu(env));
    struct state_header header = {
        .mask = dq_mask_pack(&ts->signal_mask),
        .altstack_sp = ts->sigaltstack_used.ss_sp,
        .altstack_size = ts->sigaltstack_used.ss_size,
        .head = HEAD,
        .beyond = dq_arch_beyond_head(env),
    };
    guint at = out->len;

    g_byte_array_append(out, (const guint8 *)&header, sizeof(header));
    for (size_t n = 0; n * BLOCK < HEAD; n++) {
        struct state_block block = {.number = n};
        const char *from = (const char *)env + n * BLOCK;

        if (!buffer_is_zero(from, block_length(n))) {
            memcpy(block.bytes, from, block_length(n));
            g_byte_array_append(out, (const guint8 *)&block, sizeof(block));
            header.blocks++;
        }
    }
    memcpy(out->data + at, &header, sizeof(header));
}

int dq_state_unpack(CPUArchState *env, const void *data, size_t length)
{
    TaskState *ts = get_task_state(env_cpu(env));
    const struct state_header *header = data;
    const struct state_block *block = (const void *)(header + 1);

    if (length < sizeof(*header) || header->head != HEAD ||
        (length - sizeof(*header)) / sizeof(*block) != header->blocks ||
        (length - sizeof(*header)) % sizeof(*block)) {
        return -EPROTO;
    }
    memset(env, 0, HEAD);
    for (; (const char *)block < (const char *)data + length; block++) {
        if ((size_t)block->number * BLOCK >= HEAD) {
            return -EPROTO;
        }
        memcpy((char *)env + block->number * BLOCK, block->bytes, block_length(block->number));
    }
    dq_arch_set_beyond_head(env, header->beyond);
    dq_mask_unpack(&ts->signal_mask, header->mask);
    ts->sigaltstack_used.ss_sp = header->altstack_sp;
    ts->sigaltstack_used.ss_size = header->altstack_size;
    return 0;
}
