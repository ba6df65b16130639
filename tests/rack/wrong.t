#!/bin/bash
# What is wrong with a host, or with what was asked of it, is said before anything starts: a table,
# one line with cause and remedy for each trouble, status 125, and nothing left on any host.
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
build=$("$node" --dqemu-build)
other=${build%????????}01234567
[ "$other" != "$build" ] || bail_out "the build is $build by chance"
hosts=(--hosts "h1,h2,h3")

# A program that says it is of another build.
other_build() { # FILE COPY
    perl -0777 -pe "s/\\Q$build\\E/$other/g" "$1" >"$2"
    chmod +x "$2"
    ! cmp -s "$1" "$2" || bail_out "there is no build in $1"
}

undo() { # K PATH: what rack_hide, rack_replace and rack_fill have put there goes
    rack_on "$1" umount "$2" || bail_out "cannot undo $2 on h$1"
}

can_run() {
    expect "these hosts can run a program" 0 'big_sum: *' '' "${hosts[@]}" "$guest"
}

# Several lines, in the order of the hosts.
refused_for() { # NAME NUMBER LINES ARGUMENT...
    local name=$1 number=$2 wanted=$3
    shift 3
    run "$@"
    holds "$name" is_refusal_for "$number" "$wanted"
}
is_refusal_for() { # NUMBER LINES
    gives 125 '' "host *$2" && lines "$1"
}

rack_up 3
can_run

# ---- hosts that are not reached

refused "a host that nobody knows" \
    'host h9: cannot be reached: ssh: Could not resolve hostname h9: *; see that "ssh h9 true" works and asks nothing' \
    --hosts h1,h2,h9 "$guest"
rack_cut 3
refused "a host that is cut off" \
    'host h3: cannot be reached: ssh: connect to host h3 port 22: *; see that "ssh h3 true" works and asks nothing' \
    "${hosts[@]}" "$guest"
rack_restore 3
rack_kill 3
refused "a host that is off" \
    'host h3: cannot be reached: ssh: connect to host h3 port 22: *; see that "ssh h3 true" works and asks nothing' \
    "${hosts[@]}" "$guest"
rack_boot 3
rack_no_key 3
refused "a host that lets nobody in" \
    'host h3: cannot be reached: *Permission denied (publickey)*; see that "ssh h3 true" works and asks nothing' \
    "${hosts[@]}" "$guest"
rack_on 3 cp /root/.ssh/key.pub /root/.ssh/authorized_keys
rack_on 3 cp /etc/ssh/host_key /root/host_key
rack_wrong_key 3
refused "a host with another host key" \
    'host h3: cannot be reached: Host key verification failed.; see that "ssh h3 true" works and asks nothing' \
    "${hosts[@]}" "$guest"
rack_on 3 install -m 600 /root/host_key /etc/ssh/host_key
rack_sshd 3
rack_freeze 3
refused "a host that is frozen" \
    'host h3: cannot be reached: *; see that "ssh h3 true" works and asks nothing' \
    "${hosts[@]}" "$guest"
rack_thaw 3
can_run

# ---- programs

rack_hide 3 "$TOP/build"
refused "no dqemu there" \
    "host h3: dqemu-launch is not there (neither as $DQEMU_LAUNCH nor in PATH); install it, or use --push or --prefix" \
    "${hosts[@]}" "$guest"
refused "no dqemu where --prefix says" \
    "host h3: dqemu-launch is not there (neither as /srv/bin/dqemu-launch nor in PATH); install it, or use --push or --prefix" \
    --prefix /srv --hosts h1,h3 "$guest"
undo 3 "$TOP/build"
rack_hide 3 "$node"
refused "no node program there" \
    "host h3: the node program dqemu-aarch64 is missing beside dqemu-launch; install it there, or use --push" \
    "${hosts[@]}" "$guest"
undo 3 "$node"
other_build "$DQEMU_LAUNCH" launch.other
other_build "$node" node.other
rack_replace 3 "$DQEMU_LAUNCH" launch.other
refused "another build of the launcher" \
    "host h3: its dqemu-launch is build $other and this one is $build; install the same there, or use --push" \
    "${hosts[@]}" "$guest"
undo 3 "$DQEMU_LAUNCH"
rack_replace 3 "$node" node.other
refused "another build of the node program" \
    "host h3: its node program is build $other and this launcher is $build; install the same there, or use --push" \
    "${hosts[@]}" "$guest"
undo 3 "$node"
echo '#!/bin/sh' >node.silent
chmod +x node.silent
rack_replace 3 "$node" node.silent
refused "a node program that is none" \
    "host h3: its node program is build * and this launcher is $build; *" "${hosts[@]}" "$guest"
undo 3 "$node"

# ---- --push

full_and_clean() { # LINE: also of what was on its way
    is_refusal "$1" || return
    [ -z "$(rack_on 3 find /root/.cache -name 'new.*')" ] || { rack_on 3 find /root/.cache -ls; return 1; }
}
rack_fill 3 /root/.cache
run "${hosts[@]}" --push "$guest"
holds "a full disk" full_and_clean \
    'host h3: dqemu does not start there: *No space left on device*; free some space there, or set XDG_CACHE_HOME there'
undo 3 /root/.cache
rack_fill 3 /root/.cache 4096
run "${hosts[@]}" --push "$guest"
holds "a disk that has room for the launcher only" full_and_clean \
    "host h3: cannot keep the node program in /root/.cache/dqemu/*: No space left on device; free some space there, or set XDG_CACHE_HOME there"
