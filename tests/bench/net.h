/*
 * Network namespaces for the nodes (net.sh), made at first use and kept until net_close().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stdbool.h>

#define NET_NODES 8 /* as many as any row needs */
#define NET_RATE "1gbit"

/* script: net.sh. The name's first part of the namespaces, or NULL and *why. */
const char *net_open(const char *script, char **why);
void net_close(void);
/* "10.87.0.1,10.87.0.2": the addresses of so many nodes; the caller frees it. */
char *net_addresses(int nodes);

#endif
