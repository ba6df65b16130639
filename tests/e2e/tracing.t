#!/bin/bash
# What can be seen of a guest's system calls: -strace shows each once, with its thread and node, also those
# that a node answers itself; a call that QEMU lacks is named once with how often it was made, and counted.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
as_user "$@"
guest=$GUESTS/traced
[ -x "$guest" ] || bail_out "$guest is missing: run make guests"
mark=$$-tracing
cd "$SCRATCH" || exit 1
calls=(getpid gettid getppid sched_yield read write close)

count_calls() { # FILE
    local call
    for call in "${calls[@]}"; do
        # QEMU writes a call and its result apart: those of two threads may share a line
        echo "$call $(grep -o "\b$call(" "$1" | wc -l)"
    done
}

run_marked $mark 20 "${ORACLE[@]}" -strace "$guest" </dev/null 2>plain
for n in 1 3; do
    run_marked $mark 20 "$DQEMU_LAUNCH" -n "$n" -strace "$guest" </dev/null 2>traced
    if diff <(count_calls plain) <(count_calls traced) >diagnosis; then
        pass "-strace shows each call once on $(plural "$n" node)"
    else
        fail "-strace shows each call once on $(plural "$n" node)" <diagnosis
    fi
done
if nodes=$(sed -n 's/^[0-9]*@\([0-9]\) getpid() = [0-9]*$/\1/p' traced | sort | uniq -c | xargs) &&
    [[ $nodes == *" 0 "*" 1 "* ]]; then
    pass "and on which node: $nodes"
else
    grep -m 5 getpid traced | fail "and on which node"
fi

for n in 1 3; do
    run_marked $mark 20 "$DQEMU_LAUNCH" -n "$n" -v --stats=stats "$guest" </dev/null 2>said
    times=12
    if [ "$(grep -c "number 900 is missing in QEMU: answered with ENOSYS $times times" said)" = 1 ] &&
        [ "$(grep -c "number 900" said)" = 1 ]; then
        pass "a missing call is named once on $(plural "$n" node)"
    else
        fail "a missing call is named once on $(plural "$n" node)" <said
    fi
    if jq -e --argjson n $times '[.nodes[].syscalls_missing] | add >= $n' stats >/dev/null; then
        pass "and counted"
    else
        fail "and counted" <stats
    fi
    run_marked $mark 20 "$DQEMU_LAUNCH" -n "$n" "$guest" </dev/null 2>said
    if [ ! -s said ]; then
        pass "and nothing is said without -v"
    else
        fail "and nothing is said without -v" <said
    fi
done
echo "1..$point"
[ "$failed" = 0 ]
