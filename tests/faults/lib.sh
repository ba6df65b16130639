# shellcheck shell=bash
# For the tests of failures: a cluster in the background, its processes and ports, and the time
# that it takes to go.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
need_build
as_user "$@"
cd "$SCRATCH" || exit 1
mark=$$-faults

# A run in the background with its own words in ./err and the guest's in ./out.
launch() { # ARGUMENT...: the launcher's pid in $launcher
    rm -f out err
    DQEMU_TEST_RUN=$mark "$DQEMU_LAUNCH" -v "$@" </dev/null >out 2>err &
    launcher=$!
}

listening() { # COUNT: so many nodes have said where they are
    [ "$(grep -c 'is process .* listens on' err)" = "$1" ]
}

pid_of() { # NODE
    sed -n "s/^dqemu: node $1 is process \([0-9]*\) and listens on .*/\1/p" err
}

port_of() { # NODE
    sed -n "s/^dqemu: node $1 is process .* listens on .* port \([0-9]*\)\$/\1/p" err
}

says() { # LINE: the guest has written it
    grep -qxs -- "$1" out
}

ended() { # PID
    ! kill -0 "$1" 2>/dev/null
}

# Waits for the launcher to end by itself within SECONDS; its status in $status.
join() { # SECONDS
    local in_time=0
    await "$1" ended "$launcher" || { in_time=1; kill -KILL "$launcher"; }
    wait "$launcher" 2>/dev/null
    status=$?
    return $in_time
}

report() {
    echo "status $status; stdout:"
    cat out
    echo "stderr:"
    cat err
}

done_testing() {
    echo "1..$point"
    [ "$failed" = 0 ]
}
