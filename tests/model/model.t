#!/usr/bin/env bash
# The Promela model of the coherence protocol: spin finds no error in it, and finds every fault
# that is planted.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u

model=$(cd "$(dirname "$0")/../.." && pwd)/proto/model/coherence.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The bounds of the search: 3 nodes always; see the top of the model for what each limits.
bounds=(-DMAXW=2 -DMAXR=1 -DMAXG=2 -DMAXQ=6)

# check NAME OPTIMISATION [DEFINE...]: the verifier's last words in $work/NAME/out
check() {
    local dir=$work/$1 level=$2
    shift 2
    mkdir "$dir" && cd "$dir" || return
    spin "$@" -a "$model" > spin.log 2>&1 &&
        gcc "$level" -w -DSAFETY -DCOLLAPSE -DMEMLIM=1024 -o pan pan.c &&
        timeout 120 ./pan -m1000000 > out 2>&1
}

# Complete, and without an error: a search cut short proves nothing.
is_clean() {
    grep -q 'errors: 0$' "$work/$1/out" &&
        ! grep -qE 'truncated|out of memory|max search depth too small|assertion violated' \
            "$work/$1/out"
}

mapfile -t plants < <(grep -oE 'PLANT_[A-Z_]+[A-Z]' "$model" | sort -u)
echo "1..$((${#plants[@]} + 2))"
n=1
report() {
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
    n=$((n + 1))
}

if ! command -v spin > "$work/which"; then
    echo "Bail out! spin is missing (Debian package spin)"
    exit 1
fi

(check sound -O2 "${bounds[@]}")
is_clean sound
report $? "no error in the protocol"
sed -n 's/^ *\([0-9]*\) states, stored.*/# \1 states/p' "$work/sound/out"
is_clean sound || sed 's/^/# /' "$work/sound/out" "$work/sound/spin.log"

[ "${#plants[@]}" -ge 9 ]
report $? "at least nine faults can be planted"

export -f check
export model work
printf '%s\n' "${plants[@]}" | xargs -P 2 -I {} bash -c 'check {} -O0 -D{}'
for plant in "${plants[@]}"; do
    grep -qE 'assertion violated|invalid end state' "$work/$plant/out"
    report $? "found: $plant"
done
