#!/bin/bash
# The RDMA transport on soft RDMA devices, which only virtual machines can have here: soft-RoCE
# (rxe: InfiniBand's rules) and siw (iWARP), between two and three machines. What the machines do
# is in machine.sh.
#
#   DQEMU_TEST_RDMA          only with this driver: rxe, siw, or none (all)
#   DQEMU_TEST_RDMA_GUESTS   NAME,... on three machines with rxe, or all (some of each kind)
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
cd "$(dirname "$0")/../.." || exit 1
point=0 failed=0

unable() { # REASON
    if [ "${CI:-}" = true ]; then
        echo "Bail out! $1"
        exit 1
    fi
    echo "1..0 # SKIP $1"
    exit 0
}

verdict() { # WORD NAME
    point=$((point + 1))
    [ "$1" = ok ] || failed=1
    [ "$1" = ok ] || set -- "not ok" "$2"
    echo "$1 $point - $2"
}

for tool in qemu-system-x86_64 unshare rdma jq; do
    PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || unable "there is no $tool"
done
for program in rdma_behave rdma_faults rdma_peer; do
    [ -x build/tests/$program ] || unable "build/tests/$program is missing: run make test-programs"
done
said=$(tests/rdma/vm.sh prepare --driver siw 2>&1) ||
    unable "no kernel for virtual machines: $(tail -n 1 <<<"$said")"

scale=${DQEMU_TIME_SCALE:-1}
# Some of each kind; all take more than half an hour.
some=abort_remote,atomics_llsc,barrier,big_sum,clock_order,code_rewritten,fork_remote,litmus_mp
some+=,map_visible,mutex,pipes,rights_dropped,shared_file,signal_thread,split_words,tls
guests=${DQEMU_TEST_RDMA_GUESTS:-$some}
limit=500
[ "$guests" != all ] || guests='' limit=4000

machines=(--vms 3)

# One session of machines; each "check NAME: ok" of theirs is a point, and so is its end.
session() { # DRIVER SECONDS PART...
    local driver=$1 seconds=$2 line
    shift 2
    [ "${DQEMU_TEST_RDMA:-$driver}" = "$driver" ] || return 0
    while IFS= read -r line; do
        case $line in
        *'] check '*': ok'*) line=${line#*check } && verdict ok "$driver: ${line%%: ok*}" ;;
        *'] check '*': failed'*) line=${line#*check } && verdict failed "$driver: ${line%%: failed*}" ;;
        *) echo "# $line" ;;
        esac
    done < <(tests/rdma/vm.sh run --driver "$driver" "${machines[@]}" --mem 1024 \
        --timeout $((seconds * scale)) --env "DQEMU_TIME_SCALE=$scale" --share "$PWD" \
        -- tests/rdma/machine.sh "$@" 2>&1 && echo '] check machines end well: ok' ||
        echo '] check machines end well: failed')
}

# The clock and the device come last: what is set stays so, and what is gone.
session rxe $limit behave faults limits bench mesh3 mesh2 killed quiet cut \
    guests2:big_sum,mutex "guests3:$guests" clock_set gone
session siw 500 behave faults mesh3 mesh2 killed quiet cut guests2:mutex guests3:barrier,pipes,rights_dropped gone
# What else only another machine shows.
machines=(--vms 1 --cpu qemu64)
session none 200 no_avx

echo "1..$point"
[ $failed = 0 ] && [ $point -gt 0 ]
