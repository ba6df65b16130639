/*
 * The pager: between the faults of this process (uffd.c), the coherence engine (dir.c,
 * cache.c), and what threads ask for (ask.c: pages; range.c: whole ranges).
 *
 * All state of these three files is the loop's alone; other threads reach it by posting, and
 * sleep at a gate on their own stack. The engine's callbacks only do what they are told, or
 * note what has happened; after each step of the engine, settle() lets the requests go on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dqemu/coherence.h"
#include "dqemu/control.h"
#include "dqemu/runtime.h"
#include "dqemu/stats.h"
#include "dqemu/uffd.h"

struct dq_pager dq_pager = {.timer = -1};

static uintptr_t host_of(uint64_t page)
{
    return dq_pager.guest_base + (page << DQ_PAGE_BITS);
}

static void settle(void)
{
    dq_ask_settle();
    dq_range_settle();
}

/* ---- what the engine does ---- */

static void engine_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m,
                        bool with_page)
{
    static uint8_t bytes[DQ_PAGE_SIZE];

    (void)ctx;
    if (type == DQ_MSG_ACK || type == DQ_MSG_DATA_X) {
        dq_stat_add(invalidations, 1);
    }
    if (with_page) {
        /* It may be held and absent: see answer_echo(). */
        dq_uffd_read(host_of(m->page), bytes);
        dq_stat_add(pages_out, 1);
    }
    dq_node_emit(to, type, m, sizeof(*m), with_page ? bytes : NULL);
}

static void directory_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    (void)ctx;
    dq_node_emit(to, type, m, sizeof(*m), NULL);
}

static void directory_reset_done(void *ctx, uint64_t cookie)
{
    (void)ctx;
    dq_range_reset_done(cookie);
}

/* Zeroes for a run: only what is about to be written gets memory of its own now. */
static void install_zeroes(uint64_t page, uint32_t count, bool writable)
{
    uint64_t end = page + count, from = page;

    dq_stat_add(zero_grants, count);
    for (uint64_t p = page; p < end; p++) {
        if (dq_ask_writes(p)) {
            if (p > from) {
                dq_uffd_zero(host_of(from), p - from, writable, false);
            }
            dq_uffd_zero(host_of(p), 1, writable, true);
            from = p + 1;
        }
    }
    if (end > from) {
        dq_uffd_zero(host_of(from), end - from, writable, false);
    }
}

static void engine_install(void *ctx, uint64_t page, uint32_t count, const void *data,
                           bool writable)
{
    (void)ctx;
    if (data) {
        dq_uffd_copy(host_of(page), data, writable);
        dq_stat_add(pages_in, 1);
    } else {
        install_zeroes(page, count, writable);
    }
}

static void engine_make_writable(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_uffd_unprotect(host_of(page));
    dq_stat_add(upgrades, 1);
}

static void engine_make_readonly(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_uffd_protect(host_of(page));
}

static void engine_drop(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_uffd_discard(host_of(page));
}

static bool engine_release(void *ctx, uint64_t page)
{
    (void)ctx;
    return dq_code_release(page);
}

