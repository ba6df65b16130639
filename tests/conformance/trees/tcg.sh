# shellcheck shell=bash
# QEMU's own tests of its user mode, in its tests/tcg: multiarch, multiarch/linux, and those of the
# instruction set (trees.sh).
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # trees.sh uses and sets variables
seconds=300

# what belongs to a plugin, a debugger or a terminal, what does not end by itself, and what has no libc
unfit='/(test-plugin|late-attach|catch-syscalls|follow-fork-mode|semi|gdb|bti-[13]\.)[^/]*$'

sources() { find multiarch multiarch/linux aarch64 -maxdepth 1 -name '*.c' | grep -vE "$unfit"; }

name_of() { sed 's,^multiarch/,,; s,\.c$,,' <<<"$1"; }

object() { # SOURCE OBJECT
    local more=(-march=armv8.5-a+memtag+sve2+aes)
    case $1 in
    *float_*) more+=("$tree/multiarch/libs/float_helpers.c") ;;
    */sme-*) more=('-Wa,-march=armv9-a+sme') ;; # the compiler has no word for it
    esac
    compile "$2" "$tree/$1" -I"$tree/multiarch" "${more[@]}"
}
