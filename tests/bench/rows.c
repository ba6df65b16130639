/*
 * The rows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rows.h"

#include <glib.h>

/* clang-format off */
#define CLUSTER(n, words, number) \
    {.kind = SIDE_CLUSTER, .nodes = (n), .args = words, .metric = number}
#define CLUSTER_AS(name, n, words, number) \
    {.kind = SIDE_CLUSTER, .nodes = (n), .args = words, .metric = number, .label = name}
#define UNSPLIT(n, words, number) \
    {.kind = SIDE_CLUSTER, .nodes = (n), .options = "split.pages=0", .args = words, \
     .metric = number, .label = "never split"}
#define PLAIN(words, number) \
    {.kind = SIDE_PLAIN, .args = words, .metric = number, .label = "plain QEMU"}
#define PLAIN_ON(which, words, number) \
    {.kind = SIDE_PLAIN, .cpu = which, .args = words, .metric = number, .label = "plain QEMU"}
#define PING(request, reply, name) \
    {.kind = SIDE_RAW, .args = "--count @10000 ping " request " " reply, .metric = "median_ns", \
     .label = name}
#define STREAM(chunks) \
    {.kind = SIDE_RAW, .args = "--count " chunks " stream 65536", .metric = "bytes_per_second", \
     .label = "raw stream"}
#define SAME(number, name) {.kind = SIDE_SAME, .metric = number, .label = name}

#define SAMPLES 5, .pairs_quick = 2, .quick_size = 0.25
#define FEW 3, .pairs_quick = 1, .quick_size = 0.25

/*
 * Computing, as much work per thread on many nodes as in a process of its own, which is the ideal. As
 * many such processes run at once, under the same quotas: a quota is kept only as well as the kernel's
 * tick allows, and the slowest of 16 that know nothing of each other takes 1.1 times as long as one.
 */
