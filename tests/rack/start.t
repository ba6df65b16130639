#!/bin/bash
# Runs over hosts as the options ask for: which hosts, which addresses and ports, what is installed or sent
# there, the program's surroundings, what is said. And what a run shows to others: no secret, no port.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/rack/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/rack/run.sh
. "$(dirname "$0")/run.sh"
time_limit 400
need_build
cd "$SCRATCH" || exit 1

node=$TOP/build/dqemu-aarch64
guest=$GUESTS/big_sum
sum='big_sum: e296fc8f6dd3c57c'
hosts=(--hosts "h1,h2,h3")

is() { # WHAT GOT WANTED
    [ "$2" = "$3" ] || { printf '%s is "%s", not "%s"\n' "$@"; return 1; }
}

# A program that runs until it is told to end, and a look at it meanwhile.
while_it_runs() { # NAME LOOK ARGUMENT...: LOOK is a function
    start "${@:3}" -- "$GUESTS/busy" 300
    holds "$1" looked_at "$2"
}
looked_at() { # COMMAND...
    local right=0
    if await 60 begun && says "busy: all run"; then
        "$@" || right=1
    else
        right=1
    fi
    kill -TERM "$launcher"
    join 15 || right=1
    [ "$status" = 143 ] || fails "it did not run" || return
    nothing_left && return $right
}
begun() {
    says "busy: all run" || ended "$launcher_job"
}

node_pid() { # K: the only node on that host
    local pids
    mapfile -t pids < <(of_role node "$1")
    [ ${#pids[@]} = 1 ] && echo "${pids[0]}"
}

rack_up 3

# ---- which hosts

expect "--hosts" 0 "$sum" '' "${hosts[@]}" "$guest"
expect "--display-map" 0 "$sum" 'dqemu: node 0: host h1, 10.83.0.1
dqemu: node 1: host h2, 10.83.0.2
dqemu: node 2: host h3, 10.83.0.3' "${hosts[@]}" --display-map "$guest"
expect "hosts without this machine" 0 "$sum" 'dqemu: node 0: host h1, 10.83.0.1
dqemu: node 1: host h3, 10.83.0.3
dqemu: node 2: host h3, 10.83.0.3
dqemu: node 3: host h2, 10.83.0.2' --hosts h3:2,h2 --display-map "$guest"
printf '# a rack\nh1 slots=2\n\th3 # the last\nh2 address=10.83.0.2\n' >rack.hosts
rack_put 1 rack.hosts /root/rack.hosts
expect "--hostfile" 0 "$sum" 'dqemu: node 0: host h1, 10.83.0.1
dqemu: node 1: host h1, 10.83.0.1
dqemu: node 2: host h3, 10.83.0.3
dqemu: node 3: host h2, 10.83.0.2' --hostfile /root/rack.hosts --display-map "$guest"
expect "-n leaves out the last" 0 "$sum" 'dqemu: node 0: host h1, 10.83.0.1
dqemu: node 1: host h1, 10.83.0.1
dqemu: node 2: host h3, 10.83.0.3' -n 3 --hostfile /root/rack.hosts --display-map "$guest"

# ---- addresses

for k in 1 2 3; do
    rack_on $k ip addr add 10.84.0.$k/24 dev eth0
done
any_key=(--ssh "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")
expect "the address by which ssh came is the one that is used" 0 "$sum" \
    'dqemu: node 0: host h1, 10.84.0.1
dqemu: node 1: host 10.84.0.2, 10.84.0.2
dqemu: node 2: host 10.84.0.3, 10.84.0.3' \
    "${any_key[@]}" --hosts 10.84.0.2,10.84.0.3 --display-map "$guest"
other='dqemu: node 0: host h1, 10.84.0.1
dqemu: node 1: host h2, 10.84.0.2
dqemu: node 2: host h3, 10.84.0.3'
expect "--interface with a network" 0 "$sum" "$other" "${hosts[@]}" --interface 10.84.0.0/16 \
    --display-map "$guest"
for k in 1 2 3; do
    rack_on $k ip addr del 10.84.0.$k/24 dev eth0
done
expect "--interface with a name" 0 "$sum" "${other//84/83}" "${hosts[@]}" --interface eth0 \
    --display-map "$guest"

ports() { # of nodes, among them all connections
    local k
    for k in 1 2 3; do
        is "what listens on h$k" "$(rack_ports $k | grep -v '^tcp 0.0.0.0:22 sshd$' |
            grep -v "^tcp 10.83.0.$k:$((4499 + k)) dqemu-aarch64\$")" "" || return
    done
    # node 2 has called both others, or they have called it
    rack_on 3 ss -Htn state established >sockets
    grep -q '10.83.0.3:4502 \|10.83.0.[12]:450[01] ' sockets || { cat sockets; return 1; }
}
while_it_runs "--port-range, and nothing else listens" ports "${hosts[@]}" --port-range 4500-4502
quiet() {
    local k
    for k in 1 2 3; do
        is "what listens on h$k" "$(rack_ports $k | grep -v '^tcp 0.0.0.0:22 sshd$' |
            grep -v "^tcp 10.83.0.$k:[0-9]* dqemu-aarch64\$")" "" || return
    done
}
while_it_runs "nothing listens on other addresses" quiet "${hosts[@]}"

