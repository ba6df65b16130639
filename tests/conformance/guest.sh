# shellcheck shell=bash
# For the commands of the ledger: how they run a program, on whichever side they are (run.sh sets
# SIDE, NODES, STATS, SYSROOT). The working folder is empty, and the command's own.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/e2e/lib.sh
. "$HERE/../e2e/lib.sh"

# The program of the sysroot, or the path, in place of this shell.
become() { # PROGRAM ARGUMENT...
    local program=$1
    shift
    [[ $program == /* ]] || program=$SYSROOT/usr/bin/$program
    if [ "$SIDE" = plain ]; then
        exec "${ORACLE[@]}" -L "$SYSROOT" "$program" "$@"
    fi
    exec "$DQEMU_LAUNCH" -n "$NODES" --stats="$(mktemp "$STATS/XXXXXX")" -L "$SYSROOT" "$program" "$@"
}

guest() { (become "$@"); }

# A server, and its end, which must be a good one.
start() { # PROGRAM ARGUMENT...
    become "$@" </dev/null >server.log 2>&1 &
    server=$!
}
stop() {
    kill -TERM "$server"
    wait "$server"
}

listens() { # SOCKET: somebody accepts there
    [ -S "$1" ]
}

# A test suite of Python's library, a line a test
pytest() { # MODULE...
    PYTHONDONTWRITEBYTECODE=1 guest python3.11 "$HERE/suite.py" "$@"
}

load() { # NAME
    # shellcheck source=/dev/null
    . "$HERE/load/$1.sh"
}

# stress-ng, as far as it has no network and no time limit of its own
stress() { # OPTION...
    guest stress-ng --verify --temp-path "$PWD" "$@"
}

# One of its stressors, by two children, with as little memory and disk as each of them can do with
stressor() { # NAME [CHILDREN]
    stress "--$1" "${2:-2}" "--$1-ops" 50 --timeout 10 --chdir-dirs 64 --copy-file-bytes 128M --fallocate-bytes 1M \
        --fiemap-bytes 1M --malloc-bytes 1M --memfd-bytes 2M --memrate-bytes 1M --mmap-bytes 4M \
        --mremap-bytes 4M --msync-bytes 1M --pagemove-bytes 1M --pthread-max 16 --readahead-bytes 1M \
        --shm-bytes 1M --shm-sysv-bytes 1M --sock-domain unix --sync-file-bytes 1M --vm-bytes 4M \
        --vm-rw-bytes 1M
}

# A test of LTP: a line for each thing it looked at that was as it should be, and one for its end. A line
# of the test may look at several, or at one several times: they are numbered.
ltp() { # PROGRAM ARGUMENT...
    local name=$1 status
    shift
    LTPROOT=$OUT/ltp PATH=$OUT/ltp/testcases/bin:$PATH LTP_COLORIZE_OUTPUT=n guest "$OUT/ltp/$name" "$@" >said 2>&1
    status=$?
    tr -d '\0' <said | awk -v name="${name%@thread}" -v status=$status '
        function tell(verdict, place) { print verdict, place, ++seen[place] }
        match($0, /[^\/ ]+:[0-9]+: T(PASS|FAIL|BROK)/) {
            split(substr($0, RSTART, RLENGTH), part, ": ")
            tell(part[2] == "TPASS" ? "pass" : "fail", part[1])
            next
        }
        $3 ~ /^T(PASS|FAIL|BROK)$/ && $2 ~ /^[0-9]+$/ { tell($3 == "TPASS" ? "pass" : "fail", $1 ":" $2) }
        END { print status % 4 ? "fail" : "pass", name, "ends" }'
    cat said >&2
    exit $status
}

# A program of SPLASH, in a folder with a copy of its inputs; without times, without what threads print
# as they come, and in an order that they do not change.
inputs() { # FOLDER
    local name
    for name in inputs small random.in; do
        [ ! -e "$OUT/splash/codes/$1/$name" ] || cp -r "$OUT/splash/codes/$1/$name" .
    done
}
splash() { # PROGRAM ARGUMENT...
    guest "$OUT/splash/codes/$1" "${@:2}" >said || return
    sed '/PROCESS STATISTICS/,/TIMING INFORMATION/d; /time\|compute\|fraction\|iter_num\|^Step /Id' said | sort
    rm -f said times
}
