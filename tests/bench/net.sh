#!/bin/bash
# Nodes as hosts: network namespaces joined by veth pairs and a bridge, each link limited by tbf.
#
#   net.sh up NAME NODES RATE    namespaces NAME-0 ... with addresses 10.87.0.1 ...; RATE: 1gbit
#   net.sh down NAME             removes them; also what a killed run has left behind
#
# The bridge lives in a namespace of its own (NAME-hub): nothing changes for this machine.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail

up() { # NAME NODES RATE
    local name=$1 nodes=$2 rate=$3 k
    ip netns add "$name-hub"
    ip -n "$name-hub" link add hub type bridge
    ip -n "$name-hub" link set hub up
    for ((k = 0; k < nodes; k++)); do
        ip netns add "$name-$k"
        ip -n "$name-$k" link set lo up
        ip -n "$name-$k" link add eth0 type veth peer name "port$k" netns "$name-hub"
        ip -n "$name-$k" address add "10.87.0.$((k + 1))/24" dev eth0
        ip -n "$name-$k" link set eth0 up
        ip -n "$name-hub" link set "port$k" master hub up
        ip netns exec "$name-$k" tc qdisc add dev eth0 root tbf rate "$rate" burst 256kb latency 50ms
        ip netns exec "$name-hub" tc qdisc add dev "port$k" root tbf rate "$rate" burst 256kb \
            latency 50ms
    done
}

down() { # NAME
    local each
    ip netns list | cut -d' ' -f1 | { grep -E "^$1-(hub|[0-9]+)$" || true; } |
        while read -r each; do
            ip netns delete "$each"
        done
}

# Names are dqb<pid>: those of processes that are gone were left behind.
sweep() {
    local pid
    ip netns list | sed -nE 's/^dqb([0-9]+)-.*/\1/p' | sort -u | while read -r pid; do
        [ -e "/proc/$pid" ] || down "dqb$pid"
    done
}

case ${1:-} in
up)
    sweep
    up "$2" "$3" "$4"
    ;;
down)
    down "$2"
    sweep
    ;;
*)
    echo "usage: net.sh up NAME NODES RATE | down NAME" >&2
    exit 2
    ;;
esac
