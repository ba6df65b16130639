/*
 * Threads as the master sees them: where each one runs, and the mailboxes of the proxies.
 *
 * A thread that runs on a slave has a proxy on the master: a host thread that is that guest
 * thread for the host's kernel. The slave's messages for it are put into its mailbox by the
 * loop; the proxy takes them out in order. Master only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_MASTER_THREADS_H
#define DQ_MASTER_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "dqemu/config.h"
#include "dqemu/gate.h"

/* ------------------------------------------------------------ placement */

/*
 * `processors`: how many guest threads each node takes at once, at least 1: "pack" fills them, "spread"
 * loads all nodes alike by them. Before threads.
 */
void dq_place_init(int nodes, enum dq_placement placement, const int *processors);
/*
 * Choose a node for a new thread, one of those with a bit in `allowed`, and count it there. Any thread;
 * does not block.
 */
int dq_place_thread(uint64_t allowed);
/* The same for a thread that is there already: it is not counted. */
int dq_place_choose(uint64_t allowed);
/* A thread of that node is gone, or moved to another. */
void dq_place_gone(int node);
void dq_place_moved(int from, int to);

/* ------------------------------------------------------------ mailboxes */

struct dq_mail {
    struct dq_mail *next;
    unsigned type; /* enum dq_msg */
    size_t length;
    _Alignas(8) unsigned char body[]; /* as received, the thread's number first */
};

struct dq_proxy {
    uint32_t tid;        /* set by dq_proxy_open() */
    int node;            /* only this node may write to it */
    struct dq_gate mail; /* closed by dq_proxy_take() when there is none, opened by the next one */
    struct dq_mail *first, **last; /* guarded by the table's lock */
};

/* Messages for `tid` from `node` reach this mailbox from now on; it is the caller's memory. */
void dq_proxy_open(struct dq_proxy *p, uint32_t tid, int node);
/* No more; frees what is left in it. */
void dq_proxy_close(struct dq_proxy *p);
/* Whoever waits for mail of the thread `tid` looks up, if it has a mailbox. Any thread; does not block. */
void dq_proxy_nudge(uint32_t tid);
/*
 * The oldest mail (the caller frees it with g_free), or NULL: then p->mail is closed, and opens
 * when mail arrives. Does not block.
 */
struct dq_mail *dq_proxy_take(struct dq_proxy *p);

/*
 * A message from a slave to a proxy: SYSCALL, TAKE, MAP_ASK, EXIT, MOVE. On the loop. -EPROTO
 * if there is no such thread on that node.
 */
int dq_proxy_message(int from, unsigned type, const void *body, size_t length);

struct dq_where {
    uint32_t tid;
    int node;
};
/* The threads that have proxies, and where they run: the caller's to g_free(). Any thread. */
struct dq_where *dq_proxies_list(unsigned *count);

/* ------------------------------------------------------------ processor time */

/*
 * A thread that comes to the master: it is a thread of this process from now on, not the proxy's, which
 * is closed. Its clock goes on where it was on the slave: `carried` ns before what the kernel says here.
 */
void dq_proxy_moved(struct dq_proxy *p, int64_t carried);
/* Thread `tid` of this process ends. */
void dq_thread_ends(uint32_t tid);
/*
 * Where the clock of the guest's thread is kept: the node where it runs; for this one: *carried is to be
 * added to what the kernel says. Any thread, the loop too.
 */
int dq_thread_clock(uint32_t tid, int64_t *carried);

/* In a forked child: none of the threads exists here. */
void dq_threads_forked(void);

#endif
