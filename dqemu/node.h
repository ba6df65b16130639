/*
 * The node runtime that master and slave share: one event loop (libevent) that owns the
 * transport, the userfaultfd, the directory shard and the page cache; and one worker thread
 * for what may wait for the emulator's locks.
 *
 * Threads:
 *   loop    owns everything above; never blocks, never takes an emulator lock, never touches
 *           guest memory except through the pager's system calls.
 *   worker  applies map changes and throws translations away; may take mmap_lock.
 *   guest   (proxies too) call dq_node_send(), dq_pager_*() and dq_code_*(); they may block.
 *
 * All signals are blocked on loop and worker.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_NODE_H
#define DQ_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dqemu/config.h"
#include "proto/wire.h"

struct dq_node_ops {
    /*
     * A message that is not the pager's (MAP and later in DQ_MESSAGES). On the loop: must not
     * block. The length has been checked; `body` is valid during the call.
     */
    void (*message)(void *ctx, int from, unsigned type, const void *body, size_t length);
    /* Throw away the translations of a guest page (mmap_lock is the emulator's). On the worker. */
    void (*drop_code)(void *ctx, uint64_t page);
    /* On the loop: a peer is gone. The default action (NULL) reports through control and ends. */
    void (*lost)(void *ctx, int node, const char *why);
};

/*
 * glibc loads its unwinder when a thread first calls pthread_exit(), and has the file open for
 * a moment: under the lowest free number, which the guest may have closed just before; and it is not
 * found where the guest has a root of its own. This lets it happen now; dq_node_open() has done so.
 * Before the guest runs; waits for a thread.
 */
void dq_node_load_unwinder(void);

/*
 * Start loop and worker, meet all peers (through the control channel, see dqemu/control.h),
 * and return once the launcher says go. Blocks. 0 or -errno (already reported).
 * Call once, before the process has other threads that matter. With one node nothing is
 * opened: from then on every function here does nothing and returns at once, 0 if anything.
 */
int dq_node_open(const struct dq_config *cfg, const struct dq_node_ops *ops, void *ctx);

int dq_node_self(void);  /* this node's number */
int dq_node_count(void); /* how many there are */

/* Any thread, never blocks. `to` may be this node: then it is delivered from the loop. */
void dq_node_send(int to, unsigned type, const void *body, size_t length);
/* The same with trailing bytes after the fixed body. */
void dq_node_send2(int to, unsigned type, const void *body, size_t length, const void *more,
                   size_t more_length);

/* Run fn(arg) on the loop, on the worker. Any thread, never blocks; in order of posting. */
void dq_node_post(void (*fn)(void *arg), void *arg);
void dq_node_work(void (*fn)(void *arg), void *arg);

/* Monotonic nanoseconds. */
uint64_t dq_node_now(void);

/*
 * How often something has come from another node by which threads here may know what was done there:
 * pages, results, signals, wakes. While it stays the same they know of nothing new. It is counted before
 * a thread can see it. Any thread.
 */
uint64_t dq_node_news(void);

/*
 * Guest threads have this real-time priority: the loop, if it has one itself, must still preempt them.
 * Any thread, never blocks.
 */
void dq_node_outrun(int priority);

/*
 * An orderly end is under way (END sent or received, or the guest's image is about to be
 * replaced): peers that vanish from now on are no fault. Call it before dq_control_stats():
 * it also brings the transport's counters up to date. On a slave a vanished master ends the
 * process in any case, quietly, with its counters reported.
 */
void dq_node_ending(void);

/* In a forked child: it is a plain emulator from now on. Closes what the node held. */
void dq_node_forked(void);

/*
 * Is this one of the descriptors that the node itself has open? The guest must not close or
 * replace it. Any thread; never blocks.
 */
bool dq_node_owns_fd(int fd);
/* The least of them that is not below `from`; -1: none. */
int dq_node_next_own_fd(unsigned from);

/*
 * Is this (by the kernel's number) a thread of the node itself, which the guest does not have? And how many are
 * there? Any thread; never blocks.
 */
bool dq_node_owns_thread(int tid);
int dq_node_own_threads(void);

/* ---------------------------------------------------------------- pager */

/*
 * Do the kernel's own accesses to guest memory wait for pages, as those of threads do? If not, they
 * fail with EFAULT where a page is absent or protected. Constant once the node is open; true with one
 * node.
 */
bool dq_pager_serves_kernel(void);

/*
 * Where guest address 0 lies in this process. Until dq_pager_register() nothing traps.
 */
