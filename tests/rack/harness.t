#!/bin/bash
# The rack itself: its hosts are apart and reach each other by ssh, what cuts, stops and breaks them
# does that and no more, Slurm runs on them, and nothing is left when a rack ends, however it ends.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/rack/lib.sh
. "$(dirname "$0")/lib.sh"
time_limit 300
cd "$SCRATCH" || exit 1

is() { # WHAT GOT WANTED
    [ "$2" = "$3" ] || { printf '%s is "%s", not "%s"\n' "$@"; return 1; }
}

reaches() { # A B: a connection comes about within a second
    rack_try 1 "$1" bash -c ": </dev/tcp/h$2/22" 2>/dev/null
}

still() { # A B: A reaches B, on a busy machine too
    await 10 reaches "$1" "$2" || { echo "h$1 does not reach h$2"; return 1; }
}

greets() { # A B: sshd answers
    rack_try 1 "$1" bash -c "read -r line </dev/tcp/h$2/22 && [[ \$line == SSH-* ]]" 2>/dev/null
}

apart() { # A B: neither reaches the other
    ! reaches "$1" "$2" || { echo "h$1 reaches h$2"; return 1; }
    ! reaches "$2" "$1" || { echo "h$2 reaches h$1"; return 1; }
}

together() { # A B
    still "$1" "$2" && still "$2" "$1"
}

names_and_addresses() {
    local k
    for k in 1 2 3 4; do
        is "the name of h$k" "$(rack_on "$k" hostname)" "h$k" || return
        is "what h1 takes h$k for" "$(rack_on 1 getent hosts "h$k" | awk '{ print $1 }')" \
            "10.83.0.$k" || return
        is "the address of h$k" "$(rack_on "$k" ip -4 -o addr show dev eth0 |
            awk '{ print $4 }')" "10.83.0.$k/24" || return
        is "the network devices of h$k" "$(rack_on "$k" ls /sys/class/net | grep -cvx 'lo\|eth0')" \
            0 || return
    done
}

own_folders() {
    local dir
    for dir in /tmp /root /run /var/tmp /dev/shm /root/.cache /etc; do
        rack_on 1 touch "$dir/of-h1" || return
        ! rack_on 2 test -e "$dir/of-h1" || { echo "h2 sees what h1 wrote to $dir"; return 1; }
        [ ! -e "$dir/of-h1" ] || { echo "the machine sees what h1 wrote to $dir"; return 1; }
    done
    rack_on 1 cmp "$TOP/Makefile" "$TOP/Makefile" || return
    ! rack_on 1 touch "$TOP/of-h1" || { rm -f "$TOP/of-h1"; echo "h1 writes to $TOP"; return 1; }
}

ssh_everywhere() {
    local k
    for k in 1 2 3 4; do
        is "ssh h$k" "$(rack_try 20 1 ssh "h$k" 'echo "$(hostname) $HOME"' </dev/null)" \
            "h$k /root" || return
        is "ssh 10.83.0.$k" "$(rack_try 20 1 ssh "10.83.0.$k" hostname </dev/null)" "h$k" || return
    done
    is "from h3 to h2" "$(rack_try 20 3 ssh h2 hostname </dev/null)" h2
}

streams_and_status() {
    seq 100000 >numbers
    rack_on 2 cat <numbers | cmp - numbers || return
    rack_on 1 ssh h2 cat <numbers | cmp - numbers || return
    rack_on 2 bash -c 'exit 7'
    is "the status" $? 7 || return
    # no builtin of a shell that stands outside
    is "process 1" "$(rack_on 2 kill -0 1 && rack_on 2 cat /proc/1/cmdline | tr '\0' ' ')" \
        "/bin/bash $TOP/tests/rack/host.sh 2 $TOP " || return
    ! rack_on 2 kill -0 "$$" 2>/dev/null || { echo "h2 knows process $$ of the machine"; return 1; }
    is "the environment" "$(rack_on 1 env | sort | cut -d = -f 1 | grep -vx '_\|PWD\|SHLVL\|OLDPWD' |
        paste -sd ' ')" "HOME LC_ALL LOGNAME PATH SHELL USER"
}