undo 3 /root/.cache

# ---- ports and networks

rack_bg 3 perl -MIO::Socket::INET -e \
    '$s = IO::Socket::INET->new(LocalPort => 4712, Listen => 1) or die; $| = 1; print "up\n"; sleep' >perl.out
await 10 grep -q up perl.out || bail_out "perl does not listen"
run "${hosts[@]}" --port-range 4710-4712 "$guest"
kill "$rack_pid"
wait "$rack_job" 2>/dev/null
holds "a port that is in use" is_refusal \
    'host h3: port 4712 is not free on 10.83.0.3: Address already in use; give another --port-range, or none'

rack_cut_pair 2 3
unreached='it cannot reach host %s at 10.83.0.%s port *: *; open the way (a firewall?), or name another --interface or --port-range'
# shellcheck disable=SC2059
refused_for "two hosts that do not reach each other" 2 \
    "dqemu: host h2: $(printf "$unreached" h3 3)
dqemu: host h3: $(printf "$unreached" h2 2)" "${hosts[@]}" "$guest"
rack_restore_pair 2 3

none='it has no address on --interface eth9; name another interface or network'
refused_for "an interface that no host has" 3 \
    "dqemu: host h1: $none
dqemu: host h2: $none
dqemu: host h3: $none" --interface eth9 "${hosts[@]}" "$guest"
rack_on 1 ip addr add 10.84.0.1/24 dev eth0
rack_on 2 ip addr add 10.84.0.2/24 dev eth0
refused "a network that one host is not in" \
    'host h3: it has no address on --interface 10.84.0.0/24; name another interface or network' \
    --interface 10.84.0.0/24 "${hosts[@]}" "$guest"
rack_on 3 ip addr add 10.84.0.3/24 dev eth0
any_key=(--ssh "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")
refused "two networks at once" \
    'host h1: host 10.84.0.2 sees this machine as 10.84.0.1, and host h3 as 10.83.0.1; name one network with --interface' \
    "${any_key[@]}" --hosts h1,10.84.0.2,h3 "$guest"
expect "and one, by --interface" 0 'big_sum: *' '' \
    "${any_key[@]}" --hosts h1,10.84.0.2,h3 --interface 10.83.0.0/24 "$guest"

# ---- hostfiles

hostfile() { # TEXT
    printf '%b' "$1" >rack.hosts
    rack_put 1 rack.hosts /root/rack.hosts
}
hostfile 'h1\nh2\nh3 address=10.83.0.9\n'
refused "an address that is another's" \
    'host h3: it has no address 10.83.0.9, which was given for it; give one of its own' \
    --hostfile /root/rack.hosts "$guest"
hostfile 'h1\nh2 slot=2\n'
expect "a hostfile with a wrong word" 125 '' \
    'dqemu: --hostfile /root/rack.hosts: line 2: "slot=2" is not known; a line is: *' \
    --hostfile /root/rack.hosts "$guest"
hostfile '# nobody\n'
expect "a hostfile without hosts" 125 '' 'dqemu: --hostfile /root/rack.hosts: it names no host; *' \
    --hostfile /root/rack.hosts "$guest"
expect "more nodes than slots" 125 '' 'dqemu: 4 nodes for 3 slots, one on this machine among them; *' \
    -n 4 "${hosts[@]}" "$guest"

# ---- what a host has

files=$(ulimit -n)
rack_ulimit 3 nofile=32:
refused "a limit of open files" \
    'host h3: the limit of open files, 32, is too low for 3 nodes; raise it to 46 or more (ulimit -n), or use fewer nodes' \
    "${hosts[@]}" "$guest"
rack_ulimit 3 nofile="$files:"
printf 'MemTotal: 999999 kB\nMemAvailable: 102400 kB\n' >meminfo
rack_replace 3 /proc/meminfo meminfo
refused "too little memory" \
    'host h3: 100 MB of memory are free, too little for 1 node; end other programs there, or leave it out' \
    "${hosts[@]}" "$guest"
undo 3 /proc/meminfo
echo 1000 >maps
rack_replace 3 /proc/sys/vm/max_map_count maps
refused "too few maps" \
    "host h3: vm.max_map_count is 1000, too low for a program's memory map; set the sysctl to 65530" \
    "${hosts[@]}" "$guest"
undo 3 /proc/sys/vm/max_map_count

# ---- all at once

rack_ulimit 2 nofile=32:
rack_replace 2 "$node" node.other
rack_hide 3 "$TOP/build"
all_lines="dqemu: host h2: the limit of open files, 32, is too low *
dqemu: host h2: its node program is build $other and *
dqemu: host h3: dqemu-launch is not there *
dqemu: host h9: cannot be reached: *"
refused_for "several troubles at once: a line each" 4 "$all_lines" --hosts h1,h2,h3,h9 "$guest"
has_rows() { # FILE
    [ "$(grep -E '^(host|h[1-9]) ' "$1" | awk '{ print $1 }' | paste -sd ' ')" = "host h1 h2 h3 h9" ] ||
        fails "the table has other rows"
}
holds "and one table" has_rows err
expect "the same with --check, whose table is the output" 125 'host *' "$all_lines" \
    --hosts h1,h2,h3,h9 --check
holds "with the same rows" has_rows out
undo 2 "$node"
undo 3 "$TOP/build"
rack_ulimit 2 nofile="$files:"
can_run
done_testing
