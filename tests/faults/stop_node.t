#!/bin/bash
# A node that stands still for three seconds is not lost: the run waits for it and goes on.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

for node in 1 2; do
    launch -n 3 --stats=stats -- "$GUESTS/busy" 5
    await 10 says 'busy: all run'
    victim=$(pid_of $node)
    kill -STOP "$victim"
    sleep 3
    kill -CONT "$victim"
    join 20
    late=$?
    check_none_left $mark >left
    if [ $late$?$status = 000 ] && says 'busy: nothing lost'; then
        pass "node $node stopped for 3 s"
    else
        { report; cat left; } | fail "node $node stopped for 3 s"
    fi
done
done_testing
