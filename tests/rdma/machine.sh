#!/bin/bash
# What each virtual machine of tests/rdma/rdma.t runs (vm.sh starts it): PARTs, one after the
# other, in step with the other machines. Each point says "check NAME: ok" or "check NAME: failed".
#
#   machine.sh PART...      behave faults mesh2 mesh3 killed cut quiet gone clock_set limits
#                           bench no_avx guests2[:NAME,...] guests3[:NAME,...]   (all guests)
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
ulimit -c 0
here=tests/rdma
port=7900
# What has an end that never comes, to wait for without a process.
mkfifo /tmp/never && exec {never}<>/tmp/never

point() { # NAME STATUS
    if [ "$2" = 0 ]; then
        echo "check $1: ok (second $SECONDS)"
    else
        echo "check $1: failed (second $SECONDS)"
    fi
}

pause() {
    read -rt 0.1 -u "$never"
}

# All machines are here. Each meeting has a name of its own.
meet() { # NAME [COUNT]
    local i
    : >"$VM_SHARED/$1.$VM_INDEX"
    for ((i = 1; i <= ${2:-$VM_COUNT}; i++)); do
        until [ -e "$VM_SHARED/$1.$i" ]; do pause; done
    done
}

addresses() { # COUNT
    local i
    for ((i = 1; i <= $1; i++)); do echo "10.77.0.$i"; done
}

peer() { # SECONDS MODE MESSAGES FOLDER COUNT: one node of a mesh of the first COUNT machines
    local seconds=$1 mode=$2 messages=$3 folder=$VM_SHARED/$4 count=$5
    mkdir -p "$folder"
    # shellcheck disable=SC2046 # words
    timeout "$seconds" build/tests/rdma_peer "$mode" rdma "$messages" "$folder" \
        $((VM_INDEX - 1)) $(addresses "$count")
}

# The C tests of one machine, which talks to itself.
program() { # NAME ARGUMENT...
    local name=$1
    shift
    [ "$VM_INDEX" = 1 ] || return 0
    DQEMU_TEST_ADDRESS=$VM_IP timeout 150 "build/tests/rdma_$name" --tap "$@" >"/tmp/$name" 2>&1
    point "$name: every point of the program" $?
    grep -E '^not ok|Bail|ERROR|assert' "/tmp/$name"
}

# Until the peer in the background has said so, or has ended.
await_words() { # FILE PATTERN
    until grep -qsE "$2" "$1" || ! kill -0 $! 2>/dev/null; do pause; done
}

mesh() { # COUNT
    if [ "$VM_INDEX" -le "$1" ]; then
        peer 120 exchange 400 "mesh$1" "$1"
        point "mesh of $1 machines keeps order and content (node $((VM_INDEX - 1)))" $?
    fi
    meet "after-mesh$1"
}

# The last machine's node is killed in the middle: the others hear of it at once.
killed() {
    local last=$VM_COUNT said
    if [ "$VM_INDEX" = "$last" ]; then
        peer 100 stay 0 killed "$VM_COUNT" >/tmp/killed &
        await_words /tmp/killed 'under way'
        meet killed-under-way
        pkill -KILL -x rdma_peer
        wait 2>/dev/null
    else
        said=$(
            peer 100 stay 0 killed "$VM_COUNT" | while IFS= read -r line; do
                echo "$line"
                case $line in *'under way') : >"$VM_SHARED/killed-under-way.$VM_INDEX" ;; esac
            done
        )
        echo "$said"
        [[ $said == *"node $((last - 1)) was lost: connection "* ]]
        point "a killed peer is lost (node $((VM_INDEX - 1)))" $?
    fi
    meet after-killed
}

# What this machine sends is lost, and nobody is told; or it arrives again.
cable() { # cut|whole
    local verb=add
    [ "$1" = cut ] || verb=del
    tc qdisc $verb dev eth0 root netem loss 100%
}

# The cable is cut until the node of this machine, process PID, has said that it lost the other.
cut_for_good() { # PID FILE SECONDS NAME
    local said status
    meet "$2-cut" 2
    cable cut
    wait "$1"
    status=$?
    meet "$2-told" 2
    cable whole
    said=$(cat "/tmp/$2")
    echo "$said"
    [ $status = 0 ] &&
        [[ $said == *"node $((2 - VM_INDEX)) was lost: nothing heard from it for $3 s"* ]]
    point "$4 (node $((VM_INDEX - 1)))" $?
}

