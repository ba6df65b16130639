/*
 * The mover: see mover.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/mover.h"

#include <string.h>

#include "dqemu/assert.h"

static unsigned granules(const struct dq_mover *m)
{
    return DQ_PAGE_SIZE >> m->what.shift;
}

static uint64_t page_number(const struct dq_mover *m, unsigned i)
{
    return i < granules(m) ? m->shadow + i : m->what.page;
}

/* Each granule stands on its page at the offset that it has in the page. */
static void copy_granules(const struct dq_mover *m, uint8_t *page, uint8_t *shadows, bool apart)
{
    size_t size = (size_t)1 << m->what.shift;

    for (unsigned i = 0; i < granules(m); i++) {
        uint8_t *whole = page + i * size, *part = shadows + (size_t)i * DQ_PAGE_SIZE + i * size;

        memcpy(apart ? part : whole, apart ? whole : part, size);
    }
}

static void move_content(struct dq_mover *m)
{
    static uint8_t page[DQ_PAGE_SIZE], shadows[DQ_SPLIT_GRANULES * DQ_PAGE_SIZE];
    bool apart = m->what.op == DQ_SPLIT_OPEN;

    if (apart) {
        memset(shadows, 0, (size_t)granules(m) * DQ_PAGE_SIZE);
        m->ops->read(m->ctx, m->what.page, 1, page);
        copy_granules(m, page, shadows, true);
        m->ops->write(m->ctx, m->shadow, granules(m), shadows);
    } else {
        m->ops->read(m->ctx, m->shadow, granules(m), shadows);
        copy_granules(m, page, shadows, false);
        m->ops->write(m->ctx, m->what.page, 1, page);
        m->ops->clear(m->ctx, m->shadow, granules(m));
    }
}

static bool has_all(const struct dq_mover *m)
{
    for (unsigned i = 0; i <= granules(m); i++) {
        if (!m->ops->has(m->ctx, page_number(m, i))) {
            return false;
        }
    }
    return true;
}

/* A page that is here at once counts too: others may leave while it is asked for. */
static void go_on(struct dq_mover *m)
{
    do {
        for (unsigned i = 0; i <= granules(m); i++) {
            if (!m->ops->want(m->ctx, m, page_number(m, i))) {
                m->awaited++;
            }
        }
    } while (!m->awaited && !has_all(m));
    if (!m->awaited) {
        move_content(m);
        m->ops->moved(m->ctx, m);
    }
}

void dq_mover_start(struct dq_mover *m, const struct dq_msg_split *what, uint64_t shadow,
                    const struct dq_mover_ops *ops, void *ctx)
{
    *m = (struct dq_mover){.what = *what, .shadow = shadow, .ops = ops, .ctx = ctx};
    dq_assert(what->shift >= DQ_SPLIT_LEAST_SHIFT && what->shift <= DQ_SPLIT_MOST_SHIFT);
    go_on(m);
}

void dq_mover_came(struct dq_mover *m)
{
    dq_assert(m->awaited);
    if (--m->awaited == 0) {
        go_on(m);
    }
}
