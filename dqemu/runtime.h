/*
 * What the parts of the node runtime (node.c, worker.c, pager.c, batch.c, ahead.c, rest.c, ask.c,
 * range.c, code.c, uffd.c) know of each other. For everybody else there is node.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_RUNTIME_H
#define DQ_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "dqemu/coherence.h"
#include "dqemu/config.h"
#include "dqemu/gate.h"
#include "dqemu/node.h"
#include "proto/wire.h"

/* ---- node.c ---- */

/* There is a loop: more than one node, opened, and not in a forked child. Any thread. */
bool dq_node_is_live(void);

/* Run fn(arg) on the loop and return when it is done. Blocks. Not on the loop. */
void dq_node_call(void (*fn)(void *arg), void *arg);

/* Send, with `count` pages at the end. Any thread, never blocks. */
void dq_node_emit(int to, unsigned type, const void *body, size_t length, const void *pages,
                  unsigned count);

/* Call ready() from the loop whenever fd can be read. On the loop. */
void dq_node_watch(int fd, void (*ready)(void));

/* A timerfd expires at `when`, by dq_node_now(); 0: never. True once for each time that it has. */
void dq_node_set_timer(int fd, uint64_t when);
bool dq_node_timer_expired(int fd);

/* The run is over: tell the user (a line of cause and remedy) and end the process. */
_Noreturn void dq_node_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The emulator's drop_code, on the worker. */
void dq_node_drop_code(uint64_t page);

/* ---- descriptors.c ---- */

/*
 * Move a descriptor that was just opened out of the way of the guest's, and close it in programs that
 * are executed. The new number; or what came in if it is negative, or if there is no better place.
 * Changes the process's limit for a moment: while no other thread opens descriptors, or asks for
 * the limit or sets it.
 */
int dq_node_high_fd(int fd);

/*
 * Between them whatever is opened is ours, and lies there: for libraries, whose descriptors cannot be
 * moved. While there are no other threads. Where no guest has descriptors (!guest: on slaves), only
 * the first three are avoided.
 */
void dq_node_fds_begin(bool guest);
void dq_node_fds_end(void);

/* In a forked child: none is ours. */
void dq_node_fds_forked(void);

/* ---- worker.c ---- */

int dq_worker_open(void); /* 0 or -errno */
void dq_worker_forked(void);

/* A thread of ours with all signals blocked, which never ends. 0 or -errno. */
int dq_worker_thread(void *(*run)(void *arg), const char *name);

/* ---- pager.c; on the loop, but for forked ---- */

extern struct dq_pager {
    int self, count;
    uintptr_t guest_base; /* set before there is anything to fault */
    struct dq_dir *dir;
    struct dq_cache *cache;
    struct dq_ranges
        *files; /* the master's: pages that begin with a file's content, and where that is */
    int timer;  /* timerfd of the hold time */
} dq_pager;

int dq_pager_start(const struct dq_config *cfg); /* before the loop runs. 0 or -errno */
/*
 * Open what the kernel has for us, before the guest runs: it may give up the right to, or use up its
 * descriptors. 0 or -errno (already reported).
 */
int dq_pager_admit(const struct dq_config *cfg);
void dq_pager_forked(void);

/* GET_S to LISTED, SPLIT_* and SUMS in DQ_MESSAGES. 0; -EPROTO: no such message can come now. */
int dq_pager_message(int from, unsigned type, const void *body, size_t length);

/* A thread faults on the page. `protected`: it is present for reading. */
void dq_pager_fault(uint32_t thread, uint64_t page, bool write, bool protected);

/* What release() delayed may happen now: see dqemu/coherence.h. */
void dq_pager_released(uint64_t page);

/* The host's address of a guest page. */
static inline uintptr_t dq_pager_host(uint64_t page)
{
    return dq_pager.guest_base + (page << DQ_PAGE_BITS);
}

/* ---- batch.c; on the loop: the engine's effects, put off until they are flushed ---- */

void dq_batch_install(uint64_t page, const void *data, bool writable); /* data: until flushed */
void dq_batch_writable(uint64_t page);
void dq_batch_readonly(uint64_t page);
void dq_batch_drop(uint64_t page);
void dq_batch_send(int to, unsigned type, const struct dq_msg_page *m, bool with_page);
void dq_batch_flush(void);
void dq_batch_grants(void); /* the same, if pages are to be shown or made writable */

/* ---- ahead.c; on the loop: asking ahead of threads ---- */

