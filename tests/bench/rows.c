/*
 * The rows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rows.h"

#include <glib.h>

/* clang-format off */
#define CLUSTER(n, words, number) {.kind = SIDE_CLUSTER, .nodes = (n), .args = words, .metric = number}
#define PING(request, reply, name) \
    {.kind = SIDE_RAW, .args = "--count @10000 ping " request " " reply, .metric = "median_ns", .label = name}
#define STREAM {.kind = SIDE_RAW, .args = "--count @4096 stream 65536", .metric = "bytes_per_second", .label = "raw stream"}

const struct row rows[] = {
    {
        .name = "read-fault", .operation = "read fault on a remote page, median",
        .ours = CLUSTER(2, "fault read @2048 2", "fault_median_ns"),
        .ref = PING("32", "4096", "raw 32 B -> 4 KiB"),
        .goal = 2.0, .pairs = 5, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "read-fault-p99", .operation = "read fault on a remote page, 99 %",
        .ours = CLUSTER(2, "fault read @2048 2", "fault_p99_ns"),
        .ref = PING("32", "4096", "raw 32 B -> 4 KiB, median"),
        .goal = 4.0, .pairs = 5, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "upgrade-1", .operation = "write fault, 1 other sharer",
        .ours = CLUSTER(2, "fault upgrade @2048 2 1", "fault_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 2.0, .pairs = 5, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "upgrade-2", .operation = "write fault, 2 other sharers",
        .ours = CLUSTER(3, "fault upgrade @2048 2 2", "fault_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 2.5, .pairs = 5, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "upgrade-7", .operation = "write fault, 7 other sharers",
        .ours = CLUSTER(8, "fault upgrade @1024 1 7", "fault_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 3.0, .pairs = 3, .pairs_quick = 1, .quick_size = 0.25,
    },
    {
        .name = "stream", .operation = "sequential read of remote memory",
        .ours = CLUSTER(2, "stream forward @8192 3", "stream_bytes_per_second"),
        .ref = STREAM,
        .at_least = true, .goal = 0.8, .pairs = 5, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "syscall", .operation = "delegated getppid",
        .ours = CLUSTER(2, "syscall @10000", "call_median_ns"),
        .ref = PING("64", "64", "raw 64 B -> 64 B"),
        .goal = 1.5, .pairs = 5, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "handoff", .operation = "mutex handed over between two nodes",
        .ours = CLUSTER(2, "handoff @10000", "handoff_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 4.0, .pairs = 5, .pairs_quick = 3, .quick_size = 0.25,
    },
};
/* clang-format on */

const size_t rows_count = G_N_ELEMENTS(rows);

char *row_setup_text(const struct row *row)
{
    static const char *const names[] = {
        [SETUP_REAL] = "real",      [SETUP_SLOW] = "slow motion",
        [SETUP_NET] = "namespaces", [SETUP_NET_SLOW] = "namespaces, slow",
        [SETUP_NONE] = "simulated",
    };
    int n = row->ours.nodes;

    if (row->setup == SETUP_NONE) {
        return g_strdup(names[SETUP_NONE]);
    }
    return g_strdup_printf("%s, %d node%s", names[row->setup], n, n == 1 ? "" : "s");
}
