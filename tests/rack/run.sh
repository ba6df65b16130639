# shellcheck shell=bash
# Runs of dqemu on a rack, started on h1. Sourced by tests after lib.sh.
#
#   run ARGUMENT...           dqemu-launch on h1: its status in $status, its words in ./out and ./err;
#                             stdin is ./in if there is one; within $limit seconds (60)
#   start ARGUMENT...         the same in the background: $launcher is its pid
#   join SECONDS              waits until it ends by itself: $status; false if it had to be ended
#   says LINE                 the program has written this line (to ./out)
#
#   expect NAME STATUS OUT ERR ARGUMENT...    a run and what it gives; OUT and ERR are globs for all
#                             of stdout and stderr; nothing may be left on any host
#   refused NAME LINE ARGUMENT...             it is refused with a table and one line
#
#   of_role ROLE K            machine's pids of the processes on host K that are: node, agent,
#                             session (sshd's), ssh-H (on h1, that leads to host H)
#   nothing_left              no process of a run on any host, or what there is
#   story                     what the last run said
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck disable=SC2154 # what lib.sh sets
limit=60
status=
launcher=

run() { # ARGUMENT...
    local input=/dev/null
    [ ! -e in ] || input=in
    rm -f out err
    rack_try "$limit" 1 "$DQEMU_LAUNCH" "$@" <$input >out 2>err
    status=$?
}

# A shell lets what it starts in the background ignore SIGINT and SIGQUIT.
start() { # ARGUMENT...
    rm -f out err
    rack_bg 1 env --default-signal=INT,QUIT "$DQEMU_LAUNCH" "$@" </dev/null >out 2>err
    launcher=$rack_pid launcher_job=$rack_job
    await 10 is_launcher || bail_out "the launcher does not start"
}

is_launcher() {
    ! grep -qs default-signal "/proc/$launcher/cmdline"
}

ended() { # PID
    ! kill -0 "$1" 2>/dev/null
}

join() { # SECONDS
    local in_time=0
    await "$1" ended "$launcher_job" || {
        in_time=1
        echo "the launcher does not end" >>err
        kill -KILL "$launcher"
    }
    wait "$launcher_job" 2>/dev/null
    status=$?
    return $in_time
}

says() { # LINE
    grep -qxs -- "$1" out
}

story() {
    local file
    echo "status $status"
    for file in out err; do
        echo "$file:"
        cat $file
    done
}

fails() { # WHY: says it, and what the run said
    echo "$@"
    story
    return 1
}

lines() { # NUMBER: so many lines of dqemu's own are on stderr
    [ "$(grep -c '^dqemu: ' err)" = "$1" ] || fails "not $(plural "$1" line) of dqemu's"
}

gives() { # STATUS OUT ERR
    [ "$status" = "$1" ] || fails "the status is not $1" || return
    # shellcheck disable=SC2053 # they are globs
    [[ $(<out) == $2 ]] || fails "stdout is not: $2" || return
    # shellcheck disable=SC2053
    [[ $(<err) == $3 ]] || fails "stderr is not: $3" || return
    nothing_left || { story; return 1; }
}

expect() { # NAME STATUS OUT ERR ARGUMENT...
    local name=$1 want=("${@:2:3}")
    shift 4
    run "$@"
    holds "$name" gives "${want[@]}"
}

is_refusal() { # LINE
    gives 125 '' "host *dqemu: $1" && lines 1
}

refused() { # NAME LINE ARGUMENT...
    local name=$1 line=$2
    shift 2
    run "$@"
    holds "$name" is_refusal "$line"
}

of_role() { # ROLE K
    local pid command
    for pid in $(rack_pids "$2"); do
        command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || continue
        case $1:$command in
        session:*"[listener]"*) ;;
        node:*" --dqemu-control="* | agent:*"dqemu-launch --agent "* | agent:"/proc/self/exe --agent "* | \
            session:"sshd: "* | ssh-*:"ssh "*" -- ${1#ssh-} exec "*) echo "$pid" ;;
        esac
    done
}

has_role() { # ROLE K
    [ -n "$(of_role "$@")" ]
}

all_left() {
    local k
    for k in "${!rack_init[@]}"; do
        [ -z "${rack_init[k]}" ] || rack_leftovers "$k" | sed "s/^/left on h$k: /"
    done
}

nothing_left() {
    await 10 rack_clean && return
    all_left
    return 1
}