void dq_ahead_start(const struct dq_config *cfg);
/* A thread has faulted: ask for what it will want next. */
void dq_ahead_fault(uint32_t thread, uint64_t page, bool write);
/* True: the page has come, and is not to be shown before somebody faults on it. Copies data. */
bool dq_ahead_withhold(uint64_t page, const void *data, bool writable);
bool dq_ahead_withholds(uint64_t page);
/* True: the page, present for reading, may be written to, but is not to be made so yet either. */
bool dq_ahead_withhold_write(uint64_t page);
/* Show a withheld page, writable now if not before. False: there is no such page. Wakes. */
bool dq_ahead_show(uint64_t page, bool writable);
void dq_ahead_show_all(void);         /* ... and withhold none */
void dq_ahead_resume(void);           /* ... until now */
void dq_ahead_protect(uint64_t page); /* a withheld page will be shown for reading only */
/* The content of a withheld page; no effect on others. */
void dq_ahead_read(uint64_t page, void *to);
/* The page is about to go: what is withheld of it goes, too. */
void dq_ahead_drop(uint64_t page);
/* The run to ask for where the page may be untouched (a power of two), and what was granted. */
unsigned dq_ahead_wish(uint64_t page);
void dq_ahead_granted(uint64_t page, uint32_t count);
/* True: a thread fills this run in order, from its begin; the first DQ_ZERO_PAGES are due now. */
bool dq_ahead_fills(uint64_t page, uint32_t count);
/* How many pages from here on are due now, where the page is held and absent. At least 1. */
unsigned dq_ahead_fill(uint64_t page);

/* ---- rest.c; on the loop: what others read is protected before they ask for it ---- */

void dq_rest_start(const struct dq_config *cfg);
/* Another node reads the page; the engine does not know yet. */
void dq_rest_read(uint64_t page);
/* A thread here has written to a page at rest, and it is Exclusive again. */
void dq_rest_regret(uint64_t page);
/* Protect what is due: system calls, which may take a tenth of a millisecond each. */
void dq_rest_run(void);

/* ---- resident.c; on the loop ---- */

void dq_resident_granted(uint64_t page, uint32_t count); /* pages that nobody had touched */
void dq_resident_forget(uint64_t page);                  /* it is touched, or goes */
/* RESIDENT_ASK, RESIDENT. -EPROTO: no such message can come now. */
int dq_resident_message(int from, unsigned type, const void *body, size_t length);

/* ---- ask.c; on the loop ---- */

/* Something waits until a page is here; part of what waits. */
struct dq_waiter {
    /* The access was there a moment ago. Must not ask for pages. The waiter is forgotten. */
    void (*met)(struct dq_waiter *w, uint64_t page);
    struct dq_waiter *next;
    bool write;
};
/* True: it is here. False: w->met() will be called. */
bool dq_pager_ask(uint64_t page, struct dq_waiter *w);

/* Pages that are wanted one after the other. The caller sets the first three. */
struct dq_want {
    const struct dq_run *runs;
    size_t run_count;
    bool write;
    uint64_t page; /* the next one, within runs[0] */
    unsigned in_flight;
    bool ready;
    struct dq_gate done; /* opens when all have been here */
};
void dq_want_start(struct dq_want *w);

void dq_ask_start(void);
/* True: the access is allowed already. False: a wake will follow. */
bool dq_ask_fault(uint32_t thread, uint64_t page, bool write, bool protected);
/* Ask for a page that nobody waits for yet. False: it is here, or on its way already. */
bool dq_ask_ahead(uint64_t page, bool write, bool marker);
bool dq_ask_is_marker(uint64_t page);     /* it is on its way as a marker, and nobody waits */
bool dq_ask_is_waited_for(uint64_t page); /* it is on its way, and some thread waits */
unsigned dq_ask_ahead_count(void);        /* pages on their way that nobody waited for */
unsigned dq_ask_faults(void);             /* threads that wait for pages in a fault */
bool dq_ask_awake_pays(void);             /* faults are served sooner if the loop waits awake */
void dq_ask_granted(uint64_t page, enum dq_page_state state); /* the engine's granted() */
bool dq_ask_writes(uint64_t page);                            /* somebody waits to write to it */
void dq_ask_settle(void);                                     /* go on with what became possible */

bool dq_ask_is_idle(void);      /* nothing is asked for and not here yet */
void dq_ask_list(GArray *runs); /* append what is: struct dq_run */
void dq_ask_hold_back(void);    /* postpone all requests ... */
void dq_ask_resume(void);       /* ... until now */

/* ---- range.c; on the loop ---- */

/* OWN to LISTED. 0; -EPROTO as above. */
int dq_range_message(int from, unsigned type, const void *body, size_t length);
void dq_range_reset_done(uint64_t cookie); /* the directory's reset_done() */
void dq_range_settle(void);

/* ---- code.c ---- */

/* The page is about to go: the engine's release(). On the loop. */
bool dq_code_release(uint64_t page);
void dq_code_forked(void);

#endif
