# shellcheck shell=bash
# For the end-to-end tests: where things are, running a program within a time limit, and knowing
# every process of a run. Sourced by bash scripts under tests/.
#
#   DQEMU_TEST_ISA     the guests' instruction set                  (aarch64)
#   QEMU_PLAIN         the undistributed emulator to compare with   (build/qemu-ISA)
#   ORACLE             the command to run it as                     (array)
#   DQEMU_LAUNCH       the launcher under test                      (build/dqemu-launch)
#   GUESTS             folder of the built guests                   (build/guests, build/guests/ISA)
#   DQEMU_TIME_SCALE   stretches every time limit, for slow machines (1)
#   DQEMU_TEST_NODES   the numbers of nodes to try                  ("1 2 3 4")
#   DQEMU_TEST_GUESTS  run only these guests                        (all)
#   DQEMU_TEST_JOBS    runs at a time                               (2)
#   DQEMU_TEST_SPLIT   pages are split: on (as it comes), off, force (on)
#   DQEMU_TEST_AS      when root runs the tests, they run as an ordinary user: full, threads (see
#                      tests/user.sh); self: as root               (full)
#
# SPDX-License-Identifier: GPL-2.0-or-later

export LC_ALL=C
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${DQEMU_TEST_ISA:=aarch64}"
: "${QEMU_PLAIN:=$TOP/build/qemu-$DQEMU_TEST_ISA}"
: "${DQEMU_LAUNCH:=$TOP/build/dqemu-launch}"
if [ "$DQEMU_TEST_ISA" = aarch64 ]; then
    : "${GUESTS:=$TOP/build/guests}"
else
    : "${GUESTS:=$TOP/build/guests/$DQEMU_TEST_ISA}"
fi
: "${DQEMU_TIME_SCALE:=1}"
: "${DQEMU_TEST_NODES:=1 2 3 4}"
: "${DQEMU_TEST_JOBS:=2}"
: "${DQEMU_TEST_SPLIT:=on}"
: "${DQEMU_TEST_AS:=full}"
export QEMU_PLAIN DQEMU_LAUNCH GUESTS DQEMU_TIME_SCALE DQEMU_TEST_NODES DQEMU_TEST_JOBS
export DQEMU_TEST_SPLIT DQEMU_TEST_ISA

# glibc loads its unwinder from a file when a first thread ends. A guest that closes every descriptor
# closes that one too, and plain QEMU dies of SIGBUS. So the unwinder is there from the start.
# shellcheck disable=SC2034 # for those who source this
ORACLE=(env LD_PRELOAD=libgcc_s.so.1 "$QEMU_PLAIN" -U LD_PRELOAD)

# A core file per guest that is meant to abort would fill the folder. (A test may want one.)
ulimit -S -c 0

# `producer | fail NAME` must count in this shell.
shopt -s lastpipe

# The test as an ordinary user, from its beginning. It goes on here if it is one already.
as_user() { # ARGUMENT-OF-THE-TEST...
    if [ "$DQEMU_TEST_AS" != self ] && [ "$(id -u)" = 0 ]; then
        rm -rf "$SCRATCH"
        exec "$TOP/tests/user.sh" "$DQEMU_TEST_AS" "$0" "$@"
    fi
}

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/dqemu-test.XXXXXX")
trap 'rm -rf "$SCRATCH"' EXIT

bail_out() { # REASON: nothing can be tested
    echo "Bail out! $*"
    exit 1
}

# shellcheck disable=SC2034 # for those who source this
case $DQEMU_TEST_SPLIT in
on) SPLIT_OPTIONS=() ;;
off) SPLIT_OPTIONS=(-o split.pages=0) ;;
force) SPLIT_OPTIONS=(-o split.force=1) ;;
*) bail_out "DQEMU_TEST_SPLIT is on, off or force, not $DQEMU_TEST_SPLIT" ;;
esac

need_build() {
    [ -x "$DQEMU_LAUNCH" ] || bail_out "$DQEMU_LAUNCH is missing: run make"
    [ -x "$QEMU_PLAIN" ] || bail_out "$QEMU_PLAIN is missing: run make ISAS=$DQEMU_TEST_ISA"
}

scaled() { # SECONDS: the limit after DQEMU_TIME_SCALE
    awk -v s="$1" -v k="$DQEMU_TIME_SCALE" 'BEGIN { print s * k }'
}

# Run COMMAND within SECONDS, marked so that left_of can find whatever it started.
run_marked() { # MARK SECONDS COMMAND...
    local mark=$1 limit
    limit=$(scaled "$2")
    shift 2
    DQEMU_TEST_RUN=$mark timeout -k 5 "$limit" "$@"
}

# Processes of a run still alive: their pids. Children inherit the mark whatever session or group
# they move to; a zombie has no environment left and does not count.
left_of() { # MARK
    grep -lzxs -- "DQEMU_TEST_RUN=$1" /proc/[0-9]*/environ | sed 's,^/proc/\([0-9]*\)/.*,\1,'
}

# True once CONDITION (a command) holds; false when it does not within SECONDS.
await() { # SECONDS CONDITION...
    local end
    end=$(awk -v n="$(date +%s%N)" -v s="$(scaled "$1")" 'BEGIN { printf "%.0f", n + s * 1e9 }')
    shift
    until "$@"; do
        [ "$(date +%s%N)" -lt "$end" ] || return 1
        read -rt 0.05 <> <(:) || true
    done
}

none_left() { # MARK
    [ -z "$(left_of "$1")" ]
}

# All processes of a run must be gone within two seconds of its end; those that are not are named
# and ended.
check_none_left() { # MARK
    local pids pid
    await 2 none_left "$1" && return 0
    pids=$(left_of "$1")
    echo "still running after the end:"
    for pid in $pids; do
        ps -o pid=,stat=,wchan=,args= -p "$pid" || true
        kill -KILL "$pid" 2>/dev/null || true
    done
    return 1
}

plural() { # COUNT WORD
    [ "$1" = 1 ] && echo "$1 $2" || echo "$1 $2s"
}

# TAP points with running numbers. A diagnosis on stdin belongs to a point that failed.
point=0 failed=0
pass() { # NAME
    echo "ok $((++point)) - $*"
}
fail() { # NAME < diagnosis
    echo "not ok $((++point)) - $*"
    failed=$((failed + 1))
    sed 's/^/# /'
}
skip() { # NAME REASON
    echo "ok $((++point)) - $1 # SKIP $2"
}
