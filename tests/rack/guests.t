#!/bin/bash
# Every guest over four hosts, from h1, does what it does under plain QEMU there: the whole suite on
# hosts whose clocks are days apart, and what threads and memory need once more with encryption.
#
#   DQEMU_TEST_GROUPS       folders of guests to run (all)
#   DQEMU_TEST_ENCRYPTED    those to run again with --encrypt (sync memory)
#
# The suite's own runner works on h1, where the launcher's environment says which hosts to use.
# That it did is told by the other hosts' sshd; that threads ran there, by the runner.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/rack/lib.sh
. "$(dirname "$0")/lib.sh"
time_limit 900
need_build
cd "$SCRATCH" || exit 1

all="clock code compute io litmus memory processes signals split sync threads"
read -ra groups <<<"${DQEMU_TEST_GROUPS:-$all}"
read -ra encrypted <<<"${DQEMU_TEST_ENCRYPTED:-sync memory}"

on_hosts=(env DQEMU_HOSTS="h1,h2,h3,h4" DQEMU_TEST_NODES=4 DQEMU_TEST_JOBS="$DQEMU_TEST_JOBS"
    DQEMU_TIME_SCALE="$DQEMU_TIME_SCALE" DQEMU_TEST_GUESTS="${DQEMU_TEST_GUESTS:-}")

sessions() { # K: so many commands came over ssh
    grep -c 'Starting session: command' "/proc/${rack_init[$1]}/root/var/log/sshd.log"
}

# The points of the runner are points of this test.
run_groups() { # NAME WORD... -- GROUP...
    local name=$1 k before=() points=0 line
    shift
    local words=()
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    shift
    for k in 2 3 4; do
        before[k]=$(sessions "$k")
    done
    rack_on 1 "${on_hosts[@]}" DQEMU_TEST_AS=self "${words[@]}" "$TOP/tests/e2e/run_group.sh" "$@" </dev/null |
        while IFS= read -r line; do
            case $line in
            "ok "*)
                points=$((points + 1))
                pass "$name: ${line#*- }"
                ;;
            "not ok "*)
                points=$((points + 1))
                failed=$((failed + 1))
                echo "not ok $((++point)) - $name: ${line#*- }"
                ;;
            1..*) ;;
            *) echo "$line" ;;
            esac
        done
    for k in 2 3 4; do
        before[k]=$(($(sessions "$k") - before[k]))
    done
    holds "$name: each run had a node on each of the other hosts" \
        is_each "$points" "${before[@]}"
    holds "$name: nothing is left on any host" nothing_left
}

is_each() { # WANTED NUMBER...
    local number
    [ "$1" -gt 0 ] || { echo "nothing was run"; return 1; }
    for number in "${@:2}"; do
        [ "$number" = "$1" ] || { echo "runs: $1; ssh sessions on the other hosts: ${*:2}"; return 1; }
    done
}

nothing_left() {
    local k
    await 10 rack_clean && return
    for k in 1 2 3 4; do
        rack_leftovers "$k" | sed "s/^/h$k: /"
    done
    return 1
}

# The runner must not take a run for right whose threads all stay on node 0.
stay_at_home() {
    ! rack_on 1 "${on_hosts[@]}" DQEMU_PLACEMENT=master-only DQEMU_TEST_GUESTS= \
        "$TOP/tests/e2e/run_guest.sh" "$TOP/tests/guests/sync/mutex.c" 4 </dev/null >said.home || return
    grep -q '^threads did not run where they should' said.home || { cat said.home; return 1; }
}

rack_up 4 time
holds "threads that stay on node 0 are noticed" stay_at_home
run_groups ssh -- "${groups[@]}"
run_groups encrypted DQEMU_ENCRYPT=1 -- "${encrypted[@]}"
done_testing
