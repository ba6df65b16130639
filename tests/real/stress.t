#!/bin/bash
# stress-ng checks the results of its own stressors. They work in children of the program it
# starts, so that these prove fork, signals and locks rather than threads on other nodes.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/real/lib.sh
. "$(dirname "$0")/lib.sh"
need_programs usr/bin/stress-ng
enter_scratch

stress() { # NAME OPTION...
    local name=$1 mark=$$-stress status left
    shift
    run_marked $mark 60 "$DQEMU_LAUNCH" -n "$NODES" -L "$SYSROOT" "$SYSROOT/usr/bin/stress-ng" \
        --verify --timeout 5 --temp-path "$SCRATCH" "$@" </dev/null >out 2>&1
    status=$?
    left=$(check_none_left $mark) || status=left
    if [ $status = 0 ] && grep -q 'successful run completed' out; then
        pass "stress-ng: $name"
    else
        { echo "status $status"; cat out; echo "$left"; } | fail "stress-ng: $name"
    fi
}

stress futex --futex 2 --futex-ops 1000
# with few operations the first thread has done them before the others are made, which is an error for it
stress mutex --mutex 1 --mutex-procs 4 --mutex-ops 20000
stress semaphores --sem 1 --sem-procs 4 --sem-ops 1000
stress vm --vm 2 --vm-bytes 8M --vm-ops 1000
stress clone --clone 1 --clone-ops 100
stress threads --pthread 1 --pthread-max 16 --pthread-ops 100
stress signal --signal 1 --signal-ops 1000
stress sigqueue --sigq 1 --sigq-ops 300
stress sigsegv --sigsegv 1 --sigsegv-ops 100
done_testing
