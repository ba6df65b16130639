#!/bin/bash
# Processes that the guest has forked, whatever their parent and session: they end when the run
# fails, and live on after its orderly end, as under plain QEMU.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/faults/lib.sh
. "$(dirname "$0")/lib.sh"

mkfifo input

# The guest in the background; it ends when descriptor 9 is closed.
begin() { # NODES
    rm -f out err
    DQEMU_TEST_RUN=$mark "$DQEMU_LAUNCH" -v -n "$1" -- "$GUESTS/family" <input >out 2>err &
    launcher=$!
    exec 9>input
    await 10 says 'family: .*'
}

all_alive() {
    # shellcheck disable=SC2046
    kill -0 $(sed -n 's/^family: //p' out) 2>/dev/null
}

for signal in KILL TERM INT; do
    begin 3
    number=$(kill -l $signal)
    all_alive && kill -"$signal" "$(pid_of 1)"
    join 2
    late=$?
    check_none_left $mark >left
    gone=$?
    if [ $late$gone = 00 ] && [ $status = 125 ] &&
        [ "$(grep -c "^dqemu: node 1 (127.0.0.1) was lost: killed by signal $number; " err)" = 1 ] &&
        [ "$(grep -c 'was lost' err)" = 1 ]; then
        pass "a slave ended by SIG$signal is a lost node, and the guest's children end too"
    else
        { report; cat left; } |
            fail "a slave ended by SIG$signal is a lost node, and the guest's children end too"
    fi
    exec 9>&-
done

for n in 1 3; do
    begin $n
    exec 9>&-
    join 5
    late=$?
    if [ $late$status = 00 ] && all_alive && [ "$(left_of $mark | wc -l)" = 3 ]; then
        pass "after an orderly end on $(plural $n node) they live on"
    else
        { report; left_of $mark; } | fail "after an orderly end on $(plural $n node) they live on"
    fi
    left_of $mark | xargs -r kill -KILL
    await 2 none_left $mark
done

# What was a child of the launcher's process before it became the launcher is none of the run's.
rm -f out err
DQEMU_TEST_RUN=$mark bash -c 'sleep 60 & echo $! >stranger; exec "$@"' - \
    "$DQEMU_LAUNCH" -v -n 2 -- "$GUESTS/family" <input >out 2>err &
launcher=$!
exec 9>input
await 10 says 'family: .*'
kill -KILL "$(pid_of 1)"
join 2
late=$?
if [ $late = 0 ] && [ $status = 125 ] && [ "$(left_of $mark)" = "$(<stranger)" ]; then
    pass "a child that the launcher had before is left alone"
else
    { report; left_of $mark; } | fail "a child that the launcher had before is left alone"
fi
kill -KILL "$(<stranger)"
exec 9>&-
done_testing
