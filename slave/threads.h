/*
 * Threads that run on this slave: their calls to their proxies, and kicks.
 *
 * A thread asks its proxy for one thing at a time and waits for the RESULT. Slaves only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_SLAVE_THREADS_H
#define DQ_SLAVE_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dqemu/cpu_time.h"
#include "dqemu/gate.h"
#include "proto/wire.h"
#include "slave/sched.h"

struct dq_remote {
    uint32_t tid;                 /* the guest's */
    int host_tid;                 /* the host thread that runs it; 0 before it does */
    int kicked;                   /* a KICK came; taken by dq_remote_was_kicked() */
    int go;                       /* a result said that it is to come to the master */
    uint64_t before_ns;           /* its clock when it came here */
    struct dq_sched *sched;       /* for who is being made; NULL: as the loop made it */
    struct dq_gate answered;      /* opens when the result is there */
    struct dq_msg_result *result; /* with its frames behind it; room for `room` bytes */
    size_t result_length, room;
};

/* The signal that makes a guest thread leave its translated code. Before threads. */
void dq_remote_init(int kick_signal);

/*
 * Results and kicks for r->tid reach r from now on: on the loop, as START comes, so that none
 * is lost while the host thread is being made.
 */
void dq_remote_open(struct dq_remote *r);
/* The host thread is there; true if a kick came before it. The thread itself. */
bool dq_remote_begin(struct dq_remote *r, int host_tid);
void dq_remote_close(struct dq_remote *r);

/*
 * Send a request (with trailing bytes) and wait for its result: r->result, valid until the
 * next call. Blocks; not interrupted by signals. The thread itself.
 */
const struct dq_msg_result *dq_remote_call(struct dq_remote *r, unsigned type, const void *body,
                                           size_t length, const void *more, size_t more_length);

/* The latest result is the caller's, to g_free(). The thread itself; no call is under way. */
struct dq_msg_result *dq_remote_take_result(struct dq_remote *r);

/* True once after each KICK (several may count as one). The thread itself. */
bool dq_remote_was_kicked(struct dq_remote *r);

/*
 * The processor time that the thread has used here, at least 1 ns; 0 if it does not run here. With
 * `parts`: user and system time, too, as the kernel sees them.
 */
void dq_remote_cpu_time(uint32_t tid, bool parts, struct dq_cpu_time *t);

/* SCHED, on the loop. -EPROTO: no such message. None is needed for a thread that is gone. */
int dq_remote_sched(const void *body, size_t length);

/* RESULT and KICK, on the loop or the worker. -EPROTO: no such thread, or it awaits nothing. */
int dq_remote_message(unsigned type, const void *body, size_t length);

#endif
