# shellcheck shell=bash
# For the tests with real programs: unmodified AArch64 programs of Debian, dynamically linked, on
# three nodes, must do exactly what they do under plain QEMU.
#
#   SYSROOT   where their packages are unpacked (build/sysroot, made when it lacks something)
#   CI        set: without packages the tests fail; otherwise they are skipped
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
: "${SYSROOT:=$TOP/build/sysroot}"
NODES=3
need_build

# The programs that a test needs, or no test.
need_programs() { # PATH-IN-SYSROOT...
    local program missing=
    for program in "$@"; do
        [ -e "$SYSROOT/$program" ] || missing=$program
    done
    if [ -z "$missing" ]; then
        as_user
        return
    fi
    # Two tests that prove runs at once must not unpack at once.
    if ! flock "$TOP/build" "$TOP/tests/sysroot.sh" "$SYSROOT" >"$SCRATCH/sysroot.log" 2>&1; then
        sed 's/^/# /' "$SCRATCH/sysroot.log"
        [ -z "${CI:-}" ] || bail_out "no sysroot of Debian packages"
        echo "1..0 # SKIP no sysroot of Debian packages: $(tail -n 1 "$SCRATCH/sysroot.log")"
        exit 0
    fi
    for program in "$@"; do
        [ -e "$SYSROOT/$program" ] || bail_out "$program is not in $SYSROOT"
    done
    as_user
}

enter_scratch() {
    cd "$SCRATCH" || exit 1
    mkdir -p plain dqemu
}

# About SIZE lines, half of them regular and half not, the same in every run.
make_text() { # LINES
    seq 1 $(($1 / 2))
    awk -v n=$(($1 / 2)) 'BEGIN {
        x = 12345
        for (i = 0; i < n; i++) {
            x = (x * 16807) % 2147483647
            print x, x % 7 ? "a line that comes again and again" : "another"
        }
    }'
}

threads_elsewhere() { # STATS
    jq '[.nodes[] | select(.node > 0) | .threads] | add // 0' "$1" 2>/dev/null || echo 0
}

# Run PROGRAM under plain QEMU in ./plain and on the nodes in ./dqemu, each time with its stdin from
# ./input if that exists. Both must succeed with the same stdout and leave the same files, and at
# least REMOTE threads must have run on other nodes than 0.
same() { # NAME REMOTE SECONDS PROGRAM ARGUMENT...
    local name=$1 remote=$2 limit=$3 program=$4 input=/dev/null mark=$$-real plain_status status bad=0
    shift 4
    case $program in /*) ;; *) program=$SYSROOT/$program ;; esac
    [ ! -e input ] || input=$PWD/input
    rm -rf plain dqemu
    mkdir plain dqemu
    (cd plain && run_marked $mark-plain "$limit" "${ORACLE[@]}" -L "$SYSROOT" "$program" "$@" \
        <"$input" >stdout 2>../plain.err)
    plain_status=$?
    (cd dqemu && run_marked $mark "$limit" "$DQEMU_LAUNCH" -n "$NODES" --stats=../stats \
        -L "$SYSROOT" "$program" "$@" <"$input" >stdout 2>../dqemu.err)
    status=$?
    {
        if [ $plain_status != 0 ]; then
            echo "plain QEMU: exit status $plain_status"
            head -n 20 plain.err
            bad=1
        fi
        if [ $status = 124 ]; then
            echo "not done after $(scaled "$limit") s"
            bad=1
        elif [ $status != 0 ]; then
            echo "exit status $status"
            bad=1
        fi
        check_none_left $mark || bad=1
        diff -qr plain dqemu || bad=1
        if [ "$(threads_elsewhere stats)" -lt "$remote" ]; then
            echo "only $(threads_elsewhere stats) threads on other nodes than 0, not $remote"
            bad=1
        fi
        if [ $bad != 0 ]; then
            head -n 20 dqemu.err
            jq -c '.nodes[]' stats 2>/dev/null
        fi
    } >diagnosis 2>&1
    if [ $bad = 0 ]; then
        pass "$name"
    else
        fail "$name" <diagnosis
    fi
}

# A point about the files that the last run left on the nodes.
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >diagnosis 2>&1; then
        pass "$name"
    else
        fail "$name" <diagnosis
    fi
}

done_testing() {
    echo "1..$point"
    [ "$failed" = 0 ]
}
