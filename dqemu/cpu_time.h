/*
 * The processor time of the whole program: that of this process, which its kernel counts, and that
 * of the other nodes, which are asked.
 *
 * The time that a node has used never falls, so the sum of answers, whenever they were given, is a
 * lower bound of the truth from then on. dq_cpu_time_process() uses such a sum again while two
 * things hold:
 *
 *   - it was asked for less than a tick ago: it is too low by at most what the others have used
 *     since, one tick for each of their threads that run (an ordinary kernel counts no better what
 *     runs on its other processors);
 *   - nothing has come from another node since before it was asked for (dq_node_news()). So no
 *     thread here can know of anything that was done elsewhere after that, and in particular of no
 *     clock that was read there.
 *
 * Therefore no clock is seen to go back: let a thread read V, then synchronise with another one,
 * which reads W. On the same node, W is made of a later time of this process, and of the same sum or
 * of a larger one, since a smaller one never replaces it. On another node, the synchronisation came
 * there by a message, so W is made of answers that were all given after V was read: each node's part
 * in it is at least the one in V. For the same reason W contains all that the first thread has used.
 *
 * Any node. Any thread, but for what is said to be the loop's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CPU_TIME_H
#define DQ_CPU_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

struct dq_cpu_time {
    uint64_t ns, user_us, system_us; /* the latter are what the kernel estimates, in ticks */
};

/*
 * Guest threads run on several nodes from now on: before that nobody is asked, and the others have
 * used nothing. On a slave what the process has used until now does not count, and `of_thread` is
 * who knows what a guest's thread has used here (on the loop; 0 ns: it does not run here), with its
 * `parts` or without.
 */
typedef void dq_cpu_of_thread_fn(uint32_t tid, bool parts, struct dq_cpu_time *t);
void dq_cpu_time_begin(dq_cpu_of_thread_fn *of_thread);
bool dq_cpu_time_has_begun(void);

/*
 * On the master: what other nodes have used for programs that this one has replaced (execve()). It counts as that
 * of the other nodes. NULL: nothing, as in a forked child. Before there are other threads.
 */
void dq_cpu_time_set_before(const struct dq_cpu_time *t);
bool dq_cpu_time_has_before(void);

/* What this process has used. Never blocks. */
void dq_cpu_time_here(struct dq_cpu_time *t);

/* A question to other nodes. The memory is the asker's until `answered` is called, on the loop. */
struct dq_cpu_question {
    struct dq_cpu_time sum; /* of the answers */
    void (*answered)(struct dq_cpu_question *q);
    struct dq_cpu_question *next;
    uint64_t cookie, news, asked;
    uint32_t tid;
    bool parts; /* user and system time of that thread, too; those of all threads are always told */
    int awaited;
};

/*
 * How much has the guest's thread q->tid used, or have all threads (0), on this node, or on all
 * others (-1)? If nobody need be asked, q->answered() is called at once. Never blocks.
 */
void dq_cpu_time_ask(struct dq_cpu_question *q, int node);

/* The same, exactly, waiting for the answers: under no lock, not on the loop. */
void dq_cpu_time_elsewhere(uint32_t tid, int node, bool parts, struct dq_cpu_time *sum);

/* The processor time of the process, in ns, as said above. May block: under no lock. */
uint64_t dq_cpu_time_process(void);

/* CPU_ASK, CPU; on the loop. -EPROTO: nobody has asked. */
int dq_cpu_time_message(int from, unsigned type, const void *body);

void dq_cpu_time_forked(void);

#endif
