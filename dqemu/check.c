/*
 * The check of pages: see check.h. Sums and their history are in sums.c; what is sent before the
 * pages waits here until they come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/check.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "dqemu/runtime.h"
#include "dqemu/sums.h"
#include "dqemu/uffd.h"

/* The sums that a peer has sent, of pages that come next. */
struct promise {
    uint64_t page;
    uint32_t count, used;
    uint64_t sums[DQ_MOST_PAGES];
};

static struct {
    struct dq_sums *sums; /* NULL: the check is off */
    struct promise promises[DQ_MAX_NODES];
} check;

void dq_check_start(const struct dq_config *cfg)
{
    dq_sums_free(check.sums);
    memset(&check, 0, sizeof(check));
    if (cfg->check_pages) {
        check.sums = dq_sums_new();
    }
}

bool dq_check_is_on(void)
{
    return check.sums != NULL;
}

static uint64_t page_at(uintptr_t at)
{
    return (at - dq_pager.guest_base) >> DQ_PAGE_BITS;
}

/* NULL: all is well. */
static void fail_if(char *wrong)
{
    if (wrong) {
        dq_node_fail("node %d: %s; this is a fault of dqemu", dq_pager.self, wrong);
    }
}

static void look(uint64_t page, const void *bytes, bool keep, const char *step, int node)
{
    fail_if(dq_sums_look(check.sums, page, dq_sums_of(bytes), keep, step, node, dq_node_now()));
}

/* ---- here ---- */

void dq_check_kept(uintptr_t at, const void *bytes)
{
    if (check.sums && bytes) {
        look(page_at(at), bytes, true, "kept", DQ_SUMS_NOBODY);
    }
}

void dq_check_seen(uintptr_t at, const void *bytes)
{
    if (!check.sums || !dq_sums_is_kept(check.sums, page_at(at))) {
        return;
    }
    if (bytes) {
        look(page_at(at), bytes, false, "seen", DQ_SUMS_NOBODY);
    } else {
        dq_sums_let_go(check.sums, page_at(at), "absent", dq_node_now());
    }
}

void dq_check_let_go(uintptr_t at, size_t pages)
{
    uint64_t page = page_at(at);

    for (size_t i = 0; check.sums && i < pages; i++) {
        dq_sums_let_go(check.sums, page + i, "let go", dq_node_now());
    }
}

/* ---- between nodes ---- */

void dq_check_sending(int to, const struct dq_msg_page *m, const uint8_t *bytes, bool here)
{
    uint64_t sums[DQ_MOST_PAGES];

    if (!check.sums) {
        return;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        const uint8_t *page = bytes + (size_t)i * DQ_PAGE_SIZE;

        sums[i] = dq_sums_of(page);
        look(m->page + i, page, here, "sent to", to);
    }
    dq_node_send2(to, DQ_MSG_SUMS, m, sizeof(*m), sums, m->count * sizeof(*sums));
}

int dq_check_message(int from, const void *body, size_t length)
{
    struct promise *p = &check.promises[from];
    struct dq_msg_page m;

    memcpy(&m, body, sizeof(m));
    if (!check.sums || m.count == 0 || m.count > DQ_MOST_PAGES || p->used < p->count ||
        length != sizeof(m) + m.count * sizeof(uint64_t)) {
        return -EPROTO;
    }
    p->page = m.page;
    p->count = m.count;
    p->used = 0;
    memcpy(p->sums, (const uint8_t *)body + sizeof(m), m.count * sizeof(uint64_t));
    return 0;
}

void dq_check_arrived(int from, uint64_t page, const void *bytes)
{
    struct promise *p = &check.promises[from];
    uint64_t sum, promised;

    if (!check.sums) {
        return;
    }
    sum = dq_sums_of(bytes);
    if (p->used == p->count || page != p->page + p->used) {
        dq_node_fail("node %d: node %d sent page %" PRIx64 " and not its sum; this is a fault of "
                     "dqemu",
                     dq_pager.self, from, page);
    }
    promised = p->sums[p->used++];
    if (sum != promised) {
        dq_node_fail("node %d: page %" PRIx64 " is not as node %d sent it: its sum was %" PRIx64
                     " and is %" PRIx64 "; this is a fault of dqemu",
                     dq_pager.self, page, from, promised, sum);
    }
    look(page, bytes, false, "came from", from);
}

/* ---- splitting ---- */

/* Each granule stands on its page at the offset that it has in the page. */
void dq_check_moved(uint64_t page, uint64_t shadow, unsigned granules)
{
    static uint8_t whole[DQ_PAGE_SIZE], part[DQ_PAGE_SIZE], together[DQ_PAGE_SIZE];
    size_t size = DQ_PAGE_SIZE / granules;

    if (!check.sums) {
        return;
    }
    dq_uffd_read(dq_pager_host(page), whole, 1);
    for (unsigned i = 0; i < granules; i++) {
        dq_uffd_read(dq_pager_host(shadow + i), part, 1);
        memcpy(together + i * size, part + i * size, size);
    }
    if (dq_sums_of(whole) != dq_sums_of(together)) {
        dq_node_fail(
            "node %d: page %" PRIx64 " and its %u granules from page %" PRIx64
            " on differ: the sums are %" PRIx64 " and %" PRIx64 "; this is a fault of dqemu",
            dq_pager.self, page, granules, shadow, dq_sums_of(whole), dq_sums_of(together));
    }
}
