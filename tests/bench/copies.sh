#!/bin/bash
# copies.sh DIR CPUS COPIES COMMAND... - runs so many copies of a command at once, each started as
# node.sh starts a node, and prints of each number that they print ("name value unit") the greatest.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -eu

dir=$1 cpus=$2 copies=$3
shift 3
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -f "$dir"/copy.*' EXIT
trap 'exit 1' TERM INT HUP
for ((k = 0; k < copies; k++)); do
    "$(dirname "$0")/node.sh" "$dir" "$cpus" - "$k" "$@" >"$dir/copy.$k" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid"
done
awk '!($1 in most) || $2 > most[$1] { most[$1] = $2; line[$1] = $0 } END { for (n in line) print line[n] }' \
    "$dir"/copy.*
