/*
 * The table of messages as data: sizes, names, and the check of a frame's header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/frame.h"

#include <errno.h>
#include <stdbool.h>

struct layout {
    const char *name;
    uint32_t size;
    uint32_t trailing;
};

static const struct layout layouts[DQ_MSG_COUNT] = {
#define X(name, body, trailing, help) [DQ_MSG_##name] = {#name, sizeof(struct body), trailing},
    DQ_MESSAGES(X)
#undef X
};

static const struct layout *layout_of(unsigned type)
{
    return type < DQ_MSG_COUNT && layouts[type].name ? &layouts[type] : NULL;
}

static bool may_follow(uint32_t trailing, uint32_t length)
{
    switch (trailing) {
    case DQ_ANY:
        return true;
    case DQ_PAGES:
        return length > 0 && length % DQ_PAGE_SIZE == 0 && length / DQ_PAGE_SIZE <= DQ_MOST_PAGES;
    default:
        return length == trailing;
    }
}

int dq_frame_check(const struct dq_frame *f)
{
    const struct layout *l = layout_of(f->type);

    if (!l || f->zero) {
        return -EPROTO;
    }
    if (f->length < l->size || f->length > DQ_MAX_BODY) {
        return -EMSGSIZE;
    }
    return may_follow(l->trailing, f->length - l->size) ? 0 : -EMSGSIZE;
}

const char *dq_msg_name(unsigned type)
{
    const struct layout *l = layout_of(type);

    return l ? l->name : "unknown";
}

uint32_t dq_msg_size(unsigned type)
{
    const struct layout *l = layout_of(type);

    return l ? l->size : 0;
}

uint32_t dq_msg_trailing(unsigned type)
{
    const struct layout *l = layout_of(type);

    return l ? l->trailing : 0;
}
