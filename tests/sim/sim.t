#!/usr/bin/env bash
# The coherence engine under random schedules: 100,000 pass, planted faults are found, and a failure
# names a seed that replays it.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u

build=$(cd "$(dirname "$0")/../.." && pwd)/build
sim=$build/tests/sim
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mapfile -t plants < <("$sim" --plants | cut -f1)
echo "1..$((${#plants[@]} + 4))"
n=1
report() {
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
    n=$((n + 1))
}
show() {
    sed 's/^/# /' "$@"
}

timeout 100 "$sim" --seeds 1..50000 > "$work/low" 2>&1 &
low=$!
timeout 100 "$sim" --seeds 50001..100000 > "$work/high" 2>&1 &
high=$!
wait "$low"
low=$?
wait "$high"
report $((low | $?)) "100000 schedules"
show "$work/low" "$work/high"

timeout 100 "$build/tests/asan/sim" --seeds 100001..103000 > "$work/asan" 2>&1
report $? "3000 schedules under AddressSanitizer and UBSan"
show "$work/asan"

for plant in "${plants[@]}"; do
    timeout 60 "$sim" --plant "$plant" --seeds 1..5000 > "$work/$plant" 2>&1
    [ $? -eq 1 ] && grep -q '^seed [0-9]* fails: ' "$work/$plant"
    report $? "found: $plant"
    show "$work/$plant"
done

[ "${#plants[@]}" -ge 5 ]
report $? "at least five faults can be planted"

# The replay says the same as the first run, and shows how it came to that.
replay=$(sed -n 's/.*replay with: build\/tests\/sim //p' "$work/${plants[0]}")
# shellcheck disable=SC2086 # the options are words
timeout 60 "$sim" $replay > "$work/replay" 2>&1
[ "$(tail -n 1 "$work/replay")" = "$(cat "$work/${plants[0]}")" ] &&
    [ "$(wc -l < "$work/replay")" -gt 2 ]
report $? "a failing seed replays"