# The first two machines' cable is cut, for a while and then for good; nobody is told.
cut() {
    [ "$VM_INDEX" -le 2 ] || return 0
    DQEMU_TEST_CONTACT=5000 peer 100 stay 0 cut 2 >/tmp/cut &
    await_words /tmp/cut 'under way'
    meet cut-under-way 2
    cable cut
    sleep 2
    cable whole
    meet cut-mended 2
    : >"$VM_SHARED/cut/more"
    await_words /tmp/cut 'goes on|was lost'
    grep -q 'goes on' /tmp/cut
    point "a cable cut for 2 s, of 5 allowed (node $((VM_INDEX - 1)))" $?
    cut_for_good $! cut 5 "a cable that stays cut"
}

# Nodes that say nothing: one that is stopped is no loss, one whose cable is cut is.
quiet() {
    local peer
    [ "$VM_INDEX" -le 2 ] || return 0
    DQEMU_TEST_CONTACT=3000 peer 100 idle 0 quiet 2 >/tmp/quiet &
    peer=$!
    await_words /tmp/quiet 'under way'
    meet quiet-under-way 2
    if [ "$VM_INDEX" = 2 ]; then
        pkill -STOP -x rdma_peer
        sleep 9 # longer than a silence may be, also where it may be twice as long
        pkill -CONT -x rdma_peer
    fi
    meet quiet-stopped 2
    sleep 1
    kill -0 $peer && ! grep -q 'was lost' /tmp/quiet
    point "a node that is stopped is no loss (node $((VM_INDEX - 1)))" $?
    cut_for_good $peer quiet 3 "the cable of a node that says nothing is cut"
}

# The second machine's device goes away in the middle.
gone() {
    local said status
    [ "$VM_INDEX" -le 2 ] || return 0
    peer 100 stay 0 gone 2 >/tmp/gone &
    await_words /tmp/gone 'under way'
    meet gone-under-way 2
    if [ "$VM_INDEX" = 2 ]; then
        timeout 60 rdma link delete "${VM_DRIVER}0"
        point "a device can be taken away from a running node" $?
    fi
    wait $!
    status=$?
    said=$(cat /tmp/gone)
    echo "$said"
    if [ "$VM_INDEX" = 2 ]; then
        [ $status = 0 ] && [[ $said == *"was lost: RDMA device ${VM_DRIVER}0 of this node is gone"* ]]
    else
        [ $status = 0 ] && [[ $said == *"node 1 was lost: connection "* ]]
    fi
    point "a device that is gone is told (node $((VM_INDEX - 1)))" $?
}

allow_userfaultfd() {
    [ -w /dev/userfaultfd ] || sysctl -q vm.unprivileged_userfaultfd=1
}

# The machines are hosts to dqemu-launch, from here until hosts_end. The other machines only serve.
hosts_begin() { # NAME COUNT
    local i
    allow_userfaultfd
    $here/rsh.sh serve $port &
    server=$!
    export DQEMU_TRANSPORT=rdma DQEMU_RSH="$PWD/$here/rsh.sh %h $port" DQEMU_HOSTS=vm1
    for ((i = 2; i <= $2; i++)); do DQEMU_HOSTS+=,vm$i; done
    meet "$1"
}

hosts_end() { # NAME
    meet "after-$1"
    kill $server
    unset DQEMU_TRANSPORT DQEMU_RSH DQEMU_HOSTS
}

# Guests by the suite's own runner, whose points are ours.
suite() { # VARIABLE=VALUE...
    local line groups=(clock code compute io litmus memory processes signals split sync threads)
    # The machines are emulated: a thread that has got its page takes milliseconds to run.
    env DQEMU_TIME_SCALE=$((4 * ${DQEMU_TIME_SCALE:-1})) DQEMU_OPTIONS=hold_us=3000 DQEMU_TEST_AS=self "$@" \
        tests/e2e/run_group.sh "${groups[@]}" 2>&1 |
        while IFS= read -r line; do
            case $line in
            "ok "*) echo "check ${line#*- }: ok (second $SECONDS)" ;;
            "not ok "*) echo "check ${line#*- }: failed (second $SECONDS)" ;;
            1..*) ;;
            *) echo "$line" ;;
            esac
        done
}