static void engine_timer(void *ctx, uint64_t when)
{
    struct itimerspec t = {
        .it_value = {(time_t)(when / 1000000000u), (long)(when % 1000000000u)},
    };

    (void)ctx;
    timerfd_settime(dq_pager.timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void engine_granted(void *ctx, uint64_t page, enum dq_page_state state)
{
    (void)ctx;
    dq_ask_granted(page, state);
}

static const struct dq_cache_ops cache_ops = {
    .send = engine_send,
    .install = engine_install,
    .make_writable = engine_make_writable,
    .make_readonly = engine_make_readonly,
    .drop = engine_drop,
    .release = engine_release,
    .timer = engine_timer,
    .granted = engine_granted,
};

static const struct dq_dir_ops dir_ops = {
    .send = directory_send,
    .reset_done = directory_reset_done,
};

/* ---- faults ---- */

/*
 * The access is allowed already, so this fault is an echo: of a thread that a signal took out
 * of its wait and that faulted again, or of two threads that fault on one page. Waking would
 * do, but for a page that is held and absent. It can be: the range was not registered when the
 * page was granted, or somebody discarded it behind our back. Then its content is zeroes, here
 * and for whoever fetches it, and a wake alone would let the thread fault for ever.
 */
static void answer_echo(uint64_t page, bool protected)
{
    bool writable = dq_cache_state(dq_pager.cache, page) == DQ_EXCLUSIVE;

    if (!protected) {
        dq_uffd_zero(host_of(page), 1, writable, true);
    } else if (writable) {
        dq_uffd_unprotect(host_of(page));
    } else {
        dq_uffd_wake(host_of(page), 1);
    }
}

void dq_pager_fault(uint64_t page, bool write, bool protected)
{
    if (dq_ask_fault(page, write, protected)) {
        answer_echo(page, protected);
    }
}

static void on_faults(void)
{
    struct uffd_msg events[64];
    int n = dq_uffd_events(events, G_N_ELEMENTS(events));

    for (int i = 0; i < n; i++) {
        uint64_t flags = events[i].arg.pagefault.flags;

        if (events[i].event == UFFD_EVENT_PAGEFAULT) {
            bool protected = flags & UFFD_PAGEFAULT_FLAG_WP;

            dq_pager_fault((events[i].arg.pagefault.address - dq_pager.guest_base) >> DQ_PAGE_BITS,
                           protected || flags & UFFD_PAGEFAULT_FLAG_WRITE, protected);
        }
    }
    settle();
}

static void on_timer(void)
{
    uint64_t expired;

    if (read(dq_pager.timer, &expired, sizeof(expired)) == (ssize_t)sizeof(expired)) {
        dq_cache_tick(dq_pager.cache, dq_node_now());
        settle();
    }
}

/* ---- messages ---- */

/* The body is copied: it may lie at any address. */
static int on_page(int from, unsigned type, const void *body, size_t length)
{
    struct dq_msg_page m;
    const void *data = length > sizeof(m) ? (const uint8_t *)body + sizeof(m) : NULL;

    memcpy(&m, body, sizeof(m));
    switch (type) {
    case DQ_MSG_GET_S:
    case DQ_MSG_GET_X:
    case DQ_MSG_DONE:
    case DQ_MSG_RACK:
        return dq_dir_message(dq_pager.dir, from, type, &m);
    default:
        return dq_cache_message(dq_pager.cache, from, type, &m, data, dq_node_now());
    }
}

int dq_pager_message(int from, unsigned type, const void *body, size_t length)
{
    int err = type < DQ_MSG_OWN ? on_page(from, type, body, length)
                                : dq_range_message(from, type, body, length);

    if (err == 0) {
        settle();
    }
    return err;
}

void dq_pager_released(uint64_t page)
{
    dq_cache_released(dq_pager.cache, page, dq_node_now());
    settle();
}

/* ---- opening ---- */

int dq_pager_start(const struct dq_config *cfg)
{
    dq_pager.self = cfg->node;
    dq_pager.count = cfg->nodes;
    dq_pager.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (dq_pager.timer < 0) {
        return -errno;
    }
    dq_pager.dir = dq_dir_new(cfg->node, cfg->nodes, cfg->run_pages, &dir_ops, NULL);
    dq_pager.cache =
        dq_cache_new(cfg->node, cfg->nodes, (uint64_t)cfg->hold_us * 1000, &cache_ops, NULL);
    dq_ask_start();
    dq_node_watch(dq_pager.timer, on_timer);
    return 0;
}

static int report_open_error(int err)
{
    if (err == -ENOSYS) {
        dq_control_error(125,
                         "node %d: this kernel has no userfaultfd with write protection; "
                         "Linux 5.7 or newer is needed, with CONFIG_USERFAULTFD",
                         dq_pager.self);
    } else if (err == -EPERM) {
        dq_control_error(125,
                         "node %d may not use userfaultfd; run as root, or let root do "
                         "\"sysctl vm.unprivileged_userfaultfd=1\" or give this user access to "
                         "/dev/userfaultfd",
                         dq_pager.self);
    } else {
        dq_control_error(125, "node %d cannot open userfaultfd: %s", dq_pager.self,
                         g_strerror(-err));
    }
    return err;
}

static void watch_faults(void *arg)
{
    (void)arg;
    dq_node_watch(dq_uffd_fd(), on_faults);
}

int dq_pager_open(uintptr_t guest_base)
{
    int err;

    if (!dq_node_is_live()) {
        return 0;
    }
    err = dq_uffd_open();
    if (err) {
        return report_open_error(err);
    }
    dq_pager.guest_base = guest_base;
    dq_node_call(watch_faults, NULL);
    return 0;
}

int dq_pager_register(uint64_t start, uint64_t length)
{
    return dq_node_is_live() ? dq_uffd_register(dq_pager.guest_base + start, length) : 0;
}

int dq_pager_unregister(uint64_t start, uint64_t length)
{
    return dq_node_is_live() ? dq_uffd_unregister(dq_pager.guest_base + start, length) : 0;
}

void dq_pager_forked(void)
{
    dq_uffd_close();
    close(dq_pager.timer);
    dq_pager.timer = -1;
}
