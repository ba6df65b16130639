#!/bin/bash
# A node killed at any moment of a run, from its start to the busiest time: the run ends within two
# seconds with a failure, one line names the node, and no process is left. DQEMU_TEST_SEED replays
# the moments of an earlier run.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

RANDOM=${DQEMU_TEST_SEED:=$((RANDOM % 10000))}
echo "# DQEMU_TEST_SEED=$DQEMU_TEST_SEED"

for i in {1..20}; do
    node=$((i % 3))
    ms=$((RANDOM % 900))
    launch -n 3 -- "$GUESTS/busy" 60
    if ! await 10 listening 3; then
        status=none
        report | fail "kill $i: the nodes start"
        kill -KILL "$launcher"
        continue
    fi
    # The moment itself is the point of the test; there is nothing to observe.
    sleep "$(printf '0.%03d' $ms)"
    kill -KILL "$(pid_of $node)"
    join 2
    late=$?
    check_none_left $mark >left
    gone=$?
    if [ $node = 0 ]; then
        # Node 0 is the guest's process: that it was killed is the guest's end, unless the run had
        # not begun yet.
        [ $status = 137 ] || [ $status = 125 ]
    else
        [ $status = 125 ] && [ "$(grep -c "^dqemu: node $node .*was lost" err)" = 1 ] &&
            [ "$(grep -c 'was lost' err)" = 1 ]
    fi
    right=$?
    if [ $late$gone$right = 000 ]; then
        pass "kill $i: node $node after $ms ms"
    else
        { report; cat left; } | fail "kill $i: node $node after $ms ms"
    fi
done
done_testing
