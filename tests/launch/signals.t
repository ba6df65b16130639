#!/bin/bash
# Signals sent to the launcher reach the guest, each once.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

for n in 1 3; do
    for signal in INT TERM HUP QUIT USR1 USR2 WINCH TSTP CONT; do
        number=$(kill -l $signal)
        launch_background -n $n ./prog "0@run:wait-signal=$number" 0@run:exit=4
        await 5 has_line out ready
        kill -$signal "$pid"
        join_background 5
        check "SIG$signal to a guest that handles it, $n nodes" \
            test "$status $(tail -n 1 out)" = "4 signal $number"
    done
    for signal in INT TERM HUP USR1; do
        launch_background -n $n ./prog 0@run:say=up 0@run:hang
        await 5 test -s out
        kill -$signal "$pid"
        join_background 5
        check "SIG$signal to a guest that does not, $n nodes" \
            test "$status" = $((128 + $(kill -l $signal)))
        check "no word of it" test ! -s err
    done
done

for phase in start listening ready; do
    launch_background -n 3 ./prog "2@$phase:say=up" "2@$phase:deaf"
    await 5 grep -qs up err
    kill -TERM "$pid"
    join_background 2
    check "SIGTERM while the run begins ($phase)" test "$status $(<err) $(<left)" = "143 up "
done

rm -f pids
launch_background -n 2 ./prog {0,1}@run:pid=pids 0@run:wait-signal=10 0@run:exit=6
await 5 has_lines 2 pids
slave=$(sed -n 's/^1 //p' pids)
kill -STOP "$slave"
await 5 grep -q '^State:.T' "/proc/$slave/status"
kill -CONT "$slave"
kill -USR1 "$pid"
join_background 5
check "a slave that was stopped for a while is no fault" test "$status $(<err)" = "6 "
done_testing
