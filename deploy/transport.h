/*
 * What the nodes of a run talk over, when that is left to the launcher.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_DEPLOY_TRANSPORT_H
#define DQ_DEPLOY_TRANSPORT_H

struct dq_options;

/*
 * Settles config.transport: with --transport auto, RDMA if every node's address lies on an RDMA
 * device of this machine with an active port, else TCP. Says what and why if the user asked for
 * words, or for the choice. Asks the kernel.
 */
void dq_transport_choose(struct dq_options *options);

#endif
