/*
 * The configuration of one node, as the launcher gives it (see dqemu/control.h), and the
 * tunables in it.
 *
 * A struct dq_config is plain data: filled once, before there are threads, and only read
 * afterwards. Nothing here blocks or locks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_CONFIG_H
#define DQ_CONFIG_H

#include <stdint.h>

#include "proto/wire.h"

#define DQ_SECRET_SIZE 32

enum dq_placement {
    DQ_PLACEMENT_SPREAD,      /* the node with the fewest threads, node 0 included */
    DQ_PLACEMENT_PACK,        /* fill a node's processors, then the next node */
    DQ_PLACEMENT_MASTER_ONLY, /* all threads on node 0 */
};

enum dq_carrier {
    DQ_CARRIER_TCP,
    DQ_CARRIER_RDMA,
};

/* Of those that the guest sees (dqemu/processors.h); nodes of one host may have the same. */
struct dq_processors {
    uint16_t first, count;
};

struct dq_config {
    int node;                       /* this node; 0 is the master */
    int nodes;                      /* how many there are, 1 to DQ_MAX_NODES */
    uint8_t secret[DQ_SECRET_SIZE]; /* of this run; known to its nodes alone */
    char bind[64];                  /* numeric address to listen on */
    uint16_t port;                  /* 0: any */
    enum dq_protect protect;        /* of the connections between nodes */
    enum dq_carrier transport;      /* what messages travel over */
    enum dq_placement placement;
    int verbose;     /* 0: faults only */
    char **children; /* the command that runs programs that the guest starts; NULL: one node does */
    struct dq_processors processors[DQ_MAX_NODES]; /* of each node; none: the machine's */
#define X(name, unit, standard, least, most, reason)                                               \
    uint32_t name; /* tunables.inc has the reason */
#include "dqemu/tunables.inc"
#undef X
};

struct dq_tunable {
    const char *name, *unit;
    uint32_t standard, least, most;
    const char *reason;
};

/* The table of tunables; the last entry has no name. */
extern const struct dq_tunable dq_tunables[];

/* One node, nothing secret, every tunable at its default. */
void dq_config_init(struct dq_config *cfg);

/* Set a tunable. 0; -ENOENT: no such name; -ERANGE: outside its limits. */
int dq_config_tune(struct dq_config *cfg, const char *name, uint64_t value);

/* The value of a tunable that exists. */
uint32_t dq_config_tuned(const struct dq_config *cfg, const char *name);

/* "spread", "pack", "master-only" and back. 0, or -EINVAL (out is unchanged). */
int dq_config_placement(const char *name, enum dq_placement *out);
const char *dq_config_placement_name(enum dq_placement placement);

/* "none", "integrity", "encrypt" and back, as above. */
int dq_config_protect(const char *name, enum dq_protect *out);
const char *dq_config_protect_name(enum dq_protect protect);
/* "tcp", "rdma" and back. 0, or -EINVAL (out is unchanged). */
int dq_config_transport(const char *name, enum dq_carrier *out);
const char *dq_config_transport_name(enum dq_carrier transport);

#endif