#define SLOW_COMPUTE(n, loops, quick) \
    .ours = CLUSTER(n, "compute " #n " " loops " 500", "compute_ns"), \
    .ref = {.kind = SIDE_COPIES, .nodes = (n), .args = "compute 1 " loops " 500", \
            .metric = "compute_ns", .label = "plain QEMUs, as slow"}, \
    .inverse = true, .at_least = true, .goal = 0.95, .pairs = 5, .pairs_quick = (quick), \
    .quick_size = 0.5

#define STREAM_ROW(kind, quick) \
    .ours = CLUSTER(2, "stream " kind " @4096 3", "stream_bytes_per_second"), \
    .ref = STREAM("@4096"), .at_least = true, .pairs = 5, .pairs_quick = (quick), .quick_size = 0.25

/* Threads with words of their own in the same pages, a thread on each node; settled within 1 s. */
#define WORDS(n, kind, pages) "words " kind " " #n " " #pages " 1000 @1000"
#define WORDS_ROW(n, pages, quick) \
    .ours = CLUSTER(n, WORDS(n, "shared", pages), "increments_per_second"), \
    .ref = CLUSTER_AS("in pages of their own", n, WORDS(n, "padded", pages), \
                      "increments_per_second"), \
    .at_least = true, .goal = 0.9, .pairs = 3, .pairs_quick = (quick), .quick_size = 0.25
#define RECORDS(kind) "records " kind " 2 64 64 1000 @1000"

/* System calls on copies of the guest's memory, beside those in place. */
#define COPIES(words, number) \
    .ours = {.kind = SIDE_CLUSTER, .nodes = 2, .options = "threads_only=1", .args = words, \
             .metric = number}, \
    .ref = CLUSTER_AS("in place", 2, words, number), \
    .goal = 1.1, .pairs = 3, .pairs_quick = 1, .quick_size = 0.25

/* Every node writes to pages of all others; only the number of messages counts. */
#define STORM(nodes, threads) \
    CLUSTER(nodes, "storm " #threads " 4096 @3000 main", "messages_per_fault")
#define MESSAGES_ROW(n, threads, quick) \
    .name = "messages-" #n, .operation = "messages per fault on " #n " nodes", \
    .ours = STORM(n, threads), \
    .ref = {.kind = SIDE_CLUSTER, .nodes = 2, .args = "storm 1 4096 @3000 main", \
            .metric = "messages_per_fault", .label = "on 2 nodes"}, \
    .goal = 2.0, .pairs = 1, .pairs_quick = (quick), .quick_size = 0.5
#define SIMULATED_ROW(n) \
    .name = "simulated-" #n, .operation = "messages per fault on " #n " nodes", \
    .setup = SETUP_NONE, \
    .ours = {.kind = SIDE_SCALE, .nodes = (n), .args = "faults 2 16 64 256 1024", \
             .metric = "migratory_" #n "_messages"}, \
    .ref = SAME("migratory_2_messages", "on 2 nodes, simulated"), \
    .goal = 2.0, .pairs = 1, .pairs_quick = 1

const struct row rows[] = {
    {
        .name = "compute-1", .operation = "computing, 1 thread",
        .ours = CLUSTER(1, "compute 1 @150000 10", "compute_ns"),
        .ref = PLAIN_ON("master", "compute 1 @150000 10", "compute_ns"),
        .goal = 1.01, .pairs = 7, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "compute-2", .operation = "computing, 2 threads: efficiency",
        .ours = CLUSTER(2, "compute 2 @150000 300", "compute_ns"),
        .ref = PLAIN("compute 2 @150000 300 pin", "compute_ns"),
        .inverse = true, .at_least = true, .goal = 0.97,
        .pairs = 7, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "compute-8", .operation = "computing, 8 threads: efficiency",
        .setup = SETUP_SLOW, SLOW_COMPUTE(8, "@100000", 1),
    },
    {
        .name = "compute-16", .operation = "computing, 16 threads: efficiency",
        .setup = SETUP_SLOW, SLOW_COMPUTE(16, "@50000", 0),
    },
    {
        .name = "read-fault", .operation = "read fault on a remote page, median",
        .ours = CLUSTER(2, "fault read @2048 2", "fault_median_ns"),
        .ref = PING("32", "4096", "raw 32 B -> 4 KiB"),
        .goal = 2.0, .pairs = SAMPLES,
    },
    {
        .name = "read-fault-p99", .operation = "read fault on a remote page, 99 %",
        .ours = CLUSTER(2, "fault read @2048 2", "fault_p99_ns"),
        .ref = PING("32", "4096", "raw 32 B -> 4 KiB, median"),
        .goal = 4.0, .pairs = SAMPLES,
    },
    {
        .name = "upgrade-1", .operation = "write fault, 1 other sharer",
        .ours = CLUSTER(2, "fault upgrade @2048 2 1", "fault_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 2.0, .pairs = SAMPLES,
    },
    {
        .name = "upgrade-2", .operation = "write fault, 2 other sharers",
        .ours = CLUSTER(3, "fault upgrade @2048 2 2", "fault_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 2.5, .pairs = SAMPLES,
    },
    {
        .name = "upgrade-7", .operation = "write fault, 7 other sharers",
        .ours = CLUSTER(8, "fault upgrade @1024 1 7", "fault_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 3.0, .pairs = FEW,
    },
    {
        .name = "stream", .operation = "sequential read of remote memory",
        STREAM_ROW("forward", 2), .goal = 0.8,
    },
    {
        .name = "stride-2", .operation = "reading every 2nd remote page",
        STREAM_ROW("stride2", 2), .goal = 0.6,
    },
    {
        .name = "stride-3", .operation = "reading every 3rd remote page",
        STREAM_ROW("stride3", 0), .goal = 0.6,
    },
    {
        .name = "stride-4", .operation = "reading every 4th remote page",
        STREAM_ROW("stride4", 2), .goal = 0.6,
    },
    {
        .name = "backward", .operation = "reading remote memory backward",
        STREAM_ROW("backward", 2), .goal = 0.6,
    },
    {
        .name = "interleaved", .operation = "reading two remote streams in turn",
        STREAM_ROW("interleaved", 2), .goal = 0.6,
    },
    {
        .name = "random-16", .operation = "random remote reads, 16 threads of a node",
        .ours = CLUSTER(2, "random 16 @8192", "random_pages_per_second"),
        .ref = {.kind = SIDE_CLUSTER, .nodes = 2, .args = "random 1 @2048",
                .metric = "random_pages_per_second", .label = "one thread"},
        .at_least = true, .goal = 8, .pairs = SAMPLES,
    },
    {
        .name = "touch", .operation = "first touch of fresh memory, per page",
        .ours = CLUSTER(2, "touch @4096 5", "touch_ns"),
        .ref = PLAIN_ON("slave", "touch @4096 5", "touch_ns"),
        .goal = 1.5, .pairs = SAMPLES,
    },
    {
        .name = "split-2", .operation = "own words in a page of 2 nodes: speed",
        WORDS_ROW(2, 1, 1),
    },
    {
        .name = "split-4", .operation = "own words in a page of 4 nodes: speed",
        WORDS_ROW(4, 1, 0),
    },
    {
        .name = "split-8", .operation = "own words in a page of 8 nodes: speed",
        WORDS_ROW(8, 1, 0),
    },
    {
        .name = "split-pages-16", .operation = "own words in 16 pages of 2 nodes: speed",
        WORDS_ROW(2, 16, 0),
    },
    {
        .name = "split-pages-256", .operation = "own words in 256 pages of 2 nodes: speed",
        WORDS_ROW(2, 256, 1),
    },
    {
        .name = "split-memory", .operation = "shadow pages of up to 256 split pages",
        .ours = CLUSTER(2, WORDS(2, "shared", 256), "shadow_pages"),
        .ref = CLUSTER_AS("pages", 2, WORDS(2, "padded", 256), "word_pages"),
        .goal = 64, .pairs = FEW,
    },
    {
        .name = "split-records", .operation = "records of 48 bytes, mixed owners: speed",
        .ours = CLUSTER(2, RECORDS("mixed"), "updates_per_second"),
        .ref = CLUSTER_AS("grouped by owner", 2, RECORDS("grouped"), "updates_per_second"),
        .at_least = true, .goal = 0.5, .pairs = FEW,
    },
    {
        .name = "split-records-gain", .operation = "records of 48 bytes: gain by splitting",
        .ours = CLUSTER(2, RECORDS("mixed"), "updates_per_second"),
        .ref = UNSPLIT(2, RECORDS("mixed"), "updates_per_second"),
        .at_least = true, .goal = 1.0, .pairs = 5, .pairs_quick = 1, .quick_size = 0.25,
    },
    {
        .name = "split-true", .operation = "2 nodes add to one word, per addition",
        .ours = CLUSTER(2, "oneword 2 @30000000", "add_ns"),
        .ref = UNSPLIT(2, "oneword 2 @30000000", "add_ns"),
        .goal = 1.05, .pairs = SAMPLES,
    },
    {
        .name = "split-phases", .operation = "own words, a reader of all, own words",
        .ours = CLUSTER(2, "phases all 4 @8000000 @60000", "sequence_ns"),
        .ref = SAME("alone_ns", "these phases alone"),
        .goal = 1.15, .pairs = FEW,
    },
    {
        .name = "split-idle-compute", .operation = "computing, 2 threads, nothing to split",
        .ours = CLUSTER(2, "compute 2 @150000 300", "compute_ns"),
        .ref = UNSPLIT(2, "compute 2 @150000 300", "compute_ns"),
        .goal = 1.005, .pairs = 7, .pairs_quick = 0, .quick_size = 0.25,
    },
    {
        .name = "split-idle-stream", .operation = "sequential read, nothing to split: speed",
        .ours = CLUSTER(2, "stream forward @4096 3", "stream_bytes_per_second"),
        .ref = UNSPLIT(2, "stream forward @4096 3", "stream_bytes_per_second"),
        .at_least = true, .goal = 0.995, .pairs = 9, .pairs_quick = 0, .quick_size = 0.25,
    },
    {
        .name = "split-access", .operation = "increment in a split page",
        .ours = CLUSTER(2, "access 1000 @1000000", "redirected_ns"),
        .ref = SAME("plain_ns", "in a page of its own"),
        .goal = 2.5, .pairs = 5, .pairs_quick = 1, .quick_size = 0.25,
    },
    {
        .name = "syscall", .operation = "delegated getppid",
        .ours = CLUSTER(2, "syscall @10000", "call_median_ns"),
        .ref = PING("64", "64", "raw 64 B -> 64 B"),
        .goal = 1.5, .pairs = SAMPLES,
    },
    {
        .name = "write-64k", .operation = "delegated write of 64 KiB made on a slave",
        .ours = CLUSTER(2, "filewrite @500", "write_median_ns"),
        .ref = PING("65536", "64", "raw 64 KiB -> 64 B"),
        .goal = 1.5, .pairs = SAMPLES,
    },
    {
        .name = "copied-read-64", .operation = "delegated read of 64 B, copied",
        COPIES("fileio read 64 @4000", "call_median_ns"),
    },
    {
        .name = "copied-read-64k", .operation = "delegated read of 64 KiB, copied",
        COPIES("fileio read 65536 @1000", "call_median_ns"),
    },
    {
        .name = "copied-read-1m", .operation = "delegated read of 1 MiB, copied",
        COPIES("fileio read 1048576 @100", "call_median_ns"),
    },
    {
        .name = "copied-write-64", .operation = "delegated write of 64 B, copied",
        COPIES("fileio write 64 @4000", "call_median_ns"),
    },
    {
        .name = "copied-write-64k", .operation = "delegated write of 64 KiB, copied",
        COPIES("fileio write 65536 @1000", "call_median_ns"),
    },
    {
        .name = "copied-write-1m", .operation = "delegated write of 1 MiB, copied",
        COPIES("fileio write 1048576 @100", "call_median_ns"),
    },
    {
        .name = "signal-round", .operation = "signals between two slaves, there and back",
        .ours = CLUSTER(3, "calls sigqueue @2000", "call_median_ns"),
        .ref = PING("64", "64", "raw 64 B -> 64 B"),
        .goal = 6.0, .pairs = SAMPLES,
    },
    {
        .name = "socket-round", .operation = "64 B by a socket, slave to slave and back",
        .ours = CLUSTER(3, "calls socket @2000", "call_median_ns"),
        .ref = PING("64", "64", "raw 64 B -> 64 B"),
        .goal = 6.0, .pairs = SAMPLES,
    },
    {
        .name = "fstat", .operation = "delegated fstat",
        .ours = CLUSTER(3, "calls fstat @2000", "call_median_ns"),
        .ref = PING("192", "192", "raw 192 B -> 192 B"),
        .goal = 1.5, .pairs = SAMPLES,
    },
    {
        .name = "mutex", .operation = "mutex that nobody else wants, on a slave",
        .ours = CLUSTER(2, "mutex alone @4000000", "lock_ns"),
        .ref = PLAIN_ON("slave", "mutex alone @4000000", "lock_ns"),
        .goal = 1.02, .pairs = 7, .pairs_quick = 3, .quick_size = 0.25,
    },
    {
        .name = "mutex-crowd", .operation = "mutex contended by 8 threads of a slave",
        .ours = CLUSTER(2, "mutex crowd 8 @4000", "lock_ns"),
        .ref = PLAIN_ON("slave", "mutex crowd 8 @4000", "lock_ns"),
        .goal = 1.2, .pairs = SAMPLES,
    },
    {
        .name = "mutex-crowd-asked", .operation = "its futex calls that asked the master",
        .ours = CLUSTER(2, "mutex crowd 8 @4000", "futex_asked_share"),
        .ref = SAME("futex_share_of_all", "all of them"),
        .goal = 0.01, .pairs = FEW,
    },
    {
        .name = "handoff", .operation = "mutex handed over between two nodes",
        .ours = CLUSTER(2, "handoff @10000", "handoff_median_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 4.0, .pairs = SAMPLES,
    },
    {
        .name = "barrier", .operation = "barrier of 8 threads on 4 nodes",
        .ours = CLUSTER(4, "barrier 8 @1000", "barrier_ns"),
        .ref = PING("32", "32", "raw 32 B -> 32 B"),
        .goal = 6.0, .pairs = SAMPLES,
    },
    {
        .name = "create", .operation = "thread on a slave, created and joined",
        .ours = CLUSTER(2, "create @200", "create_median_ns"),
        .ref = PLAIN("create @200", "create_median_ns"),
        .goal = 0.5, .pairs = SAMPLES,
    },
    {
        .name = "master-cpu", .operation = "CPU of the master while 15 slaves fault",
        .ours = CLUSTER(16, "storm 15 16384 @4000", "master_cpu_percent"),
        .ref = SAME("others_cpu_percent", "mean of the slaves"),
        .goal = 1.5, .pairs = 3, .pairs_quick = 1, .quick_size = 0.5,
    },
    {
        .name = "net-read-fault", .operation = "read fault on a remote page, median",
        .setup = SETUP_NET,
        .ours = CLUSTER(2, "fault read @2048 2", "fault_median_ns"),
        .ref = PING("32", "4096", "raw 32 B -> 4 KiB"),
        .goal = 2.0, .pairs = SAMPLES,
    },
    {
        .name = "net-stream", .operation = "sequential read of remote memory",
        .setup = SETUP_NET,
        .ours = CLUSTER(2, "stream forward @4096 3", "stream_bytes_per_second"),
        .ref = STREAM("@1024"),
        .at_least = true, .goal = 0.8, .pairs = SAMPLES,
    },
    {
        .name = "net-compute-8", .operation = "computing, 8 threads: efficiency",
        .setup = SETUP_NET_SLOW, SLOW_COMPUTE(8, "@100000", 1),
    },
    {MESSAGES_ROW(4, 3, 1)},
    {MESSAGES_ROW(8, 7, 1)},
    {MESSAGES_ROW(16, 15, 1)},
    {MESSAGES_ROW(64, 63, 0)},
    {SIMULATED_ROW(256)},
    {SIMULATED_ROW(1024)},
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

    return g_strdup_printf("%s, %d node%s", names[row->setup], n, n == 1 ? "" : "s");
}
