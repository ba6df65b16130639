#!/bin/bash
# Each bench kernel, smallest size, four threads on three nodes: it must find its own result right,
# print what one thread under plain QEMU prints, and run threads on both other nodes.
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
echo "1..$point"
[ "$failed" = 0 ]
