#!/bin/bash
# node.sh DIR CPUS NETNS NODE COMMAND... - how the benchmarks start a node (dqemu-launch --wrap):
# leaves its pid in DIR/NODE, runs it on one of CPUS ("0,1"), and in the network namespace
# NETNS-NODE unless NETNS is "-".
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -eu

dir=$1 netns=$3 node=$4
IFS=, read -ra cpus <<<"$2"
shift 4
echo $$ >"$dir/$node"
enter=()
[ "$netns" = - ] || enter=(ip netns exec "$netns-$node")
exec "${enter[@]}" taskset -c "${cpus[node % ${#cpus[@]}]}" "$@"
