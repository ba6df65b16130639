#!/bin/bash
# The benchmarks run and report: a line with numbers per row, JSON, a chart, a status. How fast
# anything was is asserted nowhere.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
need_build
bench=$TOP/build/tests/bench
cd "$SCRATCH" || exit 1

run() { # OPTIONS...: into out, err and $status
    status=0
    run_marked "bench-$$" 25 "$bench" --out out.d "$@" >out 2>err </dev/null || status=$?
}
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >said 2>&1; then
        pass "$name"
    else
        fail "$name" < <(cat said out err)
    fi
}
line() { # PATTERN: a line of the table
    grep -qE -- "$1" out
}

echo 1..14
number='[0-9.]+'
run --quick --pairs 2 --size 0.05 --only '^(read-fault|syscall|simulated-256)'
check "status 0, whether goals are met or not" test "$status" = 0
check "the table's head" line '^operation +set-up +dqemu +reference +ratio +spread +goal +verdict$'
check "a row against the raw sockets" line "^read fault .* real, 2 nodes +$number us +$number us raw \
32 B -> 4 KiB +$number +$number\.\.$number +<= 2 +(met|missed)$"
check "another number of the same runs" line '^read fault .*99 %'
check "a call" line '^delegated getppid .*(met|missed)$'
check "the simulator" line '^messages per fault on 256 nodes'
check "a row that missed has a note, and only such a row" \
    test "$(grep -c ' missed$' out)" = "$(grep -cE '^  (read-fault|read-fault-p99|syscall|simulated-256): ' out)"
check "JSON: a schema and a row each" jq -e '.schema == 1 and (.rows | length) == 4 and
    all(.rows[]; .ratio > 0 and .goal_ratio > 0 and (.verdict | test("^(met|missed)$")))' \
    out.d/bench.json
check "JSON: the unit is in the key, every pair is there" jq -e '.rows[0] |
    .dqemu_fault_median_ns > 0 and (.dqemu_each_fault_median_ns | length) == 2' out.d/bench.json

DQEMU_LAUNCH=/nosuch run --quick --pairs 1 --only '^syscall$'
check "a row that cannot run: status 1" test "$status" = 1
check "it says why" line '^  syscall: status 127: cannot run /nosuch'

DQEMU_PLACEMENT=master-only run --quick --pairs 1 --size 0.05 --only '^syscall$'
check "a run whose threads stayed on node 0 does not count" line '^  syscall: node 0 ran 2 threads, not 1'

run --only nosuch
check "no such row: status 2" test "$status" = 2
check "nothing is left" check_none_left "bench-$$"
[ "$failed" = 0 ]
