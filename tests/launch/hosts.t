#!/bin/bash
# Hosts: what --hosts, --hostfile and their company take and refuse, and what becomes of a run whose
# nodes are with agents. All on this machine: --rsh runs the words here, for names that mean nothing.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/launch/lib.sh
. "$(dirname "$0")/lib.sh"

export TMPDIR=$SCRATCH/logs
mkdir "$TMPDIR"

refused() { # NAME LINE ARGUMENT...: one line, status 125
    local name=$1 line=$2
    shift 2
    expect "$name" 125 '' "dqemu: $line" "$@"
    [ "$(wc -l <err)" = 1 ] || fail "one line for: $name" <err
}

# The hosts n1, n2, ... are this machine, which the launcher does not know.
there=(--rsh "env HOST=%h" --interface lo --prefix /nowhere)
mkdir bin
ln -s "$DQEMU_LAUNCH" bin/dqemu-launch
PATH=$PWD/bin:$PATH

refused "no name" '--hosts a,,b: "" is not the name of a host; write*' --hosts a,,b ./prog
refused "a name like an option" '--hosts -x: "-x" is not the name of a host*' --hosts -x ./prog
refused "a name for a shell" '--hosts a;b: "a;b" is not the name of a host*' --hosts 'a;b' ./prog
refused "no slots" '--hosts a:0: a: "0" is not a number of slots; give 1 to 64' --hosts a:0 ./prog
refused "slots in words" '-H a:two: a: "two" is not a number of slots*' -H a:two ./prog
refused "more nodes than slots" '5 nodes for 4 slots, one on this machine*' -n 5 --hosts n1,n2:2 ./prog
refused "too many slots" '65 slots, and a run has at most 64 nodes; choose with -n' --hosts n1:64 ./prog
refused "--bind with hosts" '--bind and --addresses are for nodes of this machine; *' \
    --bind 127.0.0.2 --hosts n1 ./prog
refused "--addresses with hosts" '--bind and --addresses are for nodes of this machine; *' \
    --addresses 127.0.0.2,127.0.0.3 --hosts n1 ./prog
refused "no hostfile" '--hostfile nosuch: *No such file*; name a file with one host a line' \
    --hostfile nosuch ./prog

hostfile() { # NAME LINE TEXT
    printf '%s\n' "$3" >hosts
    refused "$1" "--hostfile hosts: $2" --hostfile hosts ./prog
}
hostfile "an empty hostfile" 'it names no host; write one a line' '# nobody'
hostfile "a word that is not known" 'line 2: "cpus=4" is not known; a line is: name *' $'n1\nn2 cpus=4'
hostfile "slots that are none" 'line 1: slots=x is not a number of slots; give 1 to 64' 'n1 slots=x'
hostfile "an address that is none" 'line 1: address=n1 is not a numeric address*' 'n1 address=n1'
hostfile "a name that is none" 'line 3: "(n3)" is not the name of a host' $'n1\n\n(n3)'

refused "--bind-to" '--bind-to socket: give core or none' --bind-to socket ./prog
refused "-x of what is not set" '-x NOT_SET: it is not set here; write NOT_SET=VALUE' -x NOT_SET ./prog
refused "-x of nothing" '-x =1: no variable; write VAR or VAR=VALUE' -x =1 ./prog
refused "--wdir" '--wdir nosuch: No such file or directory; name a folder that is there' \
    --wdir nosuch ./prog
refused "--contact in words" '--contact soon: not a time*' --contact soon ./prog
refused "--contact out of range" '--contact 0.1: outside the limits of contact_ms*' --contact 0.1 ./prog
refused "--ssh" '--ssh a "b: *' --ssh 'a "b' --hosts n1 ./prog
refused "no ssh" '--ssh is empty; name an ssh client' --ssh '' --hosts n1 ./prog
refused "--log-dir" 'cannot keep logs in */prog/x: Not a directory; name a folder with --log-dir' \
    --log-dir prog/x --hosts localhost:2 ./prog
SLURM_JOB_ID=1 SLURM_JOB_NODELIST="n[1-2]" refused "no scontrol" \
    'the allocation of Slurm: *scontrol*; name the hosts with --hosts' ./prog

unable() { # NAME HOST LINE ARGUMENT...: the preflight ends it, with a table and one line
    local name=$1 host=$2 line=$3
    shift 3
    expect "$name" 125 '' "host *dqemu: host $host: $line" "$@" ./prog
    [ "$(grep -c ^dqemu err)" = 1 ] || fail "one line for: $name" <err
    rm -f err
}
unable "a host that ssh does not find" n1.invalid \
    'cannot be reached: ssh: Could not resolve hostname*; see that "ssh n1.invalid true" works and asks nothing' \
    --hosts n1.invalid
unable "an ssh that is not there" n1 'dqemu does not start there: cannot start nosuch: No such file*' \
    --ssh nosuch --hosts n1
unable "an ssh that says nothing" n1 'ssh ended with status 3 and said nothing' \
    --ssh "sh -c 'exit 3'" --hosts n1
