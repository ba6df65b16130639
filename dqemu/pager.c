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
#include <inttypes.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dqemu/check.h"
#include "dqemu/coherence.h"
#include "dqemu/control.h"
#include "dqemu/hot.h"
#include "dqemu/ranges.h"
#include "dqemu/runtime.h"
#include "dqemu/split.h"
#include "dqemu/stats.h"
#include "dqemu/uffd.h"

struct dq_pager dq_pager = {.timer = -1};

/*
 * Where in a page a thread of this node has faulted last: its home would like to know. Who asks for
 * the page ahead of a thread knows no better. Two pages that meet in one place: the older is
 * forgotten.
 */
#define FAULT_PLACES 4096u
static struct fault_place {
    uint64_t page;
    uint16_t at; /* 1 + the byte; 0: not known */
} fault_places[FAULT_PLACES];

static void note_fault(uint64_t addr)
{
    uint64_t page = addr >> DQ_PAGE_BITS;

    if (dq_uffd_is_exact()) {
        fault_places[page % FAULT_PLACES] =
            (struct fault_place){page, (uint16_t)(1 + addr % DQ_PAGE_SIZE)};
    }
}

static uint16_t last_fault_in(uint64_t page)
{
    const struct fault_place *f = &fault_places[page % FAULT_PLACES];

    return f->page == page ? f->at : 0;
}

static void tell_holds_back(void);

static void settle(void)
{
    dq_ask_settle();
    dq_range_settle();
    tell_holds_back();
}

/* ---- what the engine does ---- */

static void engine_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m,
                        bool with_page)
{
    (void)ctx;
    if (type == DQ_MSG_ACK || type == DQ_MSG_DATA_X || type == DQ_MSG_DATA_M) {
        dq_stat_add(invalidations, 1);
    }
    if ((type == DQ_MSG_GET_S || type == DQ_MSG_GET_X) && dq_split_is_wanted()) {
        struct dq_msg_page get = *m;

        get.node = last_fault_in(m->page);
        dq_batch_send(to, type, &get, false);
        return;
    }
    if (type == DQ_MSG_DONE && to == dq_pager.self) {
        if (dq_dir_message(dq_pager.dir, to, type, m) < 0) {
            dq_node_fail("node %d: its directory lost count of page %" PRIx64
                         "; this is a fault of dqemu",
                         to, m->page);
        }
        return;
    }
    dq_batch_send(to, type, m, with_page);
}

static void directory_send(void *ctx, int to, unsigned type, const struct dq_msg_page *m)
{
    (void)ctx;
    dq_batch_send(to, type, m, false);
}

static void directory_reset_done(void *ctx, uint64_t cookie)
{
    (void)ctx;
    dq_range_reset_done(cookie);
}

/*
 * Zeroes for a run: only what is about to be written gets memory of its own now. Where a thread
 * fills memory in order, that is a part of the run; the rest is left absent, and follows with
 * the thread's next faults (answer_echo()), which cost no message: the loop is never busy for
 * long, and who stops early has not used the memory.
 */
static void install_zeroes(uint64_t page, uint32_t count, bool writable)
{
    uint64_t end = page + count, from = page;

    dq_stat_add(zero_grants, count);
    if (dq_ahead_fills(page, count)) {
        dq_uffd_zero(dq_pager_host(page), DQ_ZERO_PAGES, writable, true);
        return;
    }
    for (uint64_t p = page; p < end; p++) {
        if (dq_ask_writes(p)) {
            if (p > from) {
                dq_uffd_zero(dq_pager_host(from), p - from, writable, false);
            }
            dq_uffd_zero(dq_pager_host(p), 1, writable, true);
            from = p + 1;
        }
    }
    if (end > from) {
        dq_uffd_zero(dq_pager_host(from), end - from, writable, false);
    }
}

static void engine_install(void *ctx, uint64_t page, uint32_t count, const void *data,
                           bool writable)
{
    (void)ctx;
    if (!data) {
        dq_batch_flush(); /* an older copy may still have to go */
        install_zeroes(page, count, writable);
        dq_ahead_granted(page, count);
        dq_resident_granted(page, count);
    } else if (!dq_ahead_withhold(page, data, writable)) {
        dq_batch_install(page, data, writable);
    }
}

/*
 * The bytes of this moment: whoever else holds the page later has the same. The kernel may have to
 * wait for the disk, and reads on from there by itself; the loop waits for that.
 */
static bool engine_fill(void *ctx, uint64_t page)
{
    uint8_t bytes[DQ_PAGE_SIZE];
    uintptr_t file;

    (void)ctx;
    if (!dq_ranges_has(dq_pager.files, page, &file)) {
        return false;
    }
    dq_uffd_read_file(file, bytes);
    dq_batch_flush(); /* an older copy may still have to go */
    dq_uffd_fill(dq_pager_host(page), bytes);
    dq_stat_add(file_pages, 1);
    return true;
}

