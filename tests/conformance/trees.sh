#!/bin/bash
# Build a tree of tests that a user has, for AArch64, below build/conformance/: each program as it is,
# and again so that its main() runs in a thread, which two nodes place on the other one. Prints a
# line of the ledger's table for each.
#
#   trees.sh posix DIR     Open POSIX test suite: conformance/interfaces/*/N-M.c below DIR
#   trees.sh tcg DIR       QEMU's tests/tcg: multiarch/*.c, multiarch/linux/*.c
#
# What does not compile is left out: its names are in build/conformance/KIND/failed.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
kind=$1
tree=$(cd "$2" && pwd)
export here kind tree
export out=$here/../../build/conformance/$kind
export cc=${GUEST_CC:-aarch64-linux-gnu-gcc}

# what belongs to a plugin, a debugger or a terminal, and what does not end by itself
unfit='/(test-plugin|late-attach|catch-syscalls|follow-fork-mode|semi|gdb)[^/]*$'

sources() { # paths below the tree
    cd "$tree"
    case $kind in
    posix) find . -path '*conformance/interfaces/*' -name '[0-9]*-[0-9]*.c' ;;
    tcg) find multiarch multiarch/linux -maxdepth 1 -name '*.c' | grep -vE "$unfit" ;;
    esac | sed 's,^\./,,' | sort -u
}

# interface/N-M, or the program's name
name_of() { # SOURCE
    sed 's,^.*interfaces/,,; s,^multiarch/,,; s,\.c$,,' <<<"$1"
}

compile() { # SOURCE
    local source=$tree/$1 name flags=(-std=gnu11 -D_GNU_SOURCE -O1 -g -w -pthread -static) more=()
    name=$(name_of "$1")
    mkdir -p "$out/$(dirname "$name")"
    case $kind in
    posix)
        flags+=(-I"${source%/conformance/*}/include" -I"$(dirname "$source")")
        # what several tests of the suite share; in some versions main() is there, and calls the test
        for shared in "$(dirname "$source")"/*common*.c "${source%/conformance/*}"/lib/*.c; do
            [ ! -e "$shared" ] || more+=("$shared")
        done
        ;;
    tcg)
        flags+=(-I"$tree/multiarch")
        [[ $name != float_* ]] || more=("$tree/multiarch/libs/float_helpers.c")
        ;;
    esac
    "$cc" "${flags[@]}" -o "$out/$name" "$source" "${more[@]}" -lm -lrt &&
        "$cc" "${flags[@]}" -r -nostdlib -Dmain=dqemu_moved_main -o "$out/$name.o" "$source" "${more[@]}" &&
        "$cc" "${flags[@]}" -o "$out/$name@thread" "$here/thread_main.c" "$out/$name.o" -lm -lrt
} 2>/dev/null

# Its lines, when it compiles.
lines() { # SOURCE
    local name seconds=60
    name=$(name_of "$1")
    [ "$kind" = posix ] || seconds=300
    if [ "$out/$name@thread" -nt "$tree/$1" ] || compile "$1"; then
        echo "$kind/$name tree - 2 $seconds status guest \"\$OUT/$kind/$name\""
        echo "$kind/$name@thread tree - 2 $seconds status guest \"\$OUT/$kind/$name@thread\""
    else
        echo "$kind/$name" >>"$out/failed"
    fi
    rm -f "$out/$name.o"
}

mkdir -p "$out"
rm -f "$out/failed"
export -f lines compile name_of
# shellcheck disable=SC2016 # for the inner shell
sources | xargs -P "$(nproc)" -I{} bash -c 'lines "$1"' lines {} | sort
