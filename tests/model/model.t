#!/usr/bin/env bash
# The Promela models, of the coherence protocol and of page splitting: spin finds no error in them,
# and finds every fault that is planted.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u

folder=$(cd "$(dirname "$0")/../.." && pwd)/proto/model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The bounds of the search: 3 nodes always; see the top of each model for what they limit.
declare -A bounds=([coherence]="-DMAXW=2 -DMAXR=1 -DMAXG=2 -DMAXQ=6" [split]="-DCALLERS=2 -DMAXS=1")
declare -A what=([coherence]="the protocol" [split]="splitting")

# check MODEL NAME OPTIMISATION [DEFINE...]: the verifier's last words in $work/MODEL/NAME/out
check() {
    local model=$folder/$1.pml dir=$work/$1/$2 level=$3
    shift 3
    mkdir -p "$dir" && cd "$dir" || return
    spin "$@" -a "$model" > spin.log 2>&1 &&
        gcc "$level" -w -DSAFETY -DCOLLAPSE -DMEMLIM=1024 -o pan pan.c &&
        timeout 120 ./pan -m1000000 -w21 > out 2>&1
}

# Complete, and without an error: a search cut short proves nothing.
is_clean() {
    grep -q 'errors: 0$' "$work/$1/sound/out" &&
        ! grep -qE 'truncated|out of memory|max search depth too small|assertion violated' \
            "$work/$1/sound/out"
}

plants_of() {
    grep -oE 'PLANT_[A-Z_]+[A-Z]' "$folder/$1.pml" | sort -u
}

n=1
report() {
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
    n=$((n + 1))
}

# The points of one model, whose searches are done.
judge() {
    local model=$1 plants plant
    mapfile -t plants < <(plants_of "$model")

    is_clean "$model"
    report $? "no error in ${what[$model]}"
    sed -n 's/^ *\([0-9]*\) states, stored.*/# \1 states/p' "$work/$model/sound/out"
    is_clean "$model" || sed 's/^/# /' "$work/$model/sound/out" "$work/$model/sound/spin.log"

    [ "${#plants[@]}" -ge 9 ]
    report $? "at least nine faults can be planted in ${what[$model]}"

    for plant in "${plants[@]}"; do
        grep -qE 'assertion violated|invalid end state' "$work/$model/$plant/out"
        report $? "found: $plant"
    done
}

echo "1..$(($(plants_of coherence | wc -l) + $(plants_of split | wc -l) + 4))"
if ! command -v spin > "$work/which"; then
    echo "Bail out! spin is missing (Debian package spin)"
    exit 1
fi

export -f check
export folder work
{
    for model in coherence split; do
        echo "$model sound -O2 ${bounds[$model]}"
    done
    for model in coherence split; do
        plants_of $model | sed "s/.*/$model & -O0 -D&/"
    done
} | xargs -P 2 -I {} bash -c 'check {}'
judge coherence
judge split