background() {
    rack_bg 2 sleep 1000
    is "what runs" "$(tr '\0' ' ' <"/proc/$rack_pid/cmdline")" "sleep 1000 " || return
    rack_leftovers 2 | grep -q 'sleep 1000' || { echo "it is not on h2"; return 1; }
    kill -TERM "$rack_pid"
    wait "$rack_job" 2>/dev/null
    is "the status" $? 143
}

orphan_seen() { # on h3, as the program that it has become
    rack_leftovers 3 | grep -q '^[0-9]* . sleep 1000 $'
}

leftovers() {
    local pid
    rack_try 20 1 ssh h3 'setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!' >pid || return
    await 10 orphan_seen || { rack_leftovers 3; return 1; }
    ! rack_clean 3 || { echo "h3 counts as clean"; return 1; }
    read -r pid <pid
    rack_on 3 kill "$pid" || return
    # orphans that end are collected, so no zombie stays either
    await 10 rack_clean || { rack_leftovers 3; return 1; }
}

ports() {
    is "what listens" "$(rack_ports 4)" "tcp 0.0.0.0:22 sshd" || return
    rack_bg 4 perl -MIO::Socket::INET -e \
        '$s = IO::Socket::INET->new(LocalPort => 4711, Listen => 1) or die; $| = 1; print "up\n"; sleep' \
        >perl.out
    await 10 grep -q up perl.out || return
    is "what listens then" "$(rack_ports 4 | grep -v sshd)" "tcp 0.0.0.0:4711 perl" || return
    kill -KILL "$rack_pid"
    wait "$rack_job" 2>/dev/null
    is "what listens at last" "$(rack_ports 4)" "tcp 0.0.0.0:22 sshd"
}

# A connection that is open when the cable is pulled carries on when it is back.
cut_and_restore() {
    local status=0
    mkfifo in
    exec 7<>in
    rack_bg 1 ssh h2 cat <in >out 7>&-
    echo before >&7
    await 10 grep -q before out || return
    rack_cut 2
    echo meanwhile >&7
    apart 1 2 && apart 2 3 && still 1 3 || status=1
    ! grep -q meanwhile out || { echo "the cut connection carries data"; status=1; }
    rack_restore 2
    together 1 2 || status=1
    await 30 grep -q meanwhile out || { echo "the connection does not carry on"; status=1; }
    exec 7>&-
    wait "$rack_job" || status=1
    return $status
}

cut_pair() {
    local status=0
    rack_cut_pair 3 2
    { apart 2 3 && still 1 2 && still 1 3 && still 2 4 && still 3 4; } || status=1
    rack_kill 3
    rack_boot 3
    { apart 2 3 && together 1 3; } || { echo "after h3 has been off"; status=1; }
    rack_restore_pair 2 3
    together 2 3 && return $status
}

# Not speed is asserted but the limit: two megabytes at 16 megabits a second take a second.
limit() {
    local start way
    for way in "1 2" "2 1"; do
        rack_limit 2 16mbit
        start=$(date +%s%N)
        rack_try 30 "${way% *}" ssh "h${way#* }" 'head -c 2000000 /dev/zero' </dev/null >zeroes || return
        is "what arrived" "$(stat -c %s zeroes)" 2000000 || return
        [ $(($(date +%s%N) - start)) -gt 800000000 ] || { echo "from h${way#* } in no time"; return 1; }
    done
    rack_limit 2 none
    ! nsenter -t "${rack_init[2]}" -n tc qdisc show | grep tbf
}

longer() { # FILE SIZE
    [ "$(stat -c %s "$1")" -gt "$2" ]
}

