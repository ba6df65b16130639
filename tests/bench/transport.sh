#!/bin/bash
# Our transports beside a plain program of the same kind: latency of a request that is answered
# by nothing, a page, and 16 pages, and bytes per second of pages asked for 16 at a time.
#
#   transport.sh [--address A] [--cpus A,B] [--count N]
#
# TCP is compared with build/tests/raw. RDMA with perftest (ib_send_lat, ib_write_lat,
# ib_write_bw), if that is installed; without a device that has the address its rows say so.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=build/tests address=127.0.0.1 options=() count=10000
while [ $# -gt 1 ]; do
    case $1 in
    --address) address=$2 options+=("$1" "$2") ;;
    --cpus) options+=("$1" "$2") ;;
    --count) count=$2 ;;
    *) break ;;
    esac
    shift 2
done
[ $# = 0 ] || { sed -n 's/^#   //p' "$0" >&2 && exit 2; }

row() { # WHAT VALUE
    printf '%-52s %s\n' "$1" "$2"
}

us() { jq -r '"\(.median_ns / 10 | round / 100) us (99 %: \(.p99_ns / 10 | round / 100))"'; }
rate() { jq -r '"\(.bytes_per_second / 1e6 | round) MB/s"'; }

raw() { "$tools/raw" "${options[@]}" --count "$count" "$@"; }
ours() { # TRANSPORT MODE PAGES
    "$tools/transport" --transport "$1" "${options[@]}" --count "$count" "$2" "$3"
}

# perftest: a server in the background, then the client; the column of its last line.
perf() { # COLUMN TOOL ARGUMENT...
    local column=$1 server said
    shift
    "$@" -R >/dev/null 2>&1 &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        said=$("$@" -R "$address" 2>/dev/null) && break
        read -rt 0.2 <> <(:) || true # the server may not listen yet
    done
    wait $server || true
    awk -v c="$column" '/^ *[0-9]/ { v = $c } END { print v ? v : "failed" }' <<<"$said"
}

row 'tcp  plain program, 32 -> 32 bytes' "$(raw ping 32 32 | us)"
row 'tcp  ours, request -> answer' "$(ours tcp ping 0 | us)"
row 'tcp  plain program, 32 -> 4096 bytes' "$(raw ping 32 4096 | us)"
row 'tcp  ours, request -> page' "$(ours tcp ping 1 | us)"
row 'tcp  plain program, 32 -> 65536 bytes' "$(raw ping 32 65536 | us)"
row 'tcp  ours, request -> 16 pages' "$(ours tcp ping 16 | us)"
row 'tcp  plain program, stream of 65536 bytes' "$(raw stream 65536 | rate)"
row 'tcp  ours, stream of 16 pages' "$(ours tcp stream 16 | rate)"

status=0
why=$("$tools/transport" --transport rdma --address "$address" --count 1 ping 0 2>&1 >/dev/null) ||
    status=$?
if [ $status != 0 ]; then
    for what in 'request -> answer' 'request -> page' 'request -> 16 pages' 'stream of 16 pages'; do
        row "rdma ours, $what" "no device: ${why#transport: }"
    done
    exit $((status == 3 ? 0 : 1))
fi
row 'rdma ours, request -> answer' "$(ours rdma ping 0 | us)"
row 'rdma ours, request -> page' "$(ours rdma ping 1 | us)"
row 'rdma ours, request -> 16 pages' "$(ours rdma ping 16 | us)"
row 'rdma ours, stream of 16 pages' "$(ours rdma stream 16 | rate)"
for pages in 1 16; do
    row "rdma registering $pages pages, beside copying them" "$("$tools/transport" \
        --address "$address" register $pages | jq -r '"\(.register_ns) ns, \(.copy_ns) ns"')"
done
if command -v ib_send_lat >/dev/null; then
    row 'rdma perftest, send of 32 bytes, there and back' \
        "$(perf 6 ib_send_lat -s 32 -n 1000 -e | awk '{ print $1 * 2 " us" }')"
    row 'rdma perftest, write of 4096 bytes, there and back' \
        "$(perf 6 ib_write_lat -s 4096 -n 1000 | awk '{ print $1 * 2 " us" }')"
    row 'rdma perftest, writes of 65536 bytes' \
        "$(perf 4 ib_write_bw -s 65536 -n 1000 --report_gbits | awk '{ print $1 * 125 " MB/s" }')"
else
    row 'rdma perftest' 'not installed (package perftest)'
fi