# ---- the program's surroundings

rack_on 1 mkdir -p /var/tmp/here
rack_on 2 mkdir -p /var/tmp/here
surroundings() {
    local k pid
    for k in 1 2 3; do
        pid=$(node_pid $k) || { echo "not one node on h$k"; return 1; }
        tr '\0' '\n' <"/proc/$pid/environ" | grep -qx 'ONE=1 and more' || { echo "no ONE on h$k"; return 1; }
        tr '\0' '\n' <"/proc/$pid/environ" | grep -qx TWO=2 || { echo "no TWO on h$k"; return 1; }
    done
    is "the folder on h1" "$(readlink "/proc/$(node_pid 1)/cwd")" /var/tmp/here || return
    # h3 has no such folder, which is no trouble
    is "the folder on h2" "$(readlink "/proc/$(node_pid 2)/cwd")" /var/tmp/here
}
export_two() {
    rack_bg 1 env --default-signal=INT,QUIT TWO=2 "$DQEMU_LAUNCH" "$@" </dev/null >out 2>err
}
rm -f out err
export_two "${hosts[@]}" -x 'ONE=1 and more' -x TWO --wdir /var/tmp/here -- "$GUESTS/busy" 300
launcher=$rack_pid launcher_job=$rack_job
holds "-x and --wdir" looked_at surroundings
rack_on 1 cp "$guest" /var/tmp/here/prog
expect "--wdir, and a program there" 0 "$sum" '' "${hosts[@]}" --wdir /var/tmp/here ./prog
seq 100000 >in
run "${hosts[@]}" -x WORD=exported "$GUESTS/echo_all" one two
rm in
words_and_input() {
    { printf 'argument %s\n' "0: $GUESTS/echo_all" '1: one' '2: two'; echo "WORD: exported"; seq 100000; } | cmp - out ||
        fails "the output is another" || return
    gives 0 '*' '588895 bytes'
}
holds "stdin, stdout, stderr, arguments and environment" words_and_input

