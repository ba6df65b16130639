#!/bin/bash
# A cluster whose threads all wait uses no processor time: over three seconds, less than one tick
# in fifty of one processor for all nodes together.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

# User and system time of all processes of the run, in ticks.
ticks() {
    local pid sum=0 stat
    for pid in $(left_of $mark); do
        read -r stat <"/proc/$pid/stat"
        # The name in parentheses may hold spaces; utime and stime are the 12th and 13th after it.
        # shellcheck disable=SC2086
        set -- ${stat##*) }
        sum=$((sum + ${12} + ${13}))
    done
    echo $sum
}

mkfifo input
DQEMU_TEST_RUN=$mark "$DQEMU_LAUNCH" -n 4 --stats=stats -- "$GUESTS/idle" <input >out 2>err &
launcher=$!
exec 9>input
await 10 says 'idle: all wait'
# One second for what the start has left to do.
sleep 1
before=$(ticks)
sleep 3
used=$(($(ticks) - before))
limit=$((3 * $(getconf CLK_TCK) / 50))
if [ "$before" -gt 0 ] && [ $used -le $limit ]; then
    pass "an idle cluster is idle ($used ticks in three seconds)"
else
    echo "$used ticks in three seconds, after $before; allowed: $limit" |
        fail "an idle cluster is idle"
fi
exec 9>&-
join 5
late=$?
check_none_left $mark >left
if [ $late$?$status = 000 ]; then
    pass "and ends when asked to"
else
    { report; cat left; } | fail "and ends when asked to"
fi
done_testing
