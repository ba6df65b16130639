/*
 * The hosts of a run together: their agents started, polled, waited for and ended.
 *
 * remotes[0] is this machine: its agent looks at it as the others do at theirs, and runs its nodes
 * but node 0, which is the launcher's own child.
 *
 * One thread; nothing blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_RACK_H
#define DQ_RACK_H

#include "deploy/remote.h"

struct dq_rack {
    const struct dq_hosts *hosts;
    struct dq_remote remotes[DQ_MAX_NODES + 1];
    int count;
    struct dq_way way;
    int contact_ms; /* an agent that is silent for so long is lost */
};

/* What agents take to end what they have, and the way there and back, in milliseconds. */
#define DQ_RACK_END_MS 2000

#define DQ_RACK_FDS (DQ_REMOTE_FDS * (DQ_MAX_NODES + 1))

/* Before anything is started; `hosts` must live on. */
void dq_rack_init(struct dq_rack *rack, const struct dq_hosts *hosts);

/* Start all agents; who cannot be started is gone. */
void dq_rack_start(struct dq_rack *rack);

/* As dq_remote_fill() and dq_remote_ready() of each, in one array; fill returns its length. */
int dq_rack_fill(const struct dq_rack *rack, struct pollfd *fds);
void dq_rack_ready(struct dq_rack *rack, const struct pollfd *fds);

/* True: that was a process of the rack. */
bool dq_rack_changed(struct dq_rack *rack, pid_t pid, int wait_status);

/* As dq_remote_beat() and dq_remote_tick() of each; the first of the times. */
void dq_rack_beat(struct dq_rack *rack);
int64_t dq_rack_tick(struct dq_rack *rack);

/* Our own stop is coming, or is over: the agents' time-outs do not count meanwhile. */
void dq_rack_rest(struct dq_rack *rack, bool on);

void dq_rack_bye(struct dq_rack *rack);
void dq_rack_kill(struct dq_rack *rack);
/* Are all processes that lead to agents gone? */
bool dq_rack_is_over(const struct dq_rack *rack);

/* The remote of a node's host. */
struct dq_remote *dq_rack_of(struct dq_rack *rack, int node);

void dq_rack_free(struct dq_rack *rack);

#endif
