/*
 * The command line of dqemu-launch: its own options (options.inc), the emulator's, which are
 * passed on unchanged, and the program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_OPTIONS_H
#define DQ_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/hosts.h"
#include "deploy/root.h"
#include "dqemu/config.h"
#include "proto/wire.h"

struct dq_options {
    int nodes;
    struct dq_hosts hosts; /* count 0: none, the nodes are processes of this machine */
    const char *interface; /* or NULL */
    const char *prefix;    /* or NULL */
    char **ssh, **rsh;     /* words, NULL-terminated; rsh NULL: ssh or srun */
    bool check, push;
    const char *wdir; /* or NULL */
    int root_fd;      /* of the root that another program of the run has handed over; -1: none */
    const char *root; /* absolute, or NULL */
    struct dq_volume *volumes; /* up to one whose `from` is NULL */
    char **exports;            /* VAR=VALUE, NULL-terminated */
    bool display_map, bind_cores, tag_output;
    const char *log_dir;     /* absolute, or NULL */
    struct dq_config config; /* placement, protect, verbose, tunables; the rest is per node */
    bool stats;              /* report at the end: */
    const char *stats_file;  /* here as JSON; NULL: as a table on stderr */
    char addresses[DQ_MAX_NODES][64];
    bool auto_transport;     /* config.transport is to be chosen, see deploy/transport.h */
    uint16_t first_port;     /* node K listens on first_port + K; 0: any */
    char **wrap;             /* words, NULL-terminated; or NULL */
    double timeout;          /* seconds; 0: none */
    const char *node_binary; /* or NULL */
    char **emulator;         /* options of the emulator for node 0, NULL-terminated */
    char **emulator_slave;   /* the same for the others: without what only one may have */
    bool emulator_help;      /* one of them asks for a list ("-cpu help") */
    char **children;         /* the command that runs what PROGRAM starts, or NULL */
    char **program;          /* PROGRAM and its arguments, NULL-terminated; or NULL */
};

/*
 * Read environment and command line; the result points into argv. Ends the process for
 * --help, --version and for a line that makes no sense (one line on stderr, status 125).
 */
void dq_options_read(struct dq_options *options, int argc, char **argv);

#endif
