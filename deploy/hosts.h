/*
 * The hosts of a run: read from --hosts and --hostfile or from a Slurm allocation, and which node
 * runs on which.
 *
 * Host 0 is always the machine of the launcher, whether the user named it or not: node 0 runs
 * there. Named, it has the slots that were given, of which node 0 takes the first; not named, it
 * has that one slot. Nodes fill the hosts in the order of the list.
 *
 * One thread; resolving a name may block.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_HOSTS_H
#define DQ_HOSTS_H

#include <stdbool.h>

#include "proto/wire.h"

struct dq_host {
    char *name;    /* as the user wrote it: what ssh is given */
    char *address; /* that the user gave for it; NULL: none */
    int slots;
    int first, nodes; /* the nodes that run there: first ... first + nodes - 1 */
};

struct dq_hosts {
    struct dq_host *list; /* NULL: no hosts, the nodes are processes of this machine */
    int count;
    bool slurm; /* they are those of the allocation: srun starts things there */
};

/*
 * Add the hosts of a list "a,b:2" or of a file. False with *why, one clause for the user and his to
 * g_free(); the thing (option or file) is not named in it.
 */
bool dq_hosts_add_list(struct dq_hosts *hosts, const char *text, char **why);
bool dq_hosts_add_file(struct dq_hosts *hosts, const char *path, char **why);

/* Add the hosts of the Slurm allocation that this process is in. 1: done; 0: in none; -1: *why. */
int dq_hosts_add_slurm(struct dq_hosts *hosts, char **why);

/*
 * All were added: put this machine first, and give out `nodes` nodes; 0: one for each slot. The
 * number of nodes given out; -1 with *why when there are too few slots, or too many for a run.
 */
int dq_hosts_assign(struct dq_hosts *hosts, int nodes, char **why);

/* The host of a node. */
const struct dq_host *dq_hosts_of(const struct dq_hosts *hosts, int node);

/* Does this name, or numeric address, mean the machine we are on? May block. */
bool dq_hosts_is_here(const char *name);

void dq_hosts_free(struct dq_hosts *hosts);

#endif
