#!/bin/bash
# Any part of a run, killed at any moment from its start to the busiest time: the run ends, its status and
# one line say so, and no host keeps a process of it. Several racks at once, each with many runs.
#
#   DQEMU_TEST_KILLS   how many (100)
#   DQEMU_TEST_SEED    replays the roles and moments of an earlier run
#   DQEMU_TEST_RACKS   racks at once (3)
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/rack/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/rack/run.sh
. "$(dirname "$0")/run.sh"
: "${DQEMU_TEST_KILLS:=100}" "${DQEMU_TEST_RACKS:=3}"
RANDOM=${DQEMU_TEST_SEED:=$((RANDOM % 10000))}
export DQEMU_TEST_SEED DQEMU_TEST_KILLS DQEMU_TEST_RACKS

# h1 has two nodes, so that its own agent stays.
hosts=(--hosts "h1:2,h2,h3" --contact 3)
roles=("launcher 1" "ssh-h2 1" "ssh-h3 1" "agent 1" "agent 2" "agent 3" "node0 1" "node 1" "node 2"
    "node 3" "session 2" "session 3")
MOMENTS=3000 # ms after the start of the launcher; an idle machine starts a run in less than one second

# ---- one rack: kills number FIRST, FIRST + DQEMU_TEST_RACKS, ... up to DQEMU_TEST_KILLS

victims() { # ROLE K
    case $1 in
    launcher) echo "$launcher" ;;
    node0) of_launcher yes ;;
    node) [ "$2" = 1 ] && of_launcher no || of_role node "$2" ;;
    *) of_role "$1" "$2" ;;
    esac
}

# Node 0 is the launcher's own child; the agent of h1 has the other one.
of_launcher() { # yes|no: the nodes of h1 that are its children, or those that are not
    local pid is
    for pid in $(of_role node 1); do
        is=no
        [ "$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)" != "$launcher" ] || is=yes
        [ "$is" != "$1" ] || echo "$pid"
    done
}

# True when it has hit somebody, or there is no run any more.
strike() { # ROLE K
    local pids
    mapfile -t pids < <(victims "$1" "$2")
    { [ ${#pids[@]} -gt 0 ] && kill -KILL "${pids[@]}" 2>/dev/null; } || ended "$launcher_job"
}

# The line of a fault, or the table and one line for each host that was lost before the run, or none for
# what is the program's own end.
is_told() { # ROLE
    case $1:$status in
    launcher:137 | node0:137) lines 0 ;;
    launcher:* | node0:124 | *:0) fails "the status is wrong" ;;
    *:125) [ "$(grep -c '^dqemu: \(node\|host\) .*' err)" = 1 ] && lines 1 || fails "not one line" ;;
    *) fails "the status is wrong" ;;
    esac
}

one_kill() { # ROLE K MS
    start "${hosts[@]}" -- "$GUESTS/busy" 300
    # The moment itself is the point of the test; there is nothing to observe.
    sleep "$(awk -v ms="$3" 'BEGIN { print ms / 1000 }')"
    await 30 strike "$1" "$2" || fails "there is no $1 on h$2"
    join 20 || { fails "it does not end"; all_left; return 1; }
    # what was killed with the launcher ends by itself: on hosts when they notice
    await 20 rack_clean || { fails "not all has ended"; all_left; return 1; }
    is_told "$1" && rack_on 1 bash -c 'rm -rf /tmp/dqemu-*'
}

one_rack() { # FIRST
    local i role ms
    cd "$SCRATCH" || exit 1
    rack_up 3
    for ((i = 1; i <= DQEMU_TEST_KILLS; i++)); do
        role=${roles[RANDOM % ${#roles[@]}]}
        ms=$((RANDOM % MOMENTS))
        [ $((i % DQEMU_TEST_RACKS)) = $(($1 % DQEMU_TEST_RACKS)) ] || continue
        # shellcheck disable=SC2086
        holds "kill $i: ${role/ / on h} after $ms ms" one_kill $role "$ms"
    done
}

if [ -n "${DQEMU_TEST_RACK:-}" ]; then
    one_rack "$DQEMU_TEST_RACK"
    exit
fi

# ---- all of them

time_limit 600
need_build
rack_need
echo "# DQEMU_TEST_SEED=$DQEMU_TEST_SEED"
racks=()
for ((r = 1; r <= DQEMU_TEST_RACKS; r++)); do
    DQEMU_TEST_RACK=$r TMPDIR=$SCRATCH setpriv --pdeathsig TERM "$0" >"$SCRATCH/rack.$r" 2>&1 &
    racks+=($!)
done
wait "${racks[@]}"
for ((r = 1; r <= DQEMU_TEST_RACKS; r++)); do
    while IFS= read -r line; do
        case $line in
        "ok "*) pass "${line#*- }" ;;
        "not ok "*)
            failed=$((failed + 1))
            echo "not ok $((++point)) - ${line#*- }"
            ;;
        *) echo "$line" ;;
        esac
    done <"$SCRATCH/rack.$r"
done
all_done() {
    [ "$point" = "$DQEMU_TEST_KILLS" ] || { echo "$point kills, not $DQEMU_TEST_KILLS"; return 1; }
}
holds "all kills were done" all_done
done_testing
