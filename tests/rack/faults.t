#!/bin/bash
# A run over three hosts of which a part is killed, cut off, frozen, or told to end: one line names the
# node, its host, the cause and the last contact, the status says so, and nothing is left on any
# host. What is merely slow, stopped for a while, or cut off for a moment goes on.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/rack/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/rack/run.sh
. "$(dirname "$0")/run.sh"
time_limit 400
need_build
cd "$SCRATCH" || exit 1

hosts=(--hosts "h1,h2,h3" --contact 3)
busy() { # SECONDS [OPTION...]
    start "${hosts[@]}" "${@:2}" -- "$GUESTS/busy" "$1"
    await 60 begun && says "busy: all run" || fails "the program does not start"
}
begun() {
    says "busy: all run" || ended "$launcher_job"
}

# The last run has ended by a fault: one line that fits the pattern, with logs that are there.
is_fault() { # PATTERN
    local folder
    [ "$status" = 125 ] || fails "the status is not 125" || return
    lines 1 || return
    grep -qE "^dqemu: $1; logs are in /tmp/dqemu-[^/ ]*\$" err || fails "the line is not: $1" || return
    folder=$(sed -n 's/^dqemu: .*; logs are in //p' err)
    rack_on 1 test -s "$folder/node-2.h3.log" || fails "there is no log of node 2" || return
    rack_on 1 rm -r "$folder"
}

contact='\(host h3: last contact [0-9.]+ s ago\)'
node2='node 2 \(host h3, 10\.83\.0\.3\) was lost'

# A run, something done to it, and the line; COMMAND gets what follows it.
fault() { # NAME PATTERN COMMAND...
    holds "$1" one_fault "${@:2}"
}
one_fault() { # PATTERN COMMAND...
    busy 300 && "${@:2}" || return
    join 15
    is_fault "$1" && nothing_left
}

