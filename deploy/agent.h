/*
 * The agent: the launcher's hand on a host. One process there, `dqemu-launch --agent`, started
 * through ssh (or srun, or a command of the user's) and talking over its standard input and output.
 * It looks at the host, starts the nodes that run there, relays their control channels, and ends
 * them when the launcher says so, is gone, or has not been heard of for too long.
 *
 * The conversation: one JSON object a line (deploy/lines.h), each with a "type".
 *
 *  agent -> launcher  hello     version, build. The first line.
 *  launcher -> agent  probe     slots, nodes, here, contact_ms, isa; node_binary (a path), or hash
 *                               and size of the node program to be kept here; address, interface,
 *                               resolved []: as deploy/facts.h has it
 *  agent -> launcher  facts     as there; wants: the node program is to be sent; realtime_us: its
 *                               clock as it says so
 *  launcher -> agent  file      then `size` bytes: the node program
 *  agent -> launcher  stored    node_build, or node_trouble (it does not start there), or
 *                               store_trouble (it cannot be kept there)
 *  launcher -> agent  listen    address, ports []
 *  agent -> launcher  listening port, or why; rdma (the device there), or no_rdma (why not)
 *  launcher -> agent  reach     peers [{address, port}]; none: is it there still?
 *  agent -> launcher  reached   results [ms or text]
 *  launcher -> agent  start     node, wrap [], arguments [], environment [], folder, share, shares
 *  agent -> launcher  started   node, pid; or why
 *  launcher -> agent  to        node, text: a line of its control channel
 *  agent -> launcher  from      node, text: the same from it
 *  agent -> launcher  says      node, text: a line on its stderr
 *  agent -> launcher  changed   node, status (as waitpid() tells): it has ended, all was relayed
 *  launcher -> agent  signal    node, signal
 *  launcher -> agent  rest      on: the launcher will be stopped; time-outs do not count
 *  both               beat      nothing else to say: I am here
 *  launcher -> agent  bye       end, whatever runs
 *
 * The secret of a run comes in a `to` line, and stands nowhere else on the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_AGENT_H
#define DQ_AGENT_H

#define DQ_AGENT_VERSION 1

/* Each side says something that often while a run lasts, in parts of contact_ms. */
#define DQ_AGENT_BEATS 4

/* Be one, until the end. The exit status. */
int dq_agent_main(void);

#endif