# From the first machine, with a node on each of COUNT.
guests() { # COUNT [NAME,...]
    hosts_begin "guests$1" "$1"
    [ "$VM_INDEX" != 1 ] || suite DQEMU_TEST_NODES="$1" DQEMU_TEST_GUESTS="${2//,/ }"
    hosts_end "guests$1"
}

# Nodes of one machine, whose processor loads no 16 bytes at once: each page that is shared is split.
no_avx() {
    local guests="split_atomics split_wide"
    ! grep -qw avx /proc/cpuinfo
    point "a processor without AVX" $?
    allow_userfaultfd
    suite DQEMU_TEST_NODES=3 DQEMU_TEST_SPLIT=force DQEMU_TEST_GUESTS="$guests"
}

# The clock of the master's machine is set forward by an hour in the middle of a run.
clock_set() {
    local said=/tmp/clock_set status
    hosts_begin clock_set "$VM_COUNT"
    if [ "$VM_INDEX" = 1 ]; then
        timeout 150 build/dqemu-launch --stats=/tmp/stats build/guests/clock_set >$said 2>&1 &
        await_words $said 'ready'
        date -s '+1 hour' >/dev/null
        wait $!
        status=$?
        cat $said
        [ $status = 0 ] && grep -q 'all have seen it' $said &&
            jq -e '[.nodes[] | select(.node > 0) | .threads] | min > 0' /tmp/stats >/dev/null
        point "a clock that is set is followed on all nodes" $?
    fi
    hosts_end clock_set
}

# The transports' benchmark measures each of its rows, beside plain programs and perftest.
bench() {
    local said status
    [ "$VM_INDEX" = 1 ] || return 0
    said=$(timeout 150 tests/bench/transport.sh --address "$VM_IP" --count 50 2>&1)
    status=$?
    echo "$said"
    [ $status = 0 ] && [ "$(grep -cE '^(tcp|rdma) .* [0-9.]+ (us|ns|MB/s)' <<<"$said")" = 17 ] &&
        ! grep -qE 'no device|failed|not installed' <<<"$said"
    point "the benchmark of the transports has each of its rows" $?
}

# What a user sees who asks for RDMA where there is none.
limits() {
    local said
    [ "$VM_INDEX" = 1 ] || return 0
    allow_userfaultfd
    said=$(timeout 60 build/dqemu-launch -n 2 --transport rdma build/guests/big_sum 2>&1)
    [ $? = 125 ] &&
        [[ $said == "dqemu: node "*" cannot listen at 127.0.0.1 port 0: no RDMA device has address \
127.0.0.1; use --transport tcp" ]]
    point "no device: one line, cause and remedy" $?
    echo "$said"
    said=$(timeout 60 build/dqemu-launch -v -n 2 --transport auto build/guests/big_sum 2>&1)
    [ $? = 0 ] && [[ $said == *"dqemu: transport: tcp (no RDMA device of this machine has address \
127.0.0.1)"* ]]
    point "auto falls back to tcp and says why" $?
    echo "$said"
    said=$(timeout 60 build/dqemu-launch -v -n 2 --transport auto --bind "$VM_IP" \
        build/guests/big_sum 2>&1)
    [ $? = 0 ] && [[ $said == *"dqemu: transport: rdma (RDMA device ${VM_DRIVER}0 port 1 has \
address $VM_IP)"*"neither encrypted nor protected from changes"* ]]
    point "auto takes rdma, and says what that means" $?
    echo "$said"
}

for part; do
    case $part in
    behave) program behave -s /tcp/largest-mesh -s /tcp/listens-on-ipv6 ;;
    faults) program faults ;;
    mesh2) mesh 2 ;;
    mesh3) mesh 3 ;;
    guests2* | guests3*) guests "${part:6:1}" "${part:8}" ;;
    killed | cut | quiet | gone | clock_set | bench | no_avx | limits) "$part" ;;
    *) echo "no part $part" >&2 && exit 2 ;;
    esac
done
