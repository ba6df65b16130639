# shellcheck shell=bash
# A rack: hosts h1 to hN made of namespaces on this machine, on a network of their own. README.md
# beside this file says what a host has. Sourced by the tests of dqemu across hosts; it brings the
# helpers of tests/e2e/lib.sh. K, A and B are numbers of hosts.
#
#   holds NAME COMMAND...        a point that holds if COMMAND does; its output is the diagnosis
#   time_limit SECONDS           first of all: the test ends by then, whatever it waits for
#   rack_up N [time]             N hosts; time: each with monotonic and boot clocks of its own
#   rack_down                    all of it ends; called at the end of the script in any case
#
#   rack_on K CMD...             run CMD as root logged in on host K; stdin, stdout and status are its
#   rack_try SECONDS K CMD...    the same within a time limit (status 124 when it is over)
#   rack_bg K CMD...             the same in the background: $rack_job to wait for, $rack_pid to signal
#   rack_put K FILE PATH         copy a file or folder of this machine to PATH on host K
#
#   rack_cut K, rack_restore K             pull out the network cable of host K, put it back
#   rack_cut_pair A B, rack_restore_pair A B    A and B cannot reach each other, others can
#   rack_limit K RATE|none                 the cable carries RATE (as tc has it: 8mbit) each way
#   rack_freeze K, rack_thaw K             every process of host K stops, sshd too; and goes on
#   rack_kill K, rack_boot K               power off, and on again: disk and host key are the same
#
#   rack_wrong_key K             host K has another host key than the others know
#   rack_no_key K                host K lets nobody in
#   rack_hide K PATH...          an empty file or folder in place of each PATH on host K
#   rack_replace K PATH FILE     FILE (or folder) of this machine in place of PATH on host K
#   rack_fill K DIR [KIB]        DIR on host K is on a full disk (with KIB free)
#   rack_ulimit K NAME=N...      limits (as prlimit has them: nofile=64) of new ssh sessions on host K
#   rack_sysctl K NAME=VALUE...  parameters of the kernel that a network namespace has for itself
#
#   rack_leftovers K             prints the processes of host K that do not belong to the rack
#   rack_clean [K...]            true if those hosts (all) have none: await 5 rack_clean
#   rack_ports K                 prints the listening sockets of host K: tcp 0.0.0.0:22 sshd
#   rack_log K                   prints what the daemons of host K have logged
#
#   rack_slurm_up [K...]         Slurm on all hosts, its controller on h1; see slurm.sh
#
# All functions but rack_on, rack_try, rack_clean and rack_slurm_up end the test if they fail.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
# shellcheck source=tests/rack/slurm.sh
. "$TOP/tests/rack/slurm.sh"

RACK=$SCRATCH/rack # of this machine: logs and the pipe on which a host says that it is up
rack_hosts=0
rack_fabric=       # process numbers are this machine's
rack_fabric_job=
rack_init=()       # of host K, empty when it is off
rack_init_job=()
rack_jobs=()       # all that rack_bg has started
rack_options=
declare -A rack_cuts=()
declare -A rack_limits=()
rack_env=(HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LC_ALL=C
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)

trap 'rack_down; rm -rf "$SCRATCH"' EXIT

# What ends the test is said on its own stdout, wherever that of a function goes.
exec {rack_stdout}>&1
bail_out() { # REASON
    echo "Bail out! $*" >&"$rack_stdout"
    exit 1
}

# A point that holds if COMMAND (a function, say) does; what that prints is the diagnosis.
holds() { # NAME COMMAND...
    if "${@:2}" >"$SCRATCH/said" 2>&1; then
        pass "$1"
    else
        fail "$1" <"$SCRATCH/said"
    fi
}

rack_unable() { # REASON: this machine cannot have a rack
    [ -z "${CI:-}" ] || bail_out "no rack: $*"
    echo "1..0 # SKIP $*"
    exit 0
}