void dq_pager_open(uintptr_t guest_base);

/*
 * Put [start, start + length) (guest bytes, page-aligned) under the pager: its missing and
 * write-protected pages trap from now on. The range must be private anonymous memory.
 * Any thread. Mapping over a part with MAP_FIXED takes that part out again.
 */
int dq_pager_register(uint64_t start, uint64_t length);

/* Exclude a range (it becomes memory of the kernel's own, MAP_SHARED). */
int dq_pager_unregister(uint64_t start, uint64_t length);

/*
 * The pages of the range that are present in this process (pagemap) are Exclusive here:
 * tells the cache and all homes. Master only, at engagement. Returns when the homes have it
 * (messages sent by this node later find it done). One range after the other may be taken
 * over, each registered before; what this node's threads ask for meanwhile waits. Blocks.
 */
int dq_pager_own(uint64_t start, uint64_t length);

/*
 * Wait until each page of the range has been present for reading (or writing) since the
 * call: a prefetch, not a hold. For pages under the pager only. Blocks. Guest threads.
 */
void dq_pager_want(uint64_t page, uint64_t count, bool write);

/*
 * The calling thread has done what it had the page for (it is about to sleep, or has unlocked
 * what lies there): the page need not be kept for the rest of its hold time. Any thread; does
 * not block.
 */
void dq_pager_let_go(uint64_t page);

/*
 * The pages of the range are untouched on every node when this returns. Master only; the
 * caller has forbidden the range everywhere or accepts that it may be touched again. Whoever does
 * finds zeroes. Blocks.
 */
void dq_pager_reset(uint64_t page, uint64_t count);

/*
 * The same, but who touches one of them then finds what a file has there at that moment. `file`: where
 * this process has it mapped, readable and for nothing else, until a further dq_pager_reset() of
 * these pages has returned. What cannot be read there counts as zeroes.
 */
void dq_pager_reset_file(uint64_t page, uint64_t count, const void *file);

/*
 * `file`, the kernel's mapping that these pages come from, grows by `more` pages of the file; these have
 * nothing to do with the pager yet. Where it is from now on; MAP_FAILED with errno. Blocks.
 */
void *dq_pager_grow_file(uint64_t page, uint64_t count, void *file, uint64_t more);

/*
 * The touched pages that are homed here, now and at most so far, and the pages that this node holds.
 * On the loop.
 */
struct dq_pager_pages {
    uint64_t homed, most_homed, held;
};
struct dq_pager_pages dq_pager_count(void);
/* The same for everybody else. Blocks. */
struct dq_pager_pages dq_pager_ask_count(void);

/*
 * Which pages of the range has the program touched? A bit each. What a thread has only read where another one was
 * near may be left out. Master only, by one thread at a time; DQ_RESIDENT_PAGES at most. Blocks.
 */
#define DQ_RESIDENT_PAGES 1024u
void dq_pager_resident(uint64_t page, uint64_t count, uint64_t touched[DQ_RESIDENT_PAGES / 64]);

/*
 * Bring a copy of every touched page of the range here, and let no page leave until dq_pager_thaw():
 * for a fork (of all of them; no emulated thread of this process may run meanwhile), or because the
 * range moves. Costs by the pages that are touched. Blocks. Master only, one at a time.
 *
 * Who gathers must not write to guest memory before the thaw, nor wait for somebody who does: a page's
 * home may have promised it to another node already, which waits until this one lets the page go,
 * which waits for the thaw.
 */
#define DQ_ALL_PAGES (UINT64_C(1) << (64 - DQ_PAGE_BITS))
void dq_pager_gather(uint64_t page, uint64_t count);
void dq_pager_thaw(void);

/*
 * Make these pages this node's alone, writable, and keep them from all others until dq_pager_yield()
 * of the same pages (an unmapping alone does not wait). Both block. One thread of a node at a time, which
 * meanwhile touches no other page and waits for nobody. No page of them is split, or becomes it.
 */
void dq_pager_seize(uint64_t page, unsigned count);
void dq_pager_yield(uint64_t page, unsigned count);

/* ----------------------------------------------------- translated code */

/*
 * A thread is about to translate code from `page` and, if `count` is 2, the one behind it: bring
 * them here and keep them until dq_code_unhold() of the same thread. Call without any lock. Blocks.
 * A thread holds no more than that (a hold left over from an aborted translation ends here), and
 * waits for no other node once it has it.
 */
void dq_code_hold(uint64_t page, unsigned count);
/* Harmless without a hold. */
void dq_code_unhold(void);

#endif