unable "an ssh that is killed" n1 'ssh was killed by signal 9' --ssh "sh -c 'kill -9 \$\$'" --hosts n1
PATH=/usr/bin:/bin unable "no dqemu there" n1 \
    'dqemu-launch is not there (neither as /nowhere/bin/dqemu-launch nor in PATH); install it, or use --push or --prefix' \
    "${there[@]}" --hosts n1
expect "an interface that is not there" 125 '' \
    'host *dqemu: host *: it has no address on --interface nosuch0; *dqemu: host n1: it has no address on *' \
    "${there[@]}" --interface nosuch0 --hosts n1 ./prog
printf 'n1 address=192.0.2.1\n' >hosts
unable "an address that is not its own" n1 'it has no address 192.0.2.1, which was given for it; *' \
    "${there[@]}" --hostfile hosts
mkdir -p alone/bin
cp "$DQEMU_LAUNCH" alone/bin/dqemu-launch
DQEMU_NODE_BINARY='' unable "a node program that is missing there" n1 \
    'the node program dqemu-aarch64 is missing beside dqemu-launch; install it there, or use --push' \
    "${there[@]}" --prefix "$PWD/alone" --hosts n1

# An agent that ends while hosts look for each other: it is the cause, and not the way to it. Here n2's is
# killed before n1 looks; it is seen at once, or not before n2 is asked again.
mkfifo ended
cat >between <<'END'
#!/bin/bash
when=$1 host=$2
shift 2
coproc agent { exec "$@"; }
exec 3<&"${agent[0]}" 4>&"${agent[1]}" 5<>answer
if [ "$host" = n2 ] && [ "$when" = answered ]; then
    sed -u '/"reached"/w /dev/fd/5' <&3 &
else
    cat <&3 &
fi
while read -r line; do
    case $host:$line in
    n1:*'"reach"'*) read -r <ended ;;
    n2:*'"reach"'*)
        [ ! -v killed ] || exit 0 # asked again
        [ "$when" = before ] || { echo "$line" >&4 && read -r <&5; }
        killed=$agent_PID # which bash takes back when it has ended
        kill -KILL "$killed"
        wait "$killed" 2>/dev/null
        exec 4>/dev/null
        echo >ended
        [ "$when" = answered ] || exit 0
        ;;
    esac
    echo "$line" >&4
done
END
chmod +x between
mkfifo answer
for when in before answered; do
    unable "an agent that ends when hosts look for each other ($when)" n2 'its agent or the connection has ended*' \
        --interface lo --prefix /nowhere --rsh "./between $when %h" --hosts n1,n2
done

refused "--encrypt over RDMA" '--encrypt: what goes over RDMA cannot be encrypted; use --transport tcp' \
    --encrypt --transport rdma ./prog
unable "RDMA where there is none" localhost '--transport rdma: *' --transport rdma --hosts localhost:2

# ---- runs

line() { # NODE NODES BIND PORT
    echo "node $1 of $2 bind $3 port $4 placement spread verbose ${5:-0} hold_us 100"
}
expect "nodes with the agent of this machine" 0 "$(line 0 3 127.0.0.1 0)" '' \
    --hosts localhost:3 ./prog 0@start:config
expect "-n takes the first slots" 0 "$(line 0 2 127.0.0.1 0)" '' -n 2 --hosts localhost:3 ./prog 0@start:config
expect "one node needs no agent" 0 "$(line 0 1 127.0.0.1 0)" '' -n 1 --hosts n1,n2 ./prog 0@start:config
expect "hosts that are elsewhere come on top" 0 "$(line 0 4 127.0.0.1 0)" '' \
    "${there[@]}" --hosts n1,n2:2 ./prog 0@start:config
printf '# a rack\nlocalhost slots=2 # here\n\n n1\tslots=2 address=127.0.0.1\n' >hosts
expect "--hostfile" 0 "$(line 0 4 127.0.0.1 0)" '' "${there[@]}" --hostfile hosts ./prog 0@start:config
expect "--transport auto" 0 '' 'dqemu: transport: tcp (*' -v --transport auto --hosts localhost:2 ./prog
expect "--display-map" 0 '' \
    'dqemu: node 0: host localhost, 127.0.0.1*node 1: host localhost, *node 2: host n1, *node 3: host n1, *' \
    "${there[@]}" --hostfile hosts --display-map ./prog
DQEMU_HOSTS=localhost:2 expect "DQEMU_HOSTS" 0 "$(line 0 2 127.0.0.1 0)" '' ./prog 0@start:config
DQEMU_HOSTS=localhost:2 expect "an option wins over its twin" 0 "$(line 0 3 127.0.0.1 0)" '' \
    -H localhost:3 ./prog 0@start:config
low=$((20000 + $$ % 10000))
expect "--port-range" 0 "$(line 0 3 127.0.0.1 $low)" '' --hosts localhost:3 \
    --port-range $low-$((low + 2)) ./prog 0@start:config
expect "-x reaches nodes with agents" 0 '' 'node 1 of 3 *' -x 'FAKE_NODE_ACT=1@run:config' \
    --hosts localhost:3 ./prog
