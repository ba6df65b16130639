#!/usr/bin/env bash
# What many nodes cost, simulated: a fault does not get dearer with their number, what goes to all
# is quicker along a tree, and connections and entries are as many and as long as they should be.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u

build=$(cd "$(dirname "$0")/../.." && pwd)/build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "1..9"
n=1
report() {
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
    n=$((n + 1))
}
# holds TABLE NAME PROGRAM: the awk program counts rows that matter and sets bad
holds() {
    awk "$3"' END { exit bad || !rows }' "$work/$1"
    report $? "$2"
}

timeout 60 "$build/tests/test_tree" > "$work/tree" 2>&1
report $? "the tree reaches every node once, and nobody tells too many"
for table in faults connections questions fan-outs readers; do
    timeout 100 "$build/tests/scale" "$table" > "$work/$table" 2>&1 || failed=1
done
report "${failed:-0}" "all is simulated; every node is told once in each round"

# At most GET, WAIT, FETCH, DATA, DONE, three of them before the thread goes on, on 1024 nodes too.
holds faults "five messages and three hops at most for a page that wanders" \
    '$1 == "migratory" { rows++; bad += $4 > 5 || $6 > 3 }'
holds faults "and for one that is shared by neighbours" \
    '$1 == "neighbours" { rows++; bad += $4 > 5 || $6 > 3 }'
# 1 % of a page
holds faults "entries that name eight are short where few nodes share a page" \
    '$1 ~ /private|migratory|neighbours/ { rows++; bad += $9 + 0 > 0 || $10 > 41 }'
holds connections "who is the home of its own memory talks to the master and its neighbours" \
    '$2 == "own" { rows++; bad += $6 > ($1 == "private" ? 1 : 3) }'
# Told, telling sixteen, answered, answering.
holds questions "nobody handles more than 34 messages in a round along the tree" \
    '$2 == "tree" { rows++; bad += $6 > $4 * 34 }'
holds questions "the tree is never slower, and quicker from 64 nodes on" \
    '$2 == "flat" { flat = $5 }
     $2 == "tree" { rows++; bad += $5 > flat || ($3 >= 64 && $5 >= flat) }'
holds readers "a home handles three messages for each reader at most" \
    '$2 + 0 { rows++; bad += $4 > 3 * $2 || $6 > 3 * $2 || $8 > 3 * $2 }'
sed 's/^/# /' "$work"/*
