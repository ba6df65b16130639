/*
 * The rows of the table, as data: what is run, against what, and what is asked of the ratio.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

enum setup {
    SETUP_REAL,     /* node K pinned to a processor of its own, as far as there are enough */
    SETUP_SLOW,     /* and its guest threads under a CPU quota */
    SETUP_NET,      /* node K in a network namespace of its own, the links limited */
    SETUP_NET_SLOW, /* both */
    SETUP_NONE,     /* no nodes: the simulator */
};

enum side_kind {
    SIDE_CLUSTER, /* a guest under dqemu-launch */
    SIDE_PLAIN,   /* a guest under plain QEMU */
    SIDE_COPIES,  /* so many at once, in slow motion, each started as a node is */
    SIDE_RAW,     /* build/tests/raw */
    SIDE_SCALE,   /* build/tests/scale */
    SIDE_SAME,    /* the other side's run, another of its numbers */
};

/* One side of a comparison. Its metric's last part names the unit: _ns, _bytes_per_second, ... */
struct side {
    enum side_kind kind;
    int nodes;           /* of a cluster; copies */
    const char *options; /* of a cluster's launcher: tunables as -o takes them; NULL: none */
    const char *args;    /* words; the guest's name first; @N is N times the size in use */
    const char *metric;  /* which number of the run counts */
    const char *label;   /* of a reference, in the table */
    const char *cpu;     /* plain QEMU: "slave", "master" (that node's processor), NULL: all */
};

struct row {
    const char *name; /* for --only, the notes and the JSON */
    const char *operation;
    enum setup setup;
    struct side ours, ref;
    bool inverse;  /* the ratio is reference / ours: an efficiency from times */
    bool at_least; /* the ratio should be at least the goal; else at most */
    double goal;
    int pairs, pairs_quick; /* pairs_quick 0: left out of --quick */
    double quick_size;      /* of @N with --quick; 0: the usual one */
};

extern const struct row rows[];
extern const size_t rows_count;

/* "real, 2 nodes": for the table; the caller frees it. */
char *row_setup_text(const struct row *row);

#endif
