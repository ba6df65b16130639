# shellcheck shell=bash
# For the tests of the launcher, which run it with fake nodes (fake-node.c) instead of emulators.
#
#   FAKE_NODE     the node program that misbehaves on request  (build/tests/fake-node)
#   DQEMU_LAUNCH  the launcher under test                      (build/dqemu-launch)
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

: "${FAKE_NODE:=$TOP/build/tests/fake-node}"
[ -x "$DQEMU_LAUNCH" ] || bail_out "$DQEMU_LAUNCH is missing: run make"
[ -x "$FAKE_NODE" ] || bail_out "$FAKE_NODE is missing: run make test-programs"
unset "${!DQEMU_TEST_@}" DQEMU_NODES DQEMU_STATS
export DQEMU_NODE_BINARY=$FAKE_NODE

cd "$SCRATCH" || exit 1

# The head of an ELF file is all that the launcher reads of a program.
make_program() { # FILE MACHINE [CLASS [ORDER [TYPE]]]: octal escapes, as printf takes them
    printf '%b' "\\0177ELF\\0${3:-2}\\0${4:-1}\\01\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0${5:-2}\\0\\0$2\\0" >"$1"
    head -c 44 /dev/zero >>"$1"
    chmod +x "$1"
}
make_program prog 267 # aarch64

if "$DQEMU_LAUNCH" -n 2 ./prog 2>&1 | grep -q 'no permission for userfaultfd'; then
    echo "1..0 # SKIP this user may not have a userfaultfd"
    exit 0
fi

mark=$$-launch
pid=
status=

# Run the launcher: its status in $status, its words in ./out and ./err, input from ./in if there
# is one. Nothing of the run may be left.
launch() { # ARGUMENT...
    local input=/dev/null
    [ -e in ] && input=in
    run_marked $mark 20 "$DQEMU_LAUNCH" "$@" <$input >out 2>err
    status=$?
    check_none_left $mark >left
}

show() {
    echo "status $status; stdout:"
    cat out
    echo "stderr:"
    cat err
    [ ! -s left ] || cat left
}

# One run and what it must give. ERR is a glob for all of stderr, OUT for all of stdout.
expect() { # NAME STATUS OUT ERR ARGUMENT...
    local name=$1 want=$2 want_out=$3 want_err=$4
    shift 4
    launch "$@"
    # shellcheck disable=SC2053
    if [ $status = "$want" ] && [[ $(<out) == $want_out ]] && [[ $(<err) == $want_err ]] &&
        [ ! -s left ]; then
        pass "$name"
    else
        fail "$name" < <(
            echo "wanted status $want, stdout '$want_out', stderr '$want_err'"
            show
        )
    fi
}

check() { # NAME CONDITION...: a point about the run before
    local name=$1
    shift
    if "$@"; then
        pass "$name"
    else
        fail "$name" < <(show)
    fi
}

# For a run in the background. The shell would let it ignore SIGINT and SIGQUIT.
launch_background() { # ARGUMENT...: its pid in $pid
    rm -f out err
    DQEMU_TEST_RUN=$mark env --default-signal=INT,QUIT "$DQEMU_LAUNCH" "$@" \
        </dev/null >out 2>err &
    pid=$!
}

has_line() { # FILE LINE
    grep -qxs -- "$2" "$1"
}

has_lines() { # COUNT FILE
    [ -e "$2" ] && [ "$(wc -l <"$2")" = "$1" ]
}

ended() { # PID
    ! kill -0 "$1" 2>/dev/null
}

# The status of the background run in $status, after it has ended by itself within SECONDS.
join_background() { # SECONDS
    await "$1" ended "$pid" || kill -KILL "$pid"
    wait "$pid"
    status=$?
    check_none_left $mark >left
}

done_testing() {
    echo "1..$point"
    [ "$failed" = 0 ]
}
