/*
 * One run: starts the nodes, brings them together, passes signals on, notices what goes wrong,
 * and ends what is left.
 *
 * Start: node 0 first; once it listens the guest program has been loaded there, so a fault of
 * the program or of the emulator's options is told once. Then the others; once all listen,
 * each is told where its peers are; once all are ready, all are told to go.
 *
 * End, in this order of belief, because one fault shows in many places:
 *   1. node 0 has ended and says nothing of a fault: its status is the guest's.
 *   2. another node was killed by a signal, or its host was lost, and it had said nothing before:
 *      that is the fault.
 *   3. a node has reported an error: the first report is the fault.
 *   4. another node has ended with a status other than 0, or before the run began.
 *   5. a node has reported that it lost a peer.
 * 3 to 5 wait SETTLE_MS (SETTLE_HOSTS_MS) for something that is believed before them; 5 a little
 * longer for a lost node on a host that still talks.
 *
 * One thread; signals arrive through a signalfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CLUSTER_H
#define DQ_CLUSTER_H

#include "deploy/member.h"

struct dq_cluster {
    const struct dq_launch *launch;
    struct dq_member members[DQ_MAX_NODES];
    int nodes;           /* 0 until dq_cluster_run() */
    double wall_seconds; /* from the start of node 0 to its end */

    /* The rest is private to cluster.c. Times are monotonic microseconds; 0: never. */
    int signals; /* signalfd */
    bool going;  /* the guest runs, or has run */
    bool stops;  /* the job is to stop, as a signal to this process said */
    int64_t started, start_limit, time_limit, settled, kill_at, interrupted, beat;
    bool decided;
    bool killed; /* what is left has been told to end */
    bool failed; /* by a fault, which has been told: nothing of the run may live on */
    int left;    /* then: how many of its processes were alive at the last look */
    int status;
};

/*
 * Block the signals that a run handles, keeping the present mask in launch->signals. Before
 * any process is started. run->signals can be read until dq_cluster_run().
 */
void dq_cluster_prepare(struct dq_cluster *run, struct dq_launch *launch);

/* Run until nothing is left. The exit status; faults have been told in one line. */
int dq_cluster_run(struct dq_cluster *run);

void dq_cluster_free(struct dq_cluster *run);

#endif