# The script starts once more, below a timeout, with its scratch folder inside that of this shell, which
# removes all. Killed in the midst of anything, that other shell takes its rack along.
time_limit() { # SECONDS
    local status=0
    if [ -n "${DQEMU_RACK_LIMITED:-}" ]; then
        unset DQEMU_RACK_LIMITED
        return
    fi
    DQEMU_RACK_LIMITED=1 TMPDIR=$SCRATCH timeout --foreground -k 10 "$(scaled "$1")" "$0" || status=$?
    [ $status != 124 ] || echo "Bail out! not done after $(scaled "$1") seconds"
    exit $status
}

# Everything that a rack needs, tried out in namespaces that end at once.
rack_need() {
    local tool
    [ "$(id -u)" = 0 ] || rack_unable "a rack of namespaces needs root"
    for tool in ip tc ss nsenter unshare setpriv prlimit ssh ssh-keygen /usr/sbin/sshd; do
        command -v "$tool" >/dev/null || rack_unable "$tool is missing: run make deps"
    done
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --net --uts --ipc --mount --pid --fork bash -ec '
        mount --make-rprivate /
        mount -t proc proc /proc
        mount -t sysfs sysfs /sys
        mount -t tmpfs tmpfs /mnt
        ip link add bridge type bridge
        ip link add one type veth peer name two
        tc qdisc add dev one root tbf rate 8mbit burst 32kb limit 64kb
        ' 2>"$SCRATCH/rack.need" ||
        rack_unable "no rack of namespaces here: $(head -n 1 "$SCRATCH/rack.need")"
}

rack_up() { # N [OPTION...]
    local k
    [ -z "$rack_fabric" ] || bail_out "a test has one rack at a time"
    rack_need
    rack_hosts=$1
    shift
    rack_options=" $* "
    mkdir -p "$RACK/disks"
    mkfifo "$RACK/ready"
    # When this shell is killed, so is unshare, and with it the fabric and all hosts in it.
    setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child \
        "$TOP/tests/rack/fabric.sh" "$rack_hosts" "$TOP" "$RACK/disks" \
        </dev/null >"$RACK/fabric.log" 2>&1 8>"$RACK/ready" &
    rack_fabric_job=$!
    read -r rack_fabric <"$RACK/ready" || rack_broken "the fabric" "$RACK/fabric.log"
    for k in $(seq "$rack_hosts"); do
        rack_boot "$k"
    done
}

rack_broken() { # WHAT LOG
    sed 's/^/# /' "$2" >&"$rack_stdout"
    bail_out "$1 of the rack does not come up"
}

rack_boot() { # K
    local k=$1 clocks=() pid cut
    [ -z "${rack_init[k]:-}" ] || bail_out "rack_boot: h$k is on"
    [[ $rack_options != *" time "* ]] ||
        clocks=(--time --monotonic $((k * 86400)) --boottime $((k * 86400 + 3600)))
    nsenter -t "$rack_fabric" -m -p unshare --net --uts --ipc --mount --pid --fork --kill-child \
        "${clocks[@]}" "$TOP/tests/rack/host.sh" "$k" "$TOP" \
        </dev/null >"$RACK/h$k.log" 2>&1 8>"$RACK/ready" &
    rack_init_job[k]=$!
    read -r pid <"$RACK/ready" || rack_broken "h$k" "$RACK/h$k.log"
    rack_init[k]=$pid
    rack_plug "$k" || bail_out "h$k cannot be connected"
    [ -z "${rack_limits[$k]:-}" ] || rack_limit "$k" "${rack_limits[$k]}"
    for cut in "${!rack_cuts[@]}"; do
        [[ " $cut " != *" $k "* ]] || rack_block "$k" "$cut"
    done
}

rack_fabric_ip() { # ARGUMENT... of ip
    nsenter -t "$rack_fabric" -n ip "$@"
}

rack_host_ip() { # K ARGUMENT... of ip
    nsenter -t "${rack_init[$1]}" -n ip "${@:2}"
}

