/*
 * What an agent finds out about its host before a run: the facts that the preflight judges
 * (deploy/preflight.h), and whether other hosts can be reached.
 *
 * An agent, one thread; these calls block, for some seconds at most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_FACTS_H
#define DQ_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The facts of this host for a probe {slots, address, interface, resolved [address]}, as an
 * object without the node program's (dq_facts_add_node()):
 *   machine, kernel, build        of this host and this program
 *   page, files, locked, maps     bytes in a page; limits: open files, locked bytes, map count
 *   processors, memory_mb         of the host; memory that is available
 *   address, network              where its nodes will listen, or why that is not known
 *   caller                        the address by which the launcher's ssh came, if it did
 *   trouble [text]                what keeps `slots` nodes from running here, a clause each
 */
json_t *dq_facts_gather(const json_t *probe);

/* Add node_build, what the node program at `path` says it was built from, or node_trouble. */
void dq_facts_add_node(json_t *facts, const char *path);

/* A numeric address of the interface of that name, or within that network (CIDR); the caller's to
 * g_free(). NULL: none. */
char *dq_facts_find_address(const char *interface);

/*
 * The address of ours from which `peer` (numeric) is reached, by the kernel's routes; the caller's
 * to g_free(). NULL: there is no route.
 */
char *dq_facts_route(const char *peer);

/*
 * Listen on an address and, one after the other, on each of the ports (0: any), to see that they
 * are free; the last one stays open. Its descriptor, with *port; or -1 with *why (g_free()).
 */
int dq_facts_listen(const char *address, const json_t *ports, uint16_t *port, char **why);

/*
 * Connect to each of peers [{address, port}] at once. An array with, for each, the milliseconds it
 * took, or a text: why it failed.
 */
json_t *dq_facts_reach(const json_t *peers);

#endif
