# shellcheck shell=bash
# Open POSIX test suite, below the folder: conformance/interfaces/*/N-M.c (trees.sh).
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # trees.sh uses and sets variables
seconds=60

sources() { find . -path '*conformance/interfaces/*' -name '[0-9]*-[0-9]*.c'; }

name_of() { sed 's,^.*interfaces/,,; s,\.c$,,' <<<"$1"; } # interface/N-M

object() { # SOURCE OBJECT
    local source=$tree/$1 more=()
    # what several tests of the suite share; in some versions main() is there, and calls the test
    for shared in "$(dirname "$source")"/*common*.c "${source%/conformance/*}"/lib/*.c; do
        [ ! -e "$shared" ] || more+=("$shared")
    done
    compile "$2" "$source" "${more[@]}" -I"${source%/conformance/*}/include" -I"$(dirname "$source")"
}