# The address of the card stays with the host, so that a host that is back is known at once.
rack_plug() { # K
    local card
    card=$(printf '02:83:00:00:00:%02x' "$1")
    rack_fabric_ip -batch - <<END && rack_host_ip "$1" -batch - <<END2
link add p$1 type veth peer name eth0 address $card netns ${rack_init[$1]}
link set p$1 master fabric up
END
addr add 10.83.0.$1/24 dev eth0
link set eth0 up
END2
}

rack_is_on() { # K
    [ -n "${rack_init[$1]:-}" ] || bail_out "h$1 is off, or not of this rack"
}

# The command line that enters host K goes to the array $enter. Its shell stays outside the host's PID
# namespace, and what it forks is inside. nsenter does not fork for it: it would stop itself when
# the one inside stops, and not collect it when the host ends. exec keeps CMD from being a builtin of
# that shell, outside.
rack_enter() { # K
    rack_is_on "$1"
    enter=(nsenter -t "${rack_init[$1]}" -F -m -u -i -n -p)
    [[ $rack_options != *" time "* ]] || enter+=(-T)
    # shellcheck disable=SC2016 # expanded by the inner shell
    enter+=(-- env -i "${rack_env[@]}" bash -c 'cd && (exec "$@"); exit $?' rack)
}

rack_on() { # K CMD...
    local enter
    rack_enter "$1"
    "${enter[@]}" "${@:2}"
}

rack_try() { # SECONDS K CMD...
    local enter
    rack_enter "$2"
    timeout -k 5 "$(scaled "$1")" "${enter[@]}" "${@:3}"
}

# The inner shell reads its own number in the machine's /proc, which descriptor 9 brings along.
rack_bg() { # K CMD...
    local enter pipe=$RACK/bg
    rack_enter "$1"
    rm -f "$pipe"
    mkfifo "$pipe"
    # shellcheck disable=SC2016 # expanded by the inner shell
    "${enter[@]}" bash -c '
        read -r pid _ </proc/self/fd/9/self/stat
        echo "$pid" >&8
        exec 8>&- 9<&- "$@"' rack-about-to-start "${@:2}" 8>"$pipe" 9</proc &
    rack_job=$!
    rack_jobs+=("$rack_job")
    { read -r rack_pid <"$pipe" && await 10 rack_started "$rack_pid"; } ||
        bail_out "rack_bg: ${*:2} does not start on h$1"
}

rack_started() { # PID: it is CMD already, not the shell that becomes it
    ! grep -qs rack-about-to-start "/proc/$1/cmdline"
}

rack_must() { # K CMD...: what the rack itself does on a host
    rack_on "$@" || bail_out "${FUNCNAME[1]} failed on h$1"
}

rack_put() { # K FILE PATH
    local name
    name=$(basename "$2")
    # shellcheck disable=SC2016 # expanded by the inner shell
    tar -C "$(dirname "$2")" -cf - "$name" | rack_must "$1" bash -ec '
        new=$(mktemp -d "/run/rack/put.XXXXXX")
        tar -C "$new" -xf -
        mkdir -p "$(dirname "$2")"
        mv -T "$new/$1" "$2"
        rmdir "$new"' put "$name" "$3"
}

# ---- the network

rack_cut() { # K
    rack_fabric_ip link set "p$1" down || bail_out "rack_cut: h$1"
}

rack_restore() { # K
    rack_fabric_ip link set "p$1" up || bail_out "rack_restore: h$1"
}

# What HOST sends to the other of the pair goes to a card that nobody has: it is lost without a word.
rack_block() { # HOST "A B"
    local other=${2/$1/}
    rack_host_ip "$1" neigh replace "10.83.0.${other// /}" lladdr 02:83:00:00:ff:ff dev eth0 \
        nud permanent || bail_out "rack_cut_pair: $2"
}

