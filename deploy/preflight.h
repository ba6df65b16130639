/*
 * The preflight: before anything of a run is started, all hosts at once are asked whether they can
 * take part, and whether each can reach each other. One table says what was found, one line each
 * what is wrong.
 *
 * One thread; blocks until all hosts have answered or have been given up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_PREFLIGHT_H
#define DQ_PREFLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "deploy/rack.h"
#include "dqemu/config.h"

struct dq_preflight {
    struct dq_rack *rack;
    int nodes;                       /* of the run */
    const char *isa;                 /* whose node program is needed */
    const char *node_binary;         /* the user's path of it on every host; or NULL */
    const struct dq_push_file *push; /* or send this one; or NULL */
    const char *interface;           /* or NULL */
    uint16_t first_port;             /* 0: any */
    bool rdma;                       /* every host must have it */
    int signals;                     /* signalfd */
};

/*
 * Starts the rack's agents and asks. 0: all can take part, and each remote has its address; -1: not
 * all; else the signal that ended it. Nothing is said.
 */
int dq_preflight_run(const struct dq_preflight *p);

/* Does every address lie on an RDMA device? *text: the device of one, or why one does not. */
bool dq_preflight_has_rdma(const struct dq_preflight *p, const char **text);

/*
 * The processors of all hosts, one after the other, are the guest's; `parts`: the nodes of a host each
 * have a part of them, as deploy/spawn.c binds them. Nothing is set where all nodes are on one host.
 */
void dq_preflight_processors(const struct dq_preflight *p, bool parts,
                             struct dq_processors processors[DQ_MAX_NODES]);

/* What was found, one row a host; what is wrong, one line each: "dqemu: host NAME: ...". */
void dq_preflight_table(const struct dq_preflight *p, FILE *out);
void dq_preflight_troubles(const struct dq_preflight *p);

#endif