freeze_and_thaw() {
    local status=0 pid size
    rack_bg 2 perl -e '$| = 1; while (1) { print "x"; select undef, undef, undef, 0.01 }' >ticks
    await 10 test -s ticks || return
    rack_freeze 2
    size=$(stat -c %s ticks)
    for pid in $(rack_pids 2); do
        grep -q '^State:.*stopped' "/proc/$pid/status" || { cat "/proc/$pid/status"; status=1; }
    done
    still 1 2 || { echo "its kernel does not answer"; status=1; }
    ! greets 1 2 || { echo "its sshd answers"; status=1; }
    is "what it has written" "$(stat -c %s ticks)" "$size" || status=1
    await 10 greets 1 3 || { echo "h3 does not answer"; status=1; }
    rack_thaw 2
    await 10 greets 1 2 || { echo "its sshd does not answer again"; status=1; }
    await 10 longer ticks "$size" || { echo "its program does not go on"; status=1; }
    kill -KILL "$rack_pid"
    wait "$rack_job" 2>/dev/null
    return $status
}

established() { # on h1, with h3
    [ "$(rack_on 1 ss -Htn state established dst 10.83.0.3 | wc -l)" = 1 ]
}

kill_and_boot() {
    local status=0
    rack_on 3 touch /root/stays /tmp/goes
    rack_bg 1 ssh h3 'echo up; sleep 1000' </dev/null >out
    await 10 grep -q up out || return
    rack_kill 3
    established || { echo "h1 has been told of the end"; rack_on 1 ss -tn; status=1; }
    ! reaches 1 3 || { echo "h3 still answers"; status=1; }
    still 1 2 || status=1
    rack_boot 3
    await 10 greets 1 3 || status=1
    kill -KILL "$rack_pid"
    wait "$rack_job" 2>/dev/null
    is "ssh h3" "$(rack_try 20 1 ssh h3 hostname </dev/null)" h3 || status=1
    rack_on 3 test -e /root/stays || { echo "the disk is lost"; status=1; }
    ! rack_on 3 test -e /tmp/goes || { echo "/tmp is not"; status=1; }
    return $status
}

refusals() {
    rack_wrong_key 4
    ! rack_try 20 1 ssh h4 true </dev/null 2>said.wrong || { echo "a wrong host key is taken"; return 1; }
    grep -q 'Host key verification failed' said.wrong || { cat said.wrong; return 1; }
    rack_no_key 3
    ! rack_try 20 1 ssh h3 true </dev/null 2>said.no || { echo "without a key it opens"; return 1; }
    grep -q 'Permission denied' said.no || { cat said.no; return 1; }
    rack_try 20 1 ssh h2 true </dev/null
}

other_files() {
    local name=$TOP/Makefile
    echo "another" >other
    mkdir -p folder/deep
    echo deep >folder/deep/file
    rack_put 1 folder /root/new/place || return
    is "a file put there" "$(rack_on 1 cat /root/new/place/deep/file)" deep || return
    rack_replace 1 "$name" other
    is "the replaced file" "$(rack_on 1 cat "$name")" another || return
    rack_on 2 cmp -s "$name" /dev/null
    is "the same on h2" $? 1 || return
    rack_hide 1 "$TOP/tests" "$name"
    is "the hidden folder" "$(rack_on 1 ls -A "$TOP/tests")" "" || return
    is "the hidden file" "$(rack_on 1 cat "$name")" "" || return
    rack_on 2 test -s "$name" && rack_on 2 test -s "$TOP/tests/rack/lib.sh"
}

full_disk() {
    rack_fill 1 /root/.cache
    ! rack_on 1 bash -c 'echo x >/root/.cache/file' 2>said.full || { echo "there is room"; return 1; }
    grep -q 'No space left' said.full || { cat said.full; return 1; }
    rack_fill 1 /root/small 64
    rack_on 1 bash -c 'head -c 40k /dev/zero >/root/small/file' || return
    ! rack_on 1 bash -c 'head -c 40k /dev/zero >/root/small/file2' 2>/dev/null
}

