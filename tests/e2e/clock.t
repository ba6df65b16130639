#!/bin/bash
# Nodes agree about time. Programs about clocks, waits and timers run on nodes that share the
# machine's clocks, and on nodes that each have a time namespace of their own, as if on machines
# that were started at other times.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
cd "$SCRATCH" || exit 1
mark=$$-clock

guests=(clock/clock_order clock/clock_waits)
others=(threads/clocks io/timerfd signals/itimers sync/condvar sync/semaphore threads/cancel)

# The seconds by which the monotonic clock of a node is ahead of the machine's; it cannot be so far
# behind that it would be less than nothing.
uptime=$(awk '{ print int($1) }' /proc/uptime)
cat >offset <<END
#!/bin/sh
case \$1 in
1) echo 100000 ;;
2) echo -$((uptime / 2 < 50 ? uptime / 2 : 50)) ;;
3) echo 1 ;;
*) echo 0 ;;
esac
END
cat >own_clocks <<END
#!/bin/sh
# Node \$1 with clocks of its own; 0, which is the master, with the machine's.
seconds=\$('$SCRATCH/offset' "\$1")
shift
[ "\$seconds" = 0 ] && exec "\$@"
exec unshare --time --monotonic "\$seconds" --boottime "\$((seconds + 5))" "\$@"
END
cat >last_own <<END
#!/bin/sh
# The last of three nodes alone with clocks of its own.
[ "\$1" = 2 ] && exec '$SCRATCH/own_clocks' "\$@"
shift
exec "\$@"
END
chmod +x offset own_clocks last_own

run() { # NAME GUEST NODES
    if "$TOP/tests/e2e/run_guest.sh" "$TOP/tests/guests/$2.c" "$3" >diagnosis 2>&1; then
        pass "$1: $(basename "$2") on $(plural "$3" node)"
    else
        fail "$1: $(basename "$2") on $(plural "$3" node)" <diagnosis
    fi
}

for guest in "${guests[@]}"; do
    for n in $DQEMU_TEST_NODES; do
        run "one machine" "$guest" "$n"
    done
done

moved=$(./own_clocks 1 awk '{ print int($1) }' /proc/uptime 2>diagnosis)
if [ $((${moved:-0} - uptime)) -lt 100000 ]; then
    if [ "${CI:-}" = true ]; then
        { cat diagnosis; echo "uptime $uptime, there ${moved:-unknown}"; } |
            fail "a process can have clocks of its own"
    else
        skip "clocks of their own" "unshare --time does not work here: it needs Linux 5.6 and root"
    fi
    echo "1..$point"
    [ "$failed" = 0 ]
    exit
fi

export DQEMU_WRAP="$SCRATCH/own_clocks %n"
for guest in "${guests[@]}"; do
    for n in $DQEMU_TEST_NODES; do
        [ "$n" = 1 ] || run "clocks of their own" "$guest" "$n"
    done
done
for guest in "${others[@]}"; do
    run "clocks of their own" "$guest" 3
done
export DQEMU_WRAP="$SCRATCH/last_own %n"
for guest in "${guests[@]}"; do
    run "one with clocks of its own" "$guest" 3
done
unset DQEMU_WRAP

# What each node says of its clock: the truth is within the bounds that it says, and at the start,
# where nothing is slewed, the error is less than the round trip.
cat >true_offsets.awk <<'AWK'
/'s clock at the (start|end): / {
    for (i = 1; i < NF; i++) {
        if ($i == "clock" && $(i + 1) == "at") {
            node = substr($(i - 1), 1, 1)
            when = substr($(i + 3), 1, length($(i + 3)) - 1)
            offset = $(i + 4)
        }
        if ($i == "within") within = $(i + 1) + 0
        if ($i == "trip") trip = $(i + 1) + 0
    }
    command = "./offset " node
    command | getline ahead
    close(command)
    # Two large numbers that are almost the same: the seconds and the rest apart.
    split(substr(offset, 2), parts, ".")
    sign = substr(offset, 1, 1) == "-" ? -1 : 1
    wrong = (sign * parts[1] + ahead) * 1e9 + sign * parts[2]
    if (wrong < 0) wrong = -wrong
    print "node " node " at the " when ": " wrong " ns wrong, within " within ", round trip " trip
    if (wrong > within || (when == "start" && wrong >= trip)) bad = 1
    seen[when]++
}
END { exit bad || seen["start"] != 2 || seen["end"] != 2 }
AWK
run_marked $mark 60 "$DQEMU_LAUNCH" -n 3 -v --wrap "$SCRATCH/own_clocks %n" -- \
    "$GUESTS/clock_waits" </dev/null >out 2>err
status=$?
awk -f true_offsets.awk err >diagnosis
right=$?
if [ $status$right = 00 ] && check_none_left $mark >>diagnosis; then
    pass "the error is less than the round trip"
else
    { echo "status $status"; cat diagnosis err; } | fail "the error is less than the round trip"
fi

# Nodes that share the machine's clocks do not ask for the time.
if run_marked $mark 20 "$DQEMU_LAUNCH" -n 3 -v -- "$GUESTS/mutex" </dev/null >out 2>err &&
    ! grep "'s clock " err >diagnosis; then
    pass "nodes of one machine need no agreement"
else
    cat err | fail "nodes of one machine need no agreement"
fi
echo "1..$point"
[ "$failed" = 0 ]