expect "--tag-output" 0 '' '\[1,localhost\] node 1 of 3 *' --tag-output -x 'FAKE_NODE_ACT=1@run:config' \
    --hosts localhost:3 ./prog
mkdir there
cp prog there/other
expect "--wdir" 0 '' '' --wdir there --hosts localhost:2 ./other
expect "the emulator's options reach nodes with agents, PROGRAM's arguments do not" 0 '' \
    '*--dqemu-control=*
-L
/x
-0
./prog
*/fake-node' --hosts localhost:2 -L /x -x 'FAKE_NODE_ACT=1@run:argv' ./prog secret
expect "--wrap" 0 '' 'node-1' --wrap "sh -c 'test %n = 0 || echo node-%n >&2; exec \"\$@\"' wrap" \
    --hosts localhost:2 ./prog
launch --hosts localhost:3 --stats=stats ./prog
check "--stats has all nodes" test "$(jq -c '[.nodes[].node]' stats)" = '[0,1,2]'
ls "$TMPDIR" >>err
check "runs that succeed, and preflights, leave no logs" test -z "$(ls "$TMPDIR")"

expect "--check" 0 'host *localhost *0-1 *127.0.0.1 *same *all, *' '' --hosts localhost:2 --check
expect "--check of a host that is not there" 125 'host *n1.invalid *-*' 'dqemu: host n1.invalid: *' \
    --hosts n1.invalid --check

# ---- faults

lost() { # NAME LINE ACT ARGUMENT...: one line, logs that it names
    local name=$1 line=$2 act=$3
    shift 3
    rm -rf "${TMPDIR:?}"/*
    expect "$name" 125 '*' "*dqemu: $line; logs are in $TMPDIR/dqemu-*" -x "FAKE_NODE_ACT=$act" "$@"
    [ "$(grep -c ^dqemu err)" = 1 ] || fail "one line for: $name" <err
    check "$name: its logs are there" test -s "$(sed -n 's/.*logs are in //p' err)/node-2.n1.log"
}
hosts=("${there[@]}" --hosts "localhost:2,n1")
lost "a node that dies" 'node 2 (host n1, 127.0.0.1) was lost: killed by signal 9 (host n1: last contact * ago); *' \
    '2@run:kill=9' "${hosts[@]}" ./prog 0@run:hang
lost "a node that ends" 'node 2 (host n1, 127.0.0.1) was lost: ended with status 3; *' \
    '2@run:exit=3' "${hosts[@]}" ./prog 0@run:hang
lost "a node that reports an error" 'went wrong*' '2@run:error=125,went wrong' "${hosts[@]}" ./prog 0@run:hang
lost "a node that is lost by another" \
    'node 2 (host n1, 127.0.0.1) was lost by node 1: connection reset (host n1: *' \
    '1@run:lost=2' "${hosts[@]}" ./prog 0@run:hang
lost "a node that babbles" 'node 2 (host n1, 127.0.0.1) says what dqemu-launch does not understand; *' \
    '2@run:raw=hello' "${hosts[@]}" ./prog 0@run:hang
lost "a node that dies before the run" 'node 2 (host n1, 127.0.0.1) was lost: killed by signal 11*' \
    '2@listening:kill=11' "${hosts[@]}" ./prog 0@run:hang

agent() { # of n1: the newest child of the launcher that is one
    pgrep -P "$pid" -f 'dqemu-launch --agent' -n
}
agent_lost() { # NAME SIGNAL LINE
    launch_background --contact 1 --log-dir kept "${hosts[@]}" ./prog 0@run:say=runs 0@run:hang
    await 10 test -s out
    agent=$(agent)
    kill -"$2" "$agent"
    join_background 10
    kill -CONT "$agent" 2>/dev/null
    # shellcheck disable=SC2053
    check "$1" test $status = 125
    check "$1: one line" grep -q "^dqemu: node 2 (host n1, 127.0.0.1) was lost: $3; logs are in $PWD/kept$" err
}
agent_lost "an agent that is killed" KILL 'env was killed by signal 9 (host n1: last contact .* ago); check that machine and the way to it'
agent_lost "an agent that is stopped" STOP 'nothing was heard from it for 1 s (host n1: last contact .* ago); check that machine and the way to it'

launch_background "${hosts[@]}" ./prog 0@run:say=runs 0@run:hang
await 10 test -s out
kill -KILL "$pid"
join_background 5
check "a launcher that is killed" test $status = 137
check_none_left $mark >left
check "leaves nothing" test ! -s left

taken() { # SIGINT is not pending: a second one before that would be the same one
    [ $((0x$(awk '/^ShdPnd:/ { print $2 }' "/proc/$pid/status") & 2)) = 0 ]
}
launch_background "${hosts[@]}" ./prog 0@run:ignore=2 0@run:say=runs 0@run:deaf
await 10 test -s out
kill -INT "$pid"
await 10 taken
kill -INT "$pid"
join_background 10
check "the second Ctrl-C ends it" test $status = 130
check "and says so" grep -q '^dqemu: interrupted twice within 5 s: ' err

done_testing
