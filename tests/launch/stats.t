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

# The pages asked for most: each node tells those it is the home of, node 0 what lies where.
asks=("0@run:ask=400,1,5" "0@run:ask=401,1,1" "1@run:ask=500,0,7" "1@run:ask=500,2,2" "2@run:ask=600,1,3")
for ((i = 0; i < 11; i++)); do asks+=("2@run:ask=$((700 + i)),0,2"); done
areas='{"type":"memory","areas":[[6291456,6295552,0,"[heap]"],[5242880,5246976,8192,"/no/file"],7,["x"]]}'
launch -n 3 --stats=stats.json ./prog 0@run:raw="$areas" "${asks[@]}"
check "the run is not disturbed" test "$status" = 0
json "ten pages, most asked for first" '[.pages[].asked] == [9, 5, 3, 2, 2, 2, 2, 2, 2, 2]'
json "address, home, and who asked" '.pages[0] | .address == "0x500000" and .home == 1 and
    .nodes == [0, 2] and .writes == 9'
json "a file without symbols" '.pages[0].what == "/no/file at 0x2000"'
json "nothing is known" '.pages[1].what == "anonymous memory"'
json "none of them was split" '[.pages[].split] | any | not'
json "an area that has a name" '.pages[2].what == "[heap]"'
launch -n 3 --stats ./prog 0@run:raw="$areas" "${asks[@]}"
check "the same in the table" grep -qE '^0x500000 +9 +9 +0,2 +no +/no/file at 0x2000$' err
launch -n 3 --stats=stats.json ./prog
json "no page was asked for twice" '.pages == []'

expect "a file that cannot be written: told before the run" 125 '' 'dqemu: --stats=/nosuch/f: *; *' \
    --stats=/nosuch/f ./prog 0@run:say=ran
expect "no space for the report: the status tells" 125 'ran' 'dqemu: --stats=/dev/full: *; *' \
    --stats=/dev/full ./prog 0@run:say=ran
done_testing
