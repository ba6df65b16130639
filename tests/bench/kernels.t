#!/bin/bash
# Each bench kernel, smallest size, four threads on three nodes: it must find its own result right,
# print what one thread under plain QEMU prints, and run threads on both other nodes. The runner of
# the speed-up curves works.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
# shellcheck source=tests/bench/kernels/lib.sh
. "$(dirname "$0")/kernels/lib.sh"
need_build

explain() { # DIR: of the run that failed
    jq -r .outcome "$1/run"
    head -n 20 "$1/err"
    cat "$1/left"
    jq -c '.nodes[]' "$1/stats" 2>/dev/null
}

try() { # KERNEL
    local name=$1 dir=$SCRATCH/run
    if ! measure "$name" plain 1 1 - 30 "$dir" - "$KERNELS/$name" -s test; then
        explain "$dir" | fail "$name under plain QEMU"
        return
    fi
    mv "$dir/out" "$SCRATCH/reference"
    if ! measure "$name" real 3 4 - 40 "$dir" "$SCRATCH/reference" "$KERNELS/$name" -t 4 -s test; then
        { explain "$dir"; diff "$SCRATCH/reference" "$dir/out" | head -n 20; } | fail "$name"
    elif ! jq -e '[.stats[].threads] | length == 3 and all(. >= 1) and add == 4' \
        "$dir/run" >/dev/null; then
        { echo "its threads did not run on all nodes"; explain "$dir"; } | fail "$name"
    else
        pass "$name"
    fi
}

sources=("$KERNEL_DIR"/*.c)
for source in "${sources[@]}"; do
    name=$(basename "$source" .c)
    [ -x "$KERNELS/$name" ] || bail_out "$KERNELS/$name is missing: run make bench-kernel-programs"
    try "$name"
done

# the runner of the curves, as far as it needs no privilege and no gnuplot
name="curves: a table and JSON"
"$KERNEL_DIR/curves" --only '^swaptions$' --size test --setup real --nodes 1,2 --out "$SCRATCH/out" \
    >"$SCRATCH/table" 2>&1
status=$?
if [ $status = 0 ] && [ "$(grep -cE '^swaptions +(plain|real) ' "$SCRATCH/table")" -ge 2 ] &&
    jq -e '.schema == 1 and (.runs | length >= 2 and all(.outcome == "good" and .seconds > 0))' \
        "$SCRATCH/out/kernels.json" >/dev/null; then
    pass "$name"
else
    { echo "status $status"; cat "$SCRATCH/table"; } | fail "$name"
fi
echo "1..$point"
[ "$failed" = 0 ]