rack_unblock() { # HOST "A B"
    local other=${2/$1/}
    rack_host_ip "$1" neigh del "10.83.0.${other// /}" dev eth0 || bail_out "rack_restore_pair: $2"
}

rack_pair() { # A B: the name of the pair, lower number first
    [ "$1" -lt "$2" ] && echo "$1 $2" || echo "$2 $1"
}

rack_cut_pair() { # A B
    local pair k
    pair=$(rack_pair "$1" "$2")
    rack_cuts[$pair]=1
    for k in "$1" "$2"; do
        [ -z "${rack_init[k]:-}" ] || rack_block "$k" "$pair"
    done
}

rack_restore_pair() { # A B
    local pair k
    pair=$(rack_pair "$1" "$2")
    unset "rack_cuts[$pair]"
    for k in "$1" "$2"; do
        [ -z "${rack_init[k]:-}" ] || rack_unblock "$k" "$pair"
    done
}

rack_limit() { # K RATE|none
    local qdisc=(replace) tbf=(root tbf rate "$2" burst 32kb limit 256kb)
    rack_is_on "$1"
    rack_limits[$1]=$2
    if [ "$2" = none ]; then
        unset "rack_limits[$1]"
        qdisc=(del) tbf=(root)
    fi
    nsenter -t "$rack_fabric" -n tc qdisc "${qdisc[@]}" dev "p$1" "${tbf[@]}" &&
        nsenter -t "${rack_init[$1]}" -n tc qdisc "${qdisc[@]}" dev eth0 "${tbf[@]}" ||
        bail_out "rack_limit: h$1 $2"
}

# ---- processes and power

rack_pids() { # K: every process of the host, by this machine's numbers
    local dir
    rack_is_on "$1"
    for dir in /proc/[0-9]*; do
        [ ! "$dir/ns/pid" -ef "/proc/${rack_init[$1]}/ns/pid" ] || echo "${dir#/proc/}"
    done
}

rack_runs() { # PID: it is neither stopped nor dead
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) }
    [[ ${stat%% *} != [TtZX] ]]
}

# True when nothing runs there; what does is told to stop, since it may have forked meanwhile.
rack_stopped() { # K
    local pid running=0
    for pid in $(rack_pids "$1"); do
        rack_runs "$pid" || continue
        kill -STOP "$pid" 2>/dev/null || true
        running=1
    done
    [ $running = 0 ]
}

rack_freeze() { # K
    await 10 rack_stopped "$1" || bail_out "rack_freeze: h$1 does not stop"
}

rack_thaw() { # K
    local pids
    mapfile -t pids < <(rack_pids "$1")
    kill -CONT "${pids[@]}" || bail_out "rack_thaw: h$1"
}

# The cable goes first: nobody hears from a host without power that its connections are closed.
rack_kill() { # K
    rack_is_on "$1"
    rack_fabric_ip link del "p$1" || bail_out "rack_kill: h$1"
    kill -KILL "${rack_init[$1]}"
    wait "${rack_init_job[$1]}" 2>/dev/null
    rack_init[$1]=
}

rack_down() {
    local job
    [ -n "$rack_fabric_job" ] || return 0
    kill -KILL "${rack_fabric:-$rack_fabric_job}" 2>/dev/null
    wait "$rack_fabric_job" 2>/dev/null
    # what has entered a host is a process outside; it ends with the one inside
    for job in "${rack_init_job[@]}" "${rack_jobs[@]}"; do
        wait "$job" 2>/dev/null
    done
    rack_fabric='' rack_fabric_job='' rack_hosts=0
    rack_init=() rack_init_job=() rack_jobs=() rack_cuts=() rack_limits=()
    rm -rf "$RACK"
}

# ---- what is wrong with a host

rack_sshd() { # K: start it (again)
    # shellcheck disable=SC2016 # expanded by the inner shell
    rack_must "$1" bash -ec '
        pid=$(cat /run/rack/sshd.pid)
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
        rm -f /run/rack/sshd.pid
        /usr/sbin/sshd -E /var/log/sshd.log'
    await 10 rack_on "$1" test -s /run/rack/sshd.pid || bail_out "no sshd on h$1"
}