static void engine_make_writable(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_batch_writable(page);
    dq_stat_add(upgrades, 1);
}

static void engine_make_readonly(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_batch_readonly(page);
}

static void engine_drop(void *ctx, uint64_t page)
{
    (void)ctx;
    dq_batch_drop(page);
    dq_split_gone(page);
    dq_resident_forget(page);
}

static bool engine_release(void *ctx, uint64_t page)
{
    (void)ctx;
    return dq_code_release(page);
}

static void engine_timer(void *ctx, uint64_t when)
{
    (void)ctx;
    dq_node_set_timer(dq_pager.timer, when);
}

static void engine_granted(void *ctx, uint64_t page, enum dq_page_state state)
{
    (void)ctx;
    dq_ask_granted(page, state);
}

static const struct dq_cache_ops cache_ops = {
    .send = engine_send,
    .install = engine_install,
    .fill = engine_fill,
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

    if (dq_ahead_show(page, writable)) {
        return;
    }
    if (!protected) {
        dq_uffd_zero(dq_pager_host(page), dq_ahead_fill(page), writable, true);
    } else if (writable) {
        dq_uffd_unprotect(dq_pager_host(page), 1);
    } else {
        dq_uffd_wake(dq_pager_host(page), 1);
    }
}

void dq_pager_fault(uint32_t thread, uint64_t page, bool write, bool protected)
{
    bool clean = dq_cache_state(dq_pager.cache, page) == DQ_CLEAN;
    bool rested = clean && dq_cache_is_rested(dq_pager.cache, page);

    dq_resident_forget(page);
    if (dq_ask_fault(thread, page, write, protected)) {
        if (rested && write && !dq_split_used(page)) {
            dq_rest_regret(page);
        }
        dq_batch_flush(); /* it may be in there, and is if it is made writable just now */
        if (!(clean && protected)) {
            answer_echo(page, protected);
        }
    }
    dq_ahead_fault(thread, page, write);
}

static void on_faults(void)
{
    struct uffd_msg events[64];
    int n = dq_uffd_events(events, G_N_ELEMENTS(events));

    for (int i = 0; i < n; i++) {
        uint64_t flags = events[i].arg.pagefault.flags;

        if (events[i].event == UFFD_EVENT_PAGEFAULT) {
            bool protected = flags & UFFD_PAGEFAULT_FLAG_WP;
            uint64_t addr = events[i].arg.pagefault.address - dq_pager.guest_base;

            note_fault(addr);
            dq_pager_fault(events[i].arg.pagefault.feat.ptid, addr >> DQ_PAGE_BITS,
                           protected || flags & UFFD_PAGEFAULT_FLAG_WRITE, protected);
        }
    }
    settle();
}

static void on_timer(void)
{
    if (dq_node_timer_expired(dq_pager.timer)) {
        dq_cache_tick(dq_pager.cache, dq_node_now());
        settle();
    }
}

/* ---- pages that threads have done with ---- */

/*
 * Threads note them here without a word to the loop, which looks when the page is asked for.
 * Two pages that meet in one place: the older note is lost, and its page is held to the end, or
 * takes the newer one's time, and is held too short. A hold time may have any length.
 */
#define NOTES 64u

static struct note {
    uint64_t page, when; /* atomic each; together they may be of two notes, see below */
} notes[NOTES];
static bool holds_back; /* atomic: the loop would like to hear of notes at once */

static struct note *note_of(uint64_t page)
{
    return &notes[page * 0x9e3779b97f4a7c15ull >> 58];
}

static void heed_note(uint64_t page)
{
    struct note *n = note_of(page);

    if (__atomic_load_n(&n->page, __ATOMIC_RELAXED) == page) {
        dq_cache_let_go(dq_pager.cache, page, __atomic_load_n(&n->when, __ATOMIC_RELAXED),
                        dq_node_now());
    }
}

static void post_let_go(void *arg)
{
    heed_note(GPOINTER_TO_SIZE(arg));
    settle();
}

void dq_pager_let_go(uint64_t page)
{
    struct note *n = note_of(page);

    if (!dq_node_is_live()) {
        return;
    }
    __atomic_store_n(&n->when, dq_node_now(), __ATOMIC_RELAXED);
    __atomic_store_n(&n->page, page, __ATOMIC_RELAXED);
    if (__atomic_load_n(&holds_back, __ATOMIC_RELAXED)) {
        dq_node_post(post_let_go, GSIZE_TO_POINTER(page));
    }
}

static void tell_holds_back(void)
{
    bool now = dq_cache_holds_back(dq_pager.cache);

    if (now != __atomic_load_n(&holds_back, __ATOMIC_RELAXED)) {
        __atomic_store_n(&holds_back, now, __ATOMIC_RELAXED);
    }
}

/* ---- messages ---- */