limits_and_parameters() {
    rack_ulimit 2 nofile=64 core=0
    is "ulimit -n over ssh" "$(rack_try 20 1 ssh h2 'ulimit -n' </dev/null)" 64 || return
    is "that of h1 itself" "$(rack_try 20 2 ssh h1 'ulimit -n' </dev/null)" "$(ulimit -n)" || return
    rack_sysctl 2 net.ipv4.ip_local_port_range='40000 40100'
    is "the parameter" "$(rack_on 2 cat /proc/sys/net/ipv4/ip_local_port_range | tr '\t' ' ')" \
        "40000 40100" || return
    ! rack_on 1 grep -q 40100 /proc/sys/net/ipv4/ip_local_port_range || return
    ! (rack_stdout=1; rack_sysctl 2 vm.swappiness=1)
}

slurm_srun() {
    is "srun -N4 hostname" "$(rack_try 20 1 srun -N4 hostname </dev/null | sort | paste -sd ' ')" \
        "h1 h2 h3 h4" || return
    rack_try 20 1 srun -N2 bash -c 'exit 3' </dev/null
    is "the status" $? 3 || return
    # h3 lets nobody in by ssh: Slurm does without
    is "srun on h3" "$(rack_try 20 1 srun -w h3 hostname </dev/null)" h3
}

slurm_allocations() {
    is "salloc -N3" "$(rack_try 20 1 salloc -Q -N3 srun hostname </dev/null | sort |
        paste -sd ' ')" "h1 h2 h3" || return
    printf '#!/bin/sh\necho "$SLURM_JOB_NODELIST on $(hostname)"\nsrun hostname | sort\n' >job
    rack_put 1 job /root/job
    rack_try 30 1 sbatch -Q --wait -N2 -o /root/job.out /root/job >/dev/null </dev/null || return
    is "what the job wrote" "$(rack_on 1 cat /root/job.out | paste -sd ' ')" "h[1-2] on h1 h1 h2" ||
        return
    await 10 rack_clean || { rack_leftovers 1; rack_leftovers 2; return 1; }
}

slurm_reboot() {
    rack_kill 2
    rack_boot 2
    rack_slurm_up 2
    is "srun -w h2" "$(rack_try 20 1 srun -w h2 hostname </dev/null)" h2
}

# The namespaces of a rack, by their kernel names.
namespaces() { # PID-OF-FABRIC PID-OF-HOST...
    local pid kind
    for pid; do
        for kind in net mnt pid uts ipc; do
            readlink "/proc/$pid/ns/$kind"
        done
    done | sort -u | grep -vxF -f <(for kind in net mnt pid uts ipc; do readlink "/proc/self/ns/$kind"; done)
}

# True if no process is in one of the namespaces in FILE, and no mount keeps one.
nothing_in() { # FILE
    ! readlink /proc/[0-9]*/ns/{net,mnt,pid,uts,ipc} 2>/dev/null | grep -qxF -f "$1" &&
        ! grep -F -f "$1" /proc/self/mountinfo
}

down_leaves_nothing() {
    local init jobs=("$rack_fabric_job" "${rack_init_job[@]}")
    namespaces "$rack_fabric" "${rack_init[@]}" >spaces
    # the fabric: net, mnt, pid; four hosts: all five
    is "the number of namespaces" "$(wc -l <spaces)" 23 || return
    rack_bg 1 sleep 1000
    rack_bg 3 ssh h1 sleep 1000
    rack_freeze 3
    rack_cut 4
    rack_fill 2 /root/full
    init=$rack_fabric
    rack_down
    nothing_in spaces || { echo "namespaces are left"; return 1; }
    [ ! -e "/proc/$init" ] || { echo "the fabric is left"; return 1; }
    for init in "${jobs[@]}"; do
        ended "$init" || { echo "process $init is left"; return 1; }
    done
    ! grep -F "$SCRATCH" /proc/self/mountinfo || { echo "a mount is left"; return 1; }
    [ ! -e "$RACK" ] || { find "$RACK"; return 1; }
}

ended() { # PID
    ! kill -0 "$1" 2>/dev/null
}