rack_wrong_key() { # K
    rack_must "$1" rm -f /etc/ssh/host_key
    rack_must "$1" ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/host_key
    rack_sshd "$1"
}

rack_no_key() { # K
    rack_must "$1" rm /root/.ssh/authorized_keys
}

rack_hide() { # K PATH...
    # shellcheck disable=SC2016 # expanded by the inner shell
    rack_must "$1" bash -ec '
        mkdir -p /run/rack/nothing
        : >/run/rack/empty
        chmod 444 /run/rack/empty
        for path; do
            [ -d "$path" ] && nothing=/run/rack/nothing || nothing=/run/rack/empty
            mount --bind -o ro "$nothing" "$path"
        done' hide "${@:2}"
}

rack_replace() { # K PATH FILE
    local copy=/run/rack/other.$((++rack_copies))
    rack_put "$1" "$3" "$copy"
    rack_must "$1" mount --bind "$copy" "$2"
}
rack_copies=0

rack_fill() { # K DIR [KIB]
    # shellcheck disable=SC2016 # expanded by the inner shell
    rack_must "$1" bash -ec '
        mkdir -p "$1"
        mount -t tmpfs -o mode=1777,size=$((64 + $2))k full "$1"
        head -c 64k /dev/zero >"$1/full"' fill "$2" "${3:-0}"
}

rack_ulimit() { # K NAME=N...
    local limits=("${@:2}")
    # shellcheck disable=SC2016 # expanded by the inner shell
    rack_must "$1" bash -ec 'prlimit --pid "$(cat /run/rack/sshd.pid)" "$@"' ulimit "${limits[@]/#/--}"
}

rack_sysctl() { # K NAME=VALUE...
    local setting
    for setting in "${@:2}"; do
        [[ $setting == net.*=* ]] ||
            bail_out "rack_sysctl: ${setting%%=*} is the whole machine's: only net.* is a host's own"
        # shellcheck disable=SC2016 # expanded by the inner shell
        rack_must "$1" bash -ec 'echo "$2" >"/proc/sys/${1//.//}"' sysctl \
            "${setting%%=*}" "${setting#*=}"
    done
}

# ---- what is to be seen there

rack_leftovers() { # K
    local proc dir pid stat daemons=' 1 ' file
    rack_is_on "$1"
    proc=/proc/${rack_init[$1]}/root
    for file in "$proc"/run/rack/*.pid; do
        daemons+="$(cat "$file") "
    done
    for dir in "$proc"/proc/[0-9]*; do
        pid=${dir##*/}
        [[ $daemons != *" $pid "* ]] || continue
        read -r stat 2>/dev/null <"$dir/stat" || continue
        stat=${stat##*) }
        echo "$pid ${stat%% *} $(tr '\0' ' ' 2>/dev/null <"$dir/cmdline")"
    done
}

rack_clean() { # [K...]
    local k
    [ $# -gt 0 ] || set -- "${!rack_init[@]}"
    for k; do
        [ -z "${rack_init[k]}" ] || [ -z "$(rack_leftovers "$k")" ] || return 1
    done
}

rack_ports() { # K
    rack_must "$1" ss -Hltunp |
        sed 's/^\(\S*\) *\S* *\S* *\S* *\(\S*\) *\S* *users:(("\([^"]*\)".*/\1 \2 \3/'
}

rack_log() { # K
    local root=/proc/${rack_init[$1]}/root log
    for log in "$RACK/h$1.log" "$root"/var/log/{sshd,munged,slurmd,slurmctld}.log; do
        [ ! -s "$log" ] || sed "s,^,h$1 ${log##*/}: ," "$log"
    done
}

done_testing() {
    echo "1..$point"
    [ "$failed" = 0 ]
}
