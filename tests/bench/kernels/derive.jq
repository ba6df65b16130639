# From all runs (see lib.sh) to the numbers of the table: what a run gains over its reference, and
# where its threads' time went. Sums are over the nodes.
#
# The reference is plain QEMU with one thread for `real`; otherwise the same setup on one node, as
# only slow motion compares with slow motion.
#
# SPDX-License-Identifier: GPL-2.0-or-later

def sum(f): if . == null or any(.[]; f == null) then null else map(f) | add end;
def percent($of): if . == null or $of == null or $of <= 0 then null else 100 * . / $of end;
def per($x): if . == null or $x == null or $x <= 0 then null else . / $x end;

(map(select(.outcome == "good" and .nodes == 1 and .setup != "real"
            and (.threads == 1 or .setup != "plain"))
     | {key: "\(.name) \(.setup)", value: .seconds}) | from_entries) as $reference
| .[]
| . as $run
| ($reference["\(.name) \(if .setup == "real" then "plain" else .setup end)"]) as $base
| (.stats | sum(.threads)) as $threads
# the time that all threads have had; a wait is part of it
| (if $threads == null then null else $threads * .elapsed_s * 1e6 end) as $time
| (.stats | sum(.wait_fault_us) | percent($time)) as $fault
| (.stats | sum(.wait_futex_us) | percent($time)) as $futex
| (.stats | sum(.wait_syscall_us) | percent($time)) as $syscall
| (.outcome == "good") as $good
| (if .setup == "plain" then .threads else .nodes end) as $parts
| {
    name, setup, nodes, threads, outcome,
    seconds: (if $good then .seconds else null end),
    speedup: (if $good then $base | per($run.seconds) else null end),
    efficiency: (if $good then $base | per($run.seconds * $parts) | percent(1) else null end),
    fault: $fault, futex: $futex, syscall: $syscall,
    compute: (if $fault == null or $futex == null or $syscall == null then null
              else [100 - $fault - $futex - $syscall, 0] | max end),
    busy: (.cpu_s | percent($run.elapsed_s * $parts)),
    faults: (.stats | sum(.faults_read + .faults_write)),
    pages: (.stats | sum(.pages_in)),
    megabytes: (.stats | sum(.bytes_in) | if . == null then null else . / 1e6 end),
    messages: (.stats | sum(.messages_out)),
    futex_asked: (.stats | sum(.futex_remote)),
    delegated: (.stats | sum(.syscalls_delegated))
  }