kill_role() { # SIGNAL ROLE K
    local pids
    mapfile -t pids < <(of_role "$2" "$3")
    [ ${#pids[@]} -gt 0 ] || { echo "there is no $2 on h$3"; return 1; }
    kill "-$1" "${pids[@]}"
}

no_node() { # K
    ! has_role node "$1" && ! has_role agent "$1"
}

# What is cut off finds out by itself; sshd does not, before it can tell.
cut_off() {
    busy 300 || return
    rack_cut 3
    join 15
    is_fault "$node2.* $contact; .*" && await 15 no_node 3 || { all_left; rack_restore 3; return 1; }
    rack_restore 3
    await 60 rack_clean || { all_left; return 1; }
}

powered_off() {
    busy 300 || return
    rack_kill 3
    join 15
    is_fault "$node2.* $contact; .*"
    local right=$?
    nothing_left || right=1
    rack_boot 3
    return $right
}

# Each of the two says of the other that it is lost; who is first is not said here.
pair_cut() {
    busy 300 || return
    rack_cut_pair 2 3
    join 15
    is_fault 'node [12] \(host h[23], 10\.83\.0\.[23]\) was lost by node [12]: .* \(host h[23]: last contact [0-9.]+ s ago\); .*'
    local right=$?
    rack_restore_pair 2 3
    nothing_left && return $right
}

frozen() {
    busy 300 || return
    rack_freeze 3
    join 15
    is_fault "$node2: nothing was heard from it for 3 s $contact; .*"
    local right=$?
    rack_thaw 3
    nothing_left && return $right
}

# Somebody on the way to h3 who lets everything pass, and then alters one byte of it.
altered() { # OPTION...
    local bender right=0
    rack_fabric_ip -batch - <<'END' || bail_out "h3 cannot be connected another way"
link add q3 type veth peer name r3
link set r3 master fabric up
link set q3 up promisc on
link set p3 nomaster
link set p3 promisc on
END
    nsenter -t "$rack_fabric" -n /usr/bin/python3 "$TOP/tests/rack/bend.py" p3 q3 >bend.out &
    bender=$!
    await 10 grep -q up bend.out && busy 300 "$@" && kill -USR1 $bender || right=1
    join 15
    grep -q bent bend.out || { echo "nothing was altered"; right=1; }
    is_fault 'node [0-2] \(host h[1-3], 10\.83\.0\.[1-3]\) was lost by node [0-2]: its data was altered on the way.*' || right=1
    kill -TERM $bender
    wait $bender 2>/dev/null
    rack_fabric_ip link del q3 && rack_fabric_ip link set p3 master fabric || bail_out "h3 cannot be connected"
    nothing_left && return $right
}

# Signals of the launcher itself.
told() { # SIGNAL STATUS
    busy 300 || return
    kill "-$1" "$launcher"
    join 15 || fails "it does not end" || return
    [ "$status" = "$2" ] || fails "the status is not $2" || return
    lines 0 && nothing_left
}

# ---- at a terminal: an interactive shell on h1

open_terminal() {
    rm -f keys
    mkfifo keys
    exec 7<>keys
    # what a shell starts in the background ignores SIGINT, and so would all that it starts
    rack_bg 1 env --default-signal=INT,QUIT script -qfc 'PS1= exec bash --norc --noprofile -i' /dev/null <keys >screen 7>&-
    terminal=$rack_pid terminal_job=$rack_job
}

close_terminal() {
    kill -KILL "$terminal" 2>/dev/null
    wait "$terminal_job" 2>/dev/null
    exec 7>&-
}

shows() { # PATTERN
    tr -d '\r' <screen | grep -qE -- "$1"
}

await_shown() { # SECONDS PATTERN
    await "$1" shows "$2" && return
    echo "the terminal does not show: $2"
    cat screen
    all_left
    return 1
}

at_terminal() { # COMMAND...
    local right=0
    open_terminal
    "$@" || right=1
    close_terminal
    nothing_left && return $right
}

type_run() { # BEFORE SECONDS
    printf '%s %s -- %s %s; echo "status=$?"\n' "$1 $DQEMU_LAUNCH" "${hosts[*]}" "$GUESTS/busy" "$2" >&7
    await_shown 60 '^busy: all run$'
}

one_interrupt() {
    type_run '' 300 && printf '\003' >&7 && await_shown 15 '(^|C)status=130$' &&
        ! shows '^dqemu:'
}

# The program inherits that it ignores SIGINT.
two_interrupts() {
    printf 'trap "" INT\n' >&7
    type_run '' 300 || return
    printf '\003' >&7
    await_shown 10 '\^C' || return
    printf '\003' >&7
    await_shown 15 'status=130$' || return
    shows 'dqemu: interrupted twice within 5 s: .*; logs are in /tmp/dqemu-' ||
        { cat screen; return 1; }
}

gone() {
    type_run '' 300 && kill -KILL "$terminal" && nothing_left
}

state_is() { # ROLE K STATES: all such processes are in one of these states
    local pid pids stat
    pids=$(of_role "$1" "$2")
    [ -n "$pids" ] || return 1
    for pid in $pids; do
        read -r stat <"/proc/$pid/stat" || return 1
        stat=${stat##*) }
        [[ ${stat%% *} == [$3] ]] || return 1
    done
}

# Stopped for longer than a silence may last: the test must let that time pass.
stopped_and_continued() {
    local k
    type_run '' 5 || return
    printf '\032' >&7
    await_shown 15 'Stopped' || return
    for k in 1 2 3; do
        await 10 state_is node $k T || { echo "the node of h$k is not stopped"; return 1; }
    done
    sleep 5
    printf 'fg\n' >&7
    await_shown 60 '^busy: nothing lost$' && ! shows '^dqemu:' || { cat screen; return 1; }
    printf 'echo "after=$?"\n' >&7
    await_shown 10 '^after=0$'
}

# ---- what goes on

goes_on() { # COMMAND...
    busy 5 --contact 8 && "$@" || return
    join 120 || fails "it does not end" || return
    [ "$status" = 0 ] && says "busy: nothing lost" || fails "it does not go on" || return
    lines 0 && nothing_left
}

# Half a second is long enough for connections to notice, and short for those who wait.
cut_for_a_moment() {
    rack_cut 3
    sleep 1
    rack_restore 3
}

slow() {
    rack_limit 3 4mbit
    run "${hosts[@]}" -- "$GUESTS/sort_merge"
    rack_limit 3 none
    "$QEMU_PLAIN" "$GUESTS/sort_merge" >plain || return
    [ "$status" = 0 ] && cmp out plain || fails "a slow network makes it wrong" || return
    lines 0 && nothing_left
}

rack_up 3
fault "a node that is killed" "$node2: killed by signal 9 $contact; .*" kill_role KILL node 3
fault "an agent that is killed" \
    "$node2: its agent or the connection has ended, ssh with status [0-9]+.* $contact; .*" \
    kill_role KILL agent 3
fault "an ssh that is killed" "$node2: ssh was killed by signal 9 $contact; .*" kill_role KILL ssh-h3 1
fault "an sshd that is killed" \
    "$node2: its agent or the connection has ended, ssh with status 255.* $contact; .*" \
    kill_role KILL session 3
holds "a host that is powered off" powered_off
holds "a host that is cut off" cut_off
holds "two hosts that are cut off from each other" pair_cut
holds "a host that freezes" frozen
holds "a byte that is altered on the way" altered
holds "the same with --encrypt" altered --encrypt
holds "a launcher that is killed" told KILL 137
holds "a launcher that is told to end" told TERM 143
holds "a launcher that is hung up on" told HUP 129
holds "a terminal that is closed" at_terminal gone
holds "Ctrl-C at a terminal" at_terminal one_interrupt
holds "Ctrl-C twice, for a program that ignores it" at_terminal two_interrupts
holds "Ctrl-Z, a while, and fg" at_terminal stopped_and_continued
holds "a network that is slow" slow
holds "a cable that is out for a moment" goes_on cut_for_a_moment
done_testing
