#!/bin/bash
# What README.md shows works as shown: each block of commands runs, and where a block of text
# follows it, that is what it prints.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
cd "$TOP" || exit 1

# SCRATCH/N.sh, SCRATCH/N.text, and the word after "sh" in SCRATCH/N.needs
blocks=$(awk -v dir="$SCRATCH" '
    /^```sh/ { n++; file = dir "/" n ".sh"; print $2 >(dir "/" n ".needs"); next }
    /^```text/ { file = dir "/" n ".text"; next }
    /^```/ { file = ""; next }
    file { print >file }
    END { print n }' README.md)

reason() { # NEEDS: why the block cannot run now, or nothing
    local file
    for file in dqemu-{aarch64,riscv64,x86_64} guests/{,riscv64/,x86_64/}big_sum; do
        [ -x build/$file ] || { echo "no build/$file: make, make guests"; return; }
    done
    [ "$1" != rack ] || echo "it needs several hosts"
    [ "$1" != sysroot ] || [ -x build/sysroot/usr/bin/pigz ] || echo "no build/sysroot: make run assembles it"
}

for n in $(seq "$blocks"); do
    name="README.md, block $n: $(head -n 1 "$SCRATCH/$n.sh")"
    why=$(reason "$(<"$SCRATCH/$n.needs")")
    if [ -n "$why" ]; then
        skip "$name" "$why"
        continue
    fi
    run_marked "$$-readme" 120 bash -euo pipefail "$SCRATCH/$n.sh" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    status=$?
    if [ $status = 0 ] && { [ ! -e "$SCRATCH/$n.text" ] || cmp -s "$SCRATCH/out" "$SCRATCH/$n.text"; } &&
        check_none_left "$$-readme" >>"$SCRATCH/err"; then
        pass "$name"
    else
        { echo "status $status"; cat "$SCRATCH/out" "$SCRATCH/err"; } >"$SCRATCH/diagnosis"
        fail "$name" <"$SCRATCH/diagnosis"
    fi
done

echo "1..$point"
[ "$failed" = 0 ]
