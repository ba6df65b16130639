#!/bin/bash
# The launcher is of the guest's process group. What is sent to the group reaches the guest once, whatever
# the signal; what is sent to the launcher reaches it, too. A guest that is stopped alone stands still on
# all nodes, and goes on when it is continued alone.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

launch_group() { # ARGUMENT...: as launch_background, in a process group of its own
    rm -f out err
    DQEMU_TEST_RUN=$mark setsid env --default-signal=INT,QUIT "$DQEMU_LAUNCH" "$@" \
        </dev/null >out 2>err &
    pid=$!
}

is_in_state() { # PID STATES
    grep -q "^State:.[$2]" "/proc/$1/status"
}

for n in 1 3; do
    for signal in USR1 HUP ALRM WINCH RTMIN+2 RTMAX-4; do
        number=$(kill -l $signal)
        launch_group -n $n ./prog "0@run:wait-signal=$number" 0@run:wait-signal=12 0@run:exit=4
        await 5 has_line out ready
        kill -$signal -- -"$pid"
        await 5 has_lines 3 out
        kill -USR2 "$pid"
        join_background 5
        check "SIG$signal to the group comes once, $n nodes" \
            test "$status $(tr '\n' ' ' <out)" = "4 ready signal $number ready signal 12 "

        launch_group -n $n ./prog "0@run:wait-signal=$number" 0@run:exit=5
        await 5 has_line out ready
        kill -$signal "$pid"
        join_background 5
        check "SIG$signal to the launcher is passed on, $n nodes" \
            test "$status $(tail -n 1 out)" = "5 signal $number"
    done
    launch_group -n $n ./prog 0@run:say=up 0@run:hang
    await 5 test -s out
    kill -RTMIN+3 -- -"$pid"
    join_background 5
    check "a signal to the group that the guest does not handle ends it, $n nodes" \
        test "$status" = $((128 + $(kill -l RTMIN+3)))
done

# The kernel stops no process by SIGTSTP that nobody could continue: this shell could, as it is in the same
# session and not in the group.
launch_job() { # ARGUMENT...
    set -m
    launch_background "$@"
    set +m
}

for signal in STOP TSTP; do
    rm -f pids
    launch_job -n 3 ./prog {0,1,2}@run:pid=pids 0@run:wait-signal=10 0@run:exit=6
    await 5 has_lines 3 pids
    await 5 has_line out ready
    read -r zero one two < <(sort -n pids | sed 's/^. //' | tr '\n' ' ')
    kill -$signal "$zero"
    await 5 is_in_state "$one" T && await 5 is_in_state "$two" T
    check "SIG$signal to the guest stops all nodes" test $? = 0
    kill -CONT "$zero"
    await 5 is_in_state "$one" SR && await 5 is_in_state "$two" SR
    check "which go on with it" test $? = 0
    kill -USR1 "$pid"
    join_background 5
    check "and so does the run" test "$status $(<err)" = "6 "
done
# SIGSTOP stops the launcher, too.
rm -f pids
launch_job -n 3 ./prog {0,1,2}@run:pid=pids 0@run:wait-signal=10 0@run:exit=7
await 5 has_lines 3 pids
await 5 has_line out ready
read -r zero one two < <(sort -n pids | sed 's/^. //' | tr '\n' ' ')
for i in 1 2; do
    kill -STOP -- -"$pid"
    await 5 is_in_state "$zero" T && await 5 is_in_state "$one" T && await 5 is_in_state "$two" T
    check "SIGSTOP to the group stops all nodes, time $i" test $? = 0
    kill -CONT -- -"$pid"
    await 5 is_in_state "$zero" SR && await 5 is_in_state "$one" SR && await 5 is_in_state "$two" SR
    check "which go on with it, time $i" test $? = 0
done
for i in {1..50}; do # closer than the one who stops the nodes can follow
    kill -STOP -- -"$pid"
    kill -CONT -- -"$pid"
done
await 5 is_in_state "$zero" SR && await 5 is_in_state "$one" SR && await 5 is_in_state "$two" SR
check "however quickly the one follows the other" test $? = 0
kill -USR1 "$pid"
join_background 5
check "and so does the run then" test "$status $(<err)" = "7 "
# The kernel hangs up a group that nobody else in its session looks after, if somebody in it is stopped when
# it becomes so. That is not to be by the end of a run.
cat >beside.sh <<'END'
trap 'echo "hung up"' HUP
sleep 60 &
kill -STOP $!
"$DQEMU_LAUNCH" -n 2 ./prog 0@run:exit=8
echo "status $?"
kill -KILL $!
END
# shellcheck disable=SC2031 # it is the name of all runs
DQEMU_TEST_RUN=$mark setsid --wait bash beside.sh </dev/null >out 2>err
check "a run ends beside a stopped process of its group" test "$(<out)" = "status 8"

done_testing