allowed() { # PID: its processors, as a mask
    awk '/^Cpus_allowed:/ { print $2 }' "/proc/$1/status"
}
bound() {
    local masks
    mapfile -t masks < <(for pid in $(of_role node 2); do allowed "$pid"; done)
    is "the number of nodes on h2" ${#masks[@]} 2 || return
    is "the processors of node 0" "$(allowed "$(node_pid 1)")" "$(allowed self)" || return
    [ "$(nproc)" = 1 ] || [ $((0x${masks[0]//,/} & 0x${masks[1]//,/})) = 0 ] ||
        { echo "both nodes of h2 may use the same processors: ${masks[*]}"; return 1; }
}
while_it_runs "--bind-to core" bound --hosts h2:2 --bind-to core
free() {
    for pid in $(of_role node 2); do
        is "the processors" "$(allowed "$pid")" "$(allowed self)" || return
    done
}
while_it_runs "--bind-to none" free --hosts h2:2

# What nodes say on their stderr comes line by line; the emulator says what it translates.
tagged() {
    local worker
    gives 0 "$sum" '*' || return
    for worker in '[1,h2]' '[2,h3]'; do
        grep -qF "$worker 0x" err || fails "no line of $worker" || return
    done
}
range=$(nm "$guest" 2>/dev/null | awk '$3 == "worker" { print "0x" $1 "+64"; exit }')
if [ -n "$range" ]; then
    run "${hosts[@]}" --tag-output -d in_asm -dfilter "$range" "$guest"
    holds "--tag-output" tagged
else
    echo "the guest has no function worker" | fail "--tag-output"
fi

# A login shell that greets everybody.
rack_on 3 bash -c 'echo "echo welcome to h3" >/root/.bashrc'
expect "a login shell that says something" 0 "$sum" '' "${hosts[@]}" "$guest"
rack_on 3 rm /root/.bashrc

# ---- --check

table() {
    local k
    gives 0 '*' '' || return
    is "the titles" "$(awk 'NR == 1 { $1 = $1; print }' out)" \
        "host nodes address build kernel userfaultfd page files locked maps cpus memory clock reaches" || return
    for k in 1 2 3; do
        awk -v k="$k" -v kernel="$(uname -r)" -v files="$(ulimit -n)" -v cpus="$(nproc)" \
            -v maps="$(</proc/sys/vm/max_map_count)" '
            NR == k + 1 {
                right = $1 == "h" k && $2 == (k == 2 ? "1-2" : k == 3 ? "3" : "0") &&
                    $3 == "10.83.0." k && $4 == "same" && $5 == kernel && $6 == "full" &&
                    $7 == 4096 && $8 == files && $9 ~ /^([0-9]+K|any)$/ && $10 == maps &&
                    $11 == cpus && $12 ~ /^[0-9]+M$/ && $13 ~ /^[+-][0-9]+\.[0-9][0-9]s$/ &&
                    $14 == "all," && $15 ~ /^[0-9]+\.[0-9]$/ && $16 == "ms" && NF == 16
            }
            END { exit !(right && NR == 4) }' out || fails "the row of h$k is another" || return
    done
}
run --hosts h1,h2:2,h3 --check
holds "--check" table
expect "--check for the program's instruction set" 0 'host *' '' "${hosts[@]}" --check "$guest"

# ---- other ways

second_sshd() {
    gives 0 "$sum" '' || return
    is "sessions of the other sshd" "$(rack_on 2 grep -c 'Accepted publickey' /var/log/sshd2.log)" 1
}
rack_on 2 /usr/sbin/sshd -p 2222 -o PidFile=/run/rack/sshd2.pid -E /var/log/sshd2.log
await 10 rack_on 2 test -s /run/rack/sshd2.pid || bail_out "no second sshd"
run --hosts h1,h2 --ssh "ssh -p 2222 -o LogLevel=ERROR -o HostKeyAlias=h2" "$guest"
holds "--ssh with options" second_sshd

# It hides by which address it came, so the name's is taken; and keeps what the launcher says.
cat >rsh <<'END'
#!/bin/bash
host=$1
shift
printf -v words '%q ' "$@"
tee "/root/said.$host" | ssh "$host" "env -u SSH_CONNECTION -u SSH_CLIENT $words"
END
chmod +x rsh
rack_put 1 rsh /root/rsh
expect "--rsh" 0 "$sum" 'dqemu: node 0: host h1, 10.83.0.1
dqemu: node 1: host h2, 10.83.0.2
dqemu: node 2: host h3, 10.83.0.3' --rsh '/root/rsh %h' "${hosts[@]}" --display-map "$guest"

# ---- the processors of all hosts are the program's

cpus=$(nproc)
processors() { # NAME TOTAL HOSTS ARGUMENT...
    local name=$1 total=$2 bound
    printf -v bound 'processors: bound to the last, on host %d\n' $(($3 - 1)){,,,}
    expect "$name" 0 "processors: $total in the mask, $total online, $total configured, $total in /proc/cpuinfo
processors: $total threads on $3 hosts
${bound}processors: as they should be" '' "${@:4}" "$GUESTS/processors" "$3"
}
processors "processors of three hosts" $((3 * cpus)) 3 "${hosts[@]}"
processors "hosts with several nodes count once" $((2 * cpus)) 2 --hosts h1:2,h3:2
processors "nor are more when nodes are bound" $((2 * cpus)) 2 --hosts h1,h3:2 --bind-to core
processors "one host shows its own" "$cpus" 1 --hosts h1:2
processors "and the master's, with all threads there" "$cpus" 1 "${hosts[@]}" --placement master-only

# ---- what is installed, and what is sent

build_again() { # TARGET ARGUMENT...
    (unset MAKEFLAGS MAKELEVEL MFLAGS; timeout "$(scaled 120)" make -C "$TOP" "$@") >said.make 2>&1
}
if build_again install DESTDIR="$SCRATCH/stage" PREFIX=/opt/dq; then
    for k in 2 3; do
        rack_put $k stage/opt/dq /root/dq
    done
    rack_hide 2 "$TOP/build"
    rack_hide 3 "$TOP/build"
    expect "--prefix" 0 "$sum" '' --prefix /root/dq "${hosts[@]}" "$guest"
else
    fail "make install" <said.make
    rack_hide 2 "$TOP/build"
    rack_hide 3 "$TOP/build"
fi

received() { # K: bytes that the host's network card has received
    rack_on "$1" cat /sys/class/net/eth0/statistics/rx_bytes
}
cached() { # K NAME: the path on the host, once there
    rack_on "$1" find /root/.cache/dqemu -name "$2"
}
program_size=$(stat -c %s "$node")

pushed() {
    local k name
    gives 0 "$sum" '' || return
    for k in 2 3; do
        for name in dqemu-launch dqemu-aarch64; do
            rack_on $k bash -c "cat /root/.cache/dqemu/*/$name" | cmp - "$TOP/build/$name" || return
        done
        is "files in the cache of h$k" "$(rack_on $k find /root/.cache/dqemu -type f | wc -l)" 2 || return
        is "its mode" "$(rack_on $k stat -c %a /root/.cache/dqemu)" 700 || return
    done
}
# More than the program itself or much less: which of the two tells whether it was sent.
sent() { # yes|no K BEFORE
    local bytes=$(($(received "$2") - $3))
    case $1 in
    yes) [ $bytes -ge "$program_size" ] ;;
    no) [ $bytes -lt $((program_size / 4)) ] ;;
    esac || { echo "h$2 has received $bytes bytes, and the program has $program_size"; return 1; }
}
before=$(received 2)
run --push "${hosts[@]}" "$guest"
holds "--push, to hosts without dqemu" pushed
holds "sends the programs" sent yes 2 "$before"
before=$(received 2)
run --push "${hosts[@]}" "$guest"
holds "--push again" pushed
holds "sends nothing" sent no 2 "$before"
altered() { # K NAME
    rack_on "$1" bash -c "chmod 700 $(cached "$1" "$2") && printf x >>$(cached "$1" "$2")" ||
        bail_out "cannot alter $2"
    before=$(received "$1")
    run --push "${hosts[@]}" "$guest"
    holds "$2 that was altered in the cache is replaced" pushed
}
# What was left there: programs not used for long, and files that never became whole, go with that.
old=/root/.cache/dqemu/$(printf '0%.0s' {1..64}) used=/root/.cache/dqemu/$(printf '1%.0s' {1..64})
rack_on 3 bash -c "umask 077 && mkdir $old $used && touch -d '-40 days' $old/dqemu-launch &&
    touch -d '-2 hours' $old/new.abcdef && touch -d '-20 days' $used/dqemu-launch &&
    touch -d '-50 minutes' $used/new.abcdef" || bail_out "cannot write to the cache of h3"
rack_on 3 bash -c "printf x >>$(cached 3 dqemu-aarch64)" || bail_out "cannot alter the cache of h3"
run --push "${hosts[@]}" "$guest"
swept() {
    is "what others left" "$(rack_on 3 find "$old" "$used" 2>/dev/null | sort)" \
        "$(printf '%s\n' "$used" "$used/dqemu-launch" "$used/new.abcdef")"
}
holds "what is old in the cache goes when something is added" swept
rack_on 3 rm -r "$used"
altered 3 dqemu-aarch64
holds "by sending it" sent yes 3 "$before"
altered 2 dqemu-launch
rack_on 2 umount "$TOP/build"
rack_on 3 umount "$TOP/build"

# ---- what others may see

secret_is_hidden() {
    local k pid secret file
    secret=$(rack_on 1 cat /root/said.h2 | grep -oE 'secret[\\": ]*[0-9a-f]{64}' | grep -oE '[0-9a-f]{64}' | head -n 1)
    [ ${#secret} = 64 ] || { echo "no secret was sent"; rack_on 1 head -c 2000 /root/said.h2; return 1; }
    for k in 1 2 3; do
        is "nodes on h$k" "$(of_role node $k | wc -l)" 1 || return
        for pid in $(rack_pids $k); do
            for file in cmdline environ; do
                ! grep -qaiE "$secret|[0-9a-f]{64}" "/proc/$pid/$file" ||
                    { echo "h$k, process $pid: $file"; tr '\0' ' ' <"/proc/$pid/$file"; return 1; }
            done
        done
        ! rack_on $k grep -rqsF "$secret" /tmp /var/tmp /var/log /dev/shm /run || { echo "it is in a file on h$k"; return 1; }
    done
}
rack_on 1 bash -c 'rm -f /root/said.*'
while_it_runs "the secret is in no command line, no environment and no file" secret_is_hidden \
    --rsh '/root/rsh %h' "${hosts[@]}"

# All that crosses the switch to and from h3, for as long as a run lasts.
cat >listen.py <<'END'
import select, signal, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
s.bind((sys.argv[1], 0))
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
print("up", flush=True)
with open(sys.argv[2], "wb") as out:
    while select.select([s], [], [], 0.1)[0] or not over:
        if select.select([s], [], [], 0)[0]:
            out.write(s.recv(1 << 18))
END
capture() { # FILE COMMAND...
    local file=$1 listener
    shift
    nsenter -t "$rack_fabric" -n /usr/bin/python3 listen.py p3 "$file" >listen.out &
    listener=$!
    await 10 grep -q up listen.out || bail_out "the switch cannot be listened to"
    "$@"
    kill -TERM $listener
    wait $listener
}
# Pieces of the program's code, which h3 gets from h1 as pages.
in_clear() { # FILE: how many of the pieces are in it
    /usr/bin/python3 - "$1" "$guest" <<'END'
import sys
seen, program = (open(f, "rb").read() for f in sys.argv[1:])
pieces = {program[i:i + 32] for i in range(0, len(program) - 32, 512)}
print(sum(p in seen for p in pieces if len(set(p)) > 16))
END
}
# The program's file from h1 to h3 as it is: that the listener sees it.
by_hand() {
    rack_bg 3 perl -MIO::Socket::INET -e '
        $s = IO::Socket::INET->new(LocalPort => 4713, Listen => 1) or die;
        $| = 1;
        print "up\n";
        $c = $s->accept;
        1 while sysread $c, $x, 65536' >perl.out
    await 10 grep -q up perl.out && rack_try 20 1 bash -c 'cat "$1" >/dev/tcp/h3/4713' by-hand "$guest"
    wait "$rack_job"
}
hidden_by_encryption() {
    local n
    capture clear by_hand
    n=$(in_clear clear)
    [ "$n" -ge 100 ] || { echo "of a file in clear $n pieces are seen"; return 1; }
    capture hidden run "${hosts[@]}" --encrypt "$guest"
    gives 0 "$sum" '' || return
    [ "$(stat -c %s hidden)" -gt 100000 ] || { echo "the switch was not listened to"; return 1; }
    is "with --encrypt the number of pieces" "$(in_clear hidden)" 0
}
holds "--encrypt hides the program's memory" hidden_by_encryption
done_testing