# A second rack, made by another shell while this one has its own; then that shell is killed.
killed_rack() {
    local shell pids
    mkdir -p other.tmp
    mkfifo waiting
    TMPDIR=$SCRATCH/other.tmp bash -c '
        . "$1"
        rack_up 2
        rack_on 2 touch /root/of-the-other
        rack_bg 2 sleep 1000
        echo "$rack_fabric ${rack_init[*]} $rack_job $rack_fabric_job ${rack_init_job[*]}" >pids
        read -r' other "$TOP/tests/rack/lib.sh" <>waiting >other.out 2>&1 &
    shell=$!
    await 60 test -s pids || { cat other.out; kill -KILL "$shell"; return 1; }
    ! rack_on 2 test -e /root/of-the-other || { echo "two racks share a host"; return 1; }
    is "h2 of this rack" "$(rack_try 20 1 ssh h2 hostname </dev/null)" h2 || return
    read -ra pids <pids
    namespaces "${pids[@]:0:3}" >other.spaces
    is "its number of namespaces" "$(wc -l <other.spaces)" 13 || return
    kill -KILL "$shell"
    wait "$shell" 2>/dev/null
    await 10 nothing_in other.spaces || { echo "its namespaces are left"; return 1; }
    await 10 ended "${pids[3]}" || { echo "what it ran is left"; return 1; }
    await 10 ended "${pids[4]}" || { echo "what made its fabric is left"; return 1; }
}

own_clocks() {
    local k up=()
    rack_up 2 time
    for k in 1 2; do
        up[k]=$(rack_on "$k" cut -d . -f 1 /proc/uptime)
    done
    is "days between the clocks of h1 and h2" $(((up[2] - up[1] + 43200) / 86400)) 1 || return
    is "the same over ssh" $((($(rack_try 20 1 ssh h2 cat /proc/uptime | cut -d . -f 1) - up[1] +
        43200) / 86400)) 1 || return
    rack_down
}

# Without the right to make namespaces there is no rack, and the test says why.
no_rights() { # CI
    CI=$1 setpriv --bounding-set=-sys_admin bash -c '. "$1"; rack_up 1; echo "ok 1 - a rack"' none \
        "$TOP/tests/rack/lib.sh"
}
without_rights() {
    local status=0
    no_rights '' >skip || status=$?
    is "the status" $status 0 || return
    grep -q '^1..0 # SKIP no rack of namespaces here: ' skip || { cat skip; return 1; }
    ! no_rights true >skip || { echo "CI takes it for success"; return 1; }
    grep -q '^Bail out! no rack' skip || { cat skip; return 1; }
}

rack_up 4
holds "each host has its name, its address and one network card" names_and_addresses
holds "each host has folders of its own, and reads the sources" own_folders
holds "ssh works between hosts, by name and by address" ssh_everywhere
holds "stdin, stdout, status and environment on a host are right" streams_and_status
holds "what runs in the background can be signalled and waited for" background
holds "leftovers are found, and orphans are collected" leftovers
holds "listening sockets are found" ports
holds "a host that is cut off is not reached, and its connections carry on later" cut_and_restore
holds "two hosts can be cut off from each other alone, also over a reboot" cut_pair
holds "a cable can be made slow" limit
holds "a frozen host does nothing, and goes on when thawed" freeze_and_thaw
holds "a host without power says nothing, and comes back with its disk" kill_and_boot
holds "a second rack is apart, and ends with the shell that made it" killed_rack
holds "a wrong host key and a missing key are refused" refusals
holds "other files can be put in place of those of a host" other_files
holds "a disk can be full" full_disk
holds "ssh sessions have limits, hosts have parameters" limits_and_parameters
rack_slurm_up
holds "srun runs on all hosts" slurm_srun
holds "salloc and sbatch do" slurm_allocations
holds "Slurm uses a host again that was off" slurm_reboot
holds "nothing is left of a rack" down_leaves_nothing
holds "hosts can have clocks of their own, in a second rack of the same test" own_clocks
holds "without the rights the test is skipped, in CI it fails" without_rights
done_testing
