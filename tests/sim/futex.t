#!/bin/sh
# The futex service under random schedules; fewer of them under the sanitizers.
# SPDX-License-Identifier: GPL-2.0-or-later
cd "$(dirname "$0")/../.." || exit 1
limit=$((100 * ${DQEMU_TIME_SCALE:-1}))

run() { # NUMBER PROGRAM SCHEDULES
    if timeout -k 5 "$limit" "$2" --schedules="$3" >"$log" 2>&1; then
        echo "ok $1 - $2: $3 schedules"
    else
        echo "not ok $1 - $2: $3 schedules, status $?"
        sed 's/^/# /' "$log"
    fi
}

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
echo 1..3
run 1 build/tests/futex_sim 100000
run 2 build/tests/asan/futex_sim 10000
run 3 build/tests/tsan/futex_sim 10000