static int on_page(int from, unsigned type, const struct dq_msg_page *m, const void *data,
                   uint64_t now)
{
    switch (type) {
    case DQ_MSG_GET_S:
    case DQ_MSG_GET_X:
        dq_hot_asked(dq_split_page_of(m->page << DQ_PAGE_BITS), from, type == DQ_MSG_GET_X);
        dq_split_asked(m->page, from,
                       type == DQ_MSG_GET_X || dq_dir_is_migratory(dq_pager.dir, m->page), m->node);
        /* fall through */
    case DQ_MSG_DONE:
    case DQ_MSG_RACK:
        return dq_dir_message(dq_pager.dir, from, type, m);
    case DQ_MSG_FETCH_S:
        if (!dq_split_is_shadow(m->page)) {
            dq_rest_read(m->page);
        }
        /* fall through */
    case DQ_MSG_FETCH_X:
    case DQ_MSG_FETCH_M:
    case DQ_MSG_INV:
        heed_note(m->page);
        /* fall through */
    default:
        return dq_cache_message(dq_pager.cache, from, type, m, data, now);
    }
}

/* One page after the other. The body's head is copied: it may lie at any address. */
static int on_pages(int from, unsigned type, const void *body, size_t length)
{
    struct dq_msg_page m;
    const uint8_t *data = length > sizeof(m) ? (const uint8_t *)body + sizeof(m) : NULL;
    uint64_t now = dq_node_now();
    uint32_t count;
    int err = 0;

    memcpy(&m, body, sizeof(m));
    if (type == DQ_MSG_GRANT_ZERO || type == DQ_MSG_WAIT) {
        return on_page(from, type, &m, NULL, now);
    }
    count = m.count;
    if (count == 0 || count > DQ_CHUNK_PAGES ||
        (data && length != sizeof(m) + (size_t)count * DQ_PAGE_SIZE)) {
        return -EPROTO;
    }
    m.count = 1;
    for (uint32_t i = 0; i < count && !err; i++, m.page++) {
        const uint8_t *bytes = data ? data + (size_t)i * DQ_PAGE_SIZE : NULL;

        if (bytes) {
            dq_check_arrived(from, m.page, bytes);
        }
        err = on_page(from, type, &m, bytes, now);
    }
    dq_batch_grants();
    return err;
}

int dq_pager_message(int from, unsigned type, const void *body, size_t length)
{
    int err;

    if (type < DQ_MSG_OWN) {
        err = on_pages(from, type, body, length);
    } else if (type <= DQ_MSG_LISTED) {
        err = dq_range_message(from, type, body, length);
    } else if (type == DQ_MSG_SUMS) {
        err = dq_check_message(from, body, length);
    } else if (type == DQ_MSG_RESIDENT_ASK || type == DQ_MSG_RESIDENT) {
        err = dq_resident_message(from, type, body, length);
    } else {
        err = dq_split_message(from, type, body);
    }

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
    dq_pager.files = dq_ranges_new(DQ_PAGE_SIZE);
    dq_ask_start();
    dq_ahead_start(cfg);
    dq_rest_start(cfg);
    dq_check_start(cfg);
    dq_node_watch(dq_pager.timer, on_timer);
    return dq_split_start(cfg);
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
                         "node %d may not use userfaultfd, not even for its own threads; use Linux "
                         "5.11 or later, and allow the system call where a container forbids it",
                         dq_pager.self);
    } else if (err == -ENOTSUP) {
        dq_control_error(125,
                         "node %d may not read its own protected memory by /proc/self/mem; boot "
                         "with proc_mem.force_override=always",
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

int dq_pager_admit(const struct dq_config *cfg)
{
    int err = dq_uffd_open(cfg->threads_only);

    if (err) {
        return report_open_error(err);
    }
    if (!dq_uffd_serves_kernel()) {
        dq_control_log("page faults of threads alone are served (%s): system calls use copies of "
                       "the program's memory",
                       cfg->threads_only ? "threads_only" : "no permission for more");
    }
    return 0;
}

bool dq_pager_serves_kernel(void)
{
    return !dq_node_is_live() || dq_uffd_serves_kernel();
}

void dq_pager_open(uintptr_t guest_base)
{
    if (dq_node_is_live()) {
        dq_pager.guest_base = guest_base;
        dq_node_call(watch_faults, NULL);
    }
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
    dq_split_forked();
    close(dq_pager.timer);
    dq_pager.timer = -1;
}

/* ---- how much there is ---- */

struct dq_pager_pages dq_pager_count(void)
{
    struct dq_pager_pages p = {.held = dq_cache_held(dq_pager.cache)};

    p.homed = dq_dir_touched(dq_pager.dir, &p.most_homed);
    return p;
}

static void count(void *arg)
{
    *(struct dq_pager_pages *)arg = dq_pager_count();
}

struct dq_pager_pages dq_pager_ask_count(void)
{
    struct dq_pager_pages p;

    dq_node_call(count, &p);
    return p;
}
