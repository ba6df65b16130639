#!/bin/bash
# What goes wrong in a run: one line that names the node, the cause and the remedy, status 125,
# and nothing left.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

fault() { # NAME LINE ARGUMENT...
    local name=$1 line=$2
    shift 2
    expect "$name" 125 '' "dqemu: $line" "$@"
    [ "$(wc -l <err)" = 1 ] || fail "one line for: $name" <err
}

for k in 1 2 3; do
    fault "node $k killed" "node $k (127.0.0.1) was lost: killed by signal 9; if nobody*" \
        -n 4 ./prog 0@run:hang $k@run:kill=9
done
fault "a node that crashes" 'node 2 (127.0.0.1) was lost: killed by signal 11; *report*' \
    -n 3 ./prog 0@run:hang 2@run:kill=11
fault "a node that just ends" 'node 2 (127.0.0.1) was lost: ended with status 3; *' \
    -n 3 ./prog 0@run:hang 2@run:die=3
fault "node 0 reports an error" 'page 7 is on fire; call someone' \
    -n 3 ./prog '0@run:error=125,page 7 is on fire; call someone'
fault "a slave reports an error" 'page 8 is on fire' -n 3 ./prog 0@run:hang '2@run:error=125,page 8 is on fire'
expect "an error's status is the launcher's" 126 '' 'dqemu: not this one' \
    -n 3 ./prog '0@run:error=126,not this one'
expect "the same with one node" 126 '' 'dqemu: not this one' -n 1 ./prog '0@run:error=126,not this one'
fault "a connection that breaks between living nodes" \
    'node 2 (127.0.0.1) was lost by node 1: connection reset; *' -n 3 ./prog 0@run:hang 1@run:lost=2
fault "a node that talks nonsense" 'node 1 (127.0.0.1) says what dqemu-launch does not understand*' \
    -n 3 ./prog 0@run:hang 1@run:raw=nonsense 1@run:hang
fault "valid JSON that is no message" 'node 1 *says what*' \
    -n 3 ./prog 0@run:hang '1@run:raw={"type":"hello"}' 1@run:hang
fault "a message out of turn" 'node 1 *says what*' \
    -n 3 ./prog 0@run:hang '1@run:raw={"type":"ready"}' 1@run:hang
fault "a line that never ends" 'node 1 *says what*' -n 3 ./prog 0@run:hang 1@run:long=200 1@run:hang
fault "bytes that are not UTF-8" $'node 1: \357\277\275' -n 2 ./prog 0@run:hang $'1@run:error=125,node 1: \377'

for phase in start listening ready; do
    fault "a slave killed at '$phase'" 'node 2 (127.0.0.1) was lost: killed by signal 9; *' \
        -n 3 ./prog 2@$phase:kill=9
    fault "a slave that ends at '$phase'" \
        'node 2 (127.0.0.1) was lost before the run began: ended with status 0; *' \
        -n 3 ./prog 2@$phase:die=0
    fault "node 0 killed at '$phase'" 'node 0 (127.0.0.1) was lost before the run began: killed by signal 9*' \
        -n 3 ./prog 0@$phase:kill=9
    fault "an error at '$phase'" 'no luck' -n 3 ./prog "1@$phase:error=125,no luck"
done
expect "an emulator that refuses its options has said why itself" 1 '' '' -n 3 ./prog 0@start:die=1
fault "a port in use" 'node 0 cannot listen on 127.0.0.1 port 1*' -n 2 --port-range 1-2 ./prog \
    "0@start:error=125,node 0 cannot listen on 127.0.0.1 port 1: Address already in use"

# Two nodes on one port: the second cannot have it.
low=$((31000 + $$ % 900))
launch_background -n 2 --port-range $low-$((low + 1)) ./prog 0@run:say=up 0@run:hang
await 5 test -s out
holder="$pid"
timeout 20 "$DQEMU_LAUNCH" -n 2 --port-range $low-$((low + 1)) ./prog >out2 2>err
status=$?
check "two runs on the same ports" test $status = 125
check "one line that names the port" grep -qx "dqemu: node 0 cannot listen on 127.0.0.1 port $low: .*; .*" err
kill -TERM "$holder"
join_background 5

# By hand, from outside, at any node; the run is over within two seconds.
for k in 0 1 2; do
    rm -f pids
    launch_background -n 3 ./prog {0,1,2}@run:pid=pids 0@run:hang
    await 5 has_lines 3 pids
    kill -KILL "$(sed -n "s/^$k //p" pids)"
    join_background 2
    want=$([ $k = 0 ] && echo 137 || echo 125)
    check "kill -9 of node $k: status $want" test $status = "$want"
    check "and nothing left" test ! -s left
    check "and $([ $k = 0 ] && echo no || echo one) line" \
        test "$(wc -l <err)" = "$([ $k = 0 ] && echo 0 || echo 1)"
done

launch_background -n 3 ./prog {0,1,2}@run:pid=pids2 0@run:hang
await 5 has_lines 3 pids2
kill -KILL "$pid"
join_background 2 2>/dev/null
check "kill -9 of the launcher leaves nothing" test ! -s left

# A wrapper that hides the node from the launcher's signals: the control channel still ends it.
launch_background --wrap 'sh -c "\"\$@\" & wait" -' -n 3 ./prog {0,1,2}@run:pid=pids3 0@run:hang
await 5 has_lines 3 pids3
kill -KILL "$pid"
join_background 2 2>/dev/null
check "nor behind wrappers that fork" test ! -s left

# What the guest has forked ends with a failed run, and outlives any end of its own (status.t).
fault "a daemon of the guest when a slave is killed" 'node 2 (127.0.0.1) was lost: killed by signal 9; *' \
    -n 3 ./prog 0@run:daemon=daemon1 0@run:hang 2@run:kill=9
fault "a daemon of the guest when node 0 finds a fault" 'all is lost' \
    -n 3 ./prog 0@run:daemon=daemon2 '0@run:error=125,all is lost'

expect "slaves that hang at the end are ended" 0 '' '' -n 3 ./prog 1@run:deaf 2@run:ignore=15
done_testing
