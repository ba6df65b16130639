#!/bin/bash
# Build a tree of tests that a user has, for AArch64, below build/conformance/: each program as it is,
# and again so that its main() runs in a thread, which two nodes place on the other one. Prints a
# line of the ledger's table for each.
#
#   trees.sh posix DIR [PATTERN]     Open POSIX test suite
#   trees.sh tcg DIR [PATTERN]       tests/tcg of QEMU
#   trees.sh ltp DIR [PATTERN]       Linux Test Project: the tests of system calls
#   trees.sh splash DIR [PATTERN]    SPLASH-3
#
# trees/KIND.sh says what is taken of a tree. Built are the programs whose names match PATTERN (a
# regular expression). What does not compile is left out: its names are in build/conformance/KIND/failed.
#
# trees/KIND.sh defines
#   seconds              the time limit of a run
#   sources              prints paths below the tree
#   name_of SOURCE       the program's name
#   object SOURCE FILE   compiles it to the object FILE
# and, where it differs from what is below: prepare, link, line.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
kind=$1
tree=$(cd "$2" && pwd)
pattern=${3:-.}
out=$here/../../build/conformance/$kind
mkdir -p "$out"
out=$(cd "$out" && pwd)
cc=${GUEST_CC:-aarch64-linux-gnu-gcc}
flags=(-std=gnu11 -D_GNU_SOURCE -O1 -g -w -pthread -static)

prepare() { :; }

compile() { # OBJECT FILE-OR-FLAG...: one object of all, whose main() has another name
    "$cc" "${flags[@]}" -r -nostdlib -Dmain=dqemu_moved_main -o "$@"
}

link() { # OBJECT PROGRAM
    "$cc" "${flags[@]}" -Wl,--defsym,main=dqemu_moved_main -o "$2" "$1" -lm -lrt &&
        "$cc" "${flags[@]}" -o "$2@thread" "$here/thread_main.c" "$1" -lm -lrt
}

line() { # NAME
    echo "$kind/$1 tree - 2 $seconds status guest \"\$OUT/$kind/$1\""
}

matches() { # NAME: it, or what it is called in a thread
    [[ $kind/$1 =~ $pattern || $kind/$1@thread =~ $pattern ]]
}

# Its lines, when it compiles.
lines() { # SOURCE
    local name object
    name=$(name_of "$1")
    matches "$name" || return 0
    object=$out/$name.o
    mkdir -p "$(dirname "$object")"
    if [ "$out/$name@thread" -nt "$tree/$1" ] ||
        { object "$1" "$object" && link "$object" "$out/$name"; } 2>/dev/null; then
        line "$name"
        line "$name@thread"
    else
        echo "$kind/$name" >>"$out/failed"
    fi
    rm -f "$object"
}

# All of them, as many at a time as there are processors.
all_lines() {
    export here kind tree pattern out cc seconds flags_given="${flags[*]}"
    mapfile -t functions < <(compgen -A function)
    export -f "${functions[@]}"
    # shellcheck disable=SC2016 # for the inner shell
    (cd "$tree" && sources) | sed 's,^\./,,' | sort -u |
        xargs -P "$(nproc)" -I{} bash -c 'read -ra flags <<<"$flags_given"; lines "$1"' lines {} | sort
}

rm -f "$out/failed"
# shellcheck source=/dev/null
. "$here/trees/$kind.sh"
prepare >&2
all_lines
