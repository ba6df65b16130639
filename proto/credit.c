/*
 * Flow control by credits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "proto/credit.h"

#include <errno.h>

void dq_credit_init(struct dq_credit *c, uint32_t room, uint64_t bytes)
{
    *c = (struct dq_credit){.room = room, .bytes = bytes};
}

void dq_credit_granted(struct dq_credit *c, uint32_t most)
{
    c->most = most;
}

bool dq_credit_take(struct dq_credit *c)
{
    if (c->out >= c->most) {
        return false;
    }
    c->out++;
    return true;
}

int dq_credit_returned(struct dq_credit *c, uint32_t count)
{
    if (count > c->out) {
        return -EPROTO;
    }
    c->out -= count;
    return 0;
}

void dq_credit_owe(struct dq_credit *c, uint64_t bytes)
{
    c->owed++;
    c->owed_bytes += bytes;
}

bool dq_credit_due(const struct dq_credit *c)
{
    return (uint64_t)c->owed * 4 >= c->room || (c->owed && c->owed_bytes * 4 >= c->bytes);
}

uint16_t dq_credit_give(struct dq_credit *c)
{
    uint32_t count = c->owed < UINT16_MAX ? c->owed : UINT16_MAX;

    c->owed -= count;
    c->owed_bytes = 0;
    return (uint16_t)count;
}
