/*
 * The way from hosts to a run: what is sent there, how agents are started, the preflight and what
 * it says.
 *
 * One thread; blocks until all hosts have answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_ONHOSTS_H
#define DQ_ONHOSTS_H

#include "deploy/member.h"
#include "deploy/rack.h"

/*
 * Open the run's logs, and prepare the rack for a run of options->hosts; `options` are the launch's,
 * and get their transport if that was left open. -1: it is ready, its agents wait for nodes;
 * else the exit status, everything has been said and has ended.
 */
int dq_on_hosts(struct dq_rack *rack, const struct dq_launch *launch, struct dq_options *options,
                int signals);

#endif
