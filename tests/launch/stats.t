#!/bin/bash
# --stats: JSON for programs, a table for people.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

holds() { # FILE FILTER
    jq -e "$2" "$1" >jq.out 2>&1
}
json() { # NAME FILTER: true of ./stats.json
    check "$1" holds stats.json "$2"
}

launch -n 3 --stats=stats.json ./prog 0@run:count=1 1@run:count=4 2@run:count=5 0@run:exit=2
check "the guest's status, no words" test "$status $(<out)$(<err)" = "2 "
json "the schema's number" '.schema == 1'
json "a node each, in order" '[.nodes[].node] == [0, 1, 2]'
json "what they counted" '[.nodes[].threads] == [1, 4, 5] and [.nodes[].pages_in] == [10, 11, 12]'
json "every counter is a number" '[.nodes[] | del(.node)[] | type] | all(. == "number")'
json "the names that tests rely on" '.nodes[0] | has("faults_read", "faults_write", "pages_out",
    "invalidations", "bytes_in", "bytes_out", "syscalls_local", "syscalls_delegated",
    "futex_local", "futex_remote")'
json "the time" '.wall_seconds > 0 and .wall_seconds < 20'

launch -n 1 --stats=stats.json ./prog 0@run:count=3
json "one node" '[.nodes[].threads] == [3]'
launch -n 2 --stats=stats.json ./prog 0@run:count=1 1@run:kill=9 0@run:hang
check "after a fault the status is the fault's" test $status = 125
json "who did not report has no numbers" '.nodes[1].threads == null'
launch -n 2 --stats=stats.json ./prog 0@run:count=2 '0@run:exec=exit 3'
json "a guest that becomes another program has reported before" '.nodes[0].threads == 2'

launch -n 3 --stats ./prog 0@run:count=1 1@run:count=4 2@run:count=5
check "the table is on stderr" test ! -s out
check "its head" grep -qE '^ +node 0 +node 1 +node 2 +all$' err
check "its lines" grep -qE '^threads +1 +4 +5 +10 threads$' err
launch -n 2 --stats ./prog 0@run:count=1 1@run:kill=9 0@run:hang
check "no numbers in the table either" grep -qE '^threads +- +- +0 threads$' err
DQEMU_STATS=twin.json launch -n 2 ./prog
check "DQEMU_STATS" holds twin.json '.schema == 1'

expect "a file that cannot be written: told before the run" 125 '' 'dqemu: --stats=/nosuch/f: *; *' \
    --stats=/nosuch/f ./prog 0@run:say=ran
expect "no space for the report: the status tells" 125 'ran' 'dqemu: --stats=/dev/full: *; *' \
    --stats=/dev/full ./prog 0@run:say=ran
done_testing
