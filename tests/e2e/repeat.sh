#!/bin/bash
# Run guests again and again, to find what fails rarely.
#
#   repeat.sh N COUNT [GUEST...]        on N nodes, COUNT times each; all guests by default
#
# One line per guest and one for each run that failed; exits with 1 when any did.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -ge 2 ] || { echo "usage: repeat.sh N COUNT [GUEST...]" >&2; exit 2; }
nodes=$1 count=$2
shift 2
sources=()
if [ $# = 0 ]; then
    for source in "$TOP"/tests/guests/*/*.c; do
        # The tools serve other tests and have nothing to expect.
        [[ $source == */tools/* ]] || sources+=("$source")
    done
else
    for name in "$@"; do
        sources+=("$TOP"/tests/guests/*/"$name".c)
    done
fi

any=0
for source in "${sources[@]}"; do
    name=$(basename "$source" .c)
    [ -f "$source" ] || { echo "no such guest: $name" >&2; exit 2; }
    for ((i = 1; i <= count; i++)); do
        printf '%s\0' "$source" "$nodes" "$SCRATCH/$name.$i"
    done | xargs -0 -n 3 -P "$DQEMU_TEST_JOBS" "$TOP/tests/e2e/run_guest.sh" >/dev/null
    good=0
    for ((i = 1; i <= count; i++)); do
        if [ "$(head -n 1 "$SCRATCH/$name.$i" 2>/dev/null)" = ok ]; then
            good=$((good + 1))
        else
            echo "$name, run $i:"
            tail -n +2 "$SCRATCH/$name.$i" | sed 's/^/    /'
        fi
    done
    echo "$name: $good of $count on $(plural "$nodes" node)"
    [ $good = "$count" ] || any=1
done
exit $any
