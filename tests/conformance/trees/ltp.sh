# shellcheck shell=bash
# The Linux Test Project: what runtest/syscalls names, of testcases/kernel/syscalls. Its library is
# configured and made beside the tree; each test is compiled by itself (trees.sh).
#
# The library runs a test in a child. In NAME@thread it runs it in the thread that called it
# (ltp_thread.c), which is one of node 1's.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # trees.sh uses and sets variables
seconds=120
made=$out/made       # the library
bin=testcases/bin    # where tests look for the programs that they start, below LTPROOT
commands=$out/commands # of each test: its name, arguments
export made bin commands
flags+=(-s -fno-strict-aliasing -I"$tree/include" -I"$made/include" -I"$tree/include/old")

prepare() {
    awk '!/^#/ && NF > 1 && !seen[$2]++ { $1 = ""; print substr($0, 2) }' "$tree/runtest/syscalls" >"$commands"
    [ ! -e "$made/libtests.a" ] || return 0
    [ -e "$tree/configure" ] || make -s -C "$tree" autotools
    mkdir -p "$made/lib" "$out/$bin"
    (cd "$made" && "$tree/configure" --host="$(basename "${cc%-gcc}")" CC="$cc" AR="${cc%-gcc}-ar" \
        LDFLAGS=-static CFLAGS='-O1 -g -w' PKG_CONFIG=false --without-numa --without-tirpc) >/dev/null
    make -s -C "$made/lib" -f "$tree/lib/Makefile" top_srcdir="$tree" top_builddir="$made" libltp.a
    "$cc" "${flags[@]}" -I"$tree/lib" -I"$made/lib" -c -o "$made/ltp_thread.o" "$here/trees/ltp_thread.c"
    (cd "$made" && "$cc" "${flags[@]}" -c "$tree"/libs/{ipc,newipc,sigwait,swap,vdso}/*.c)
    helpers
    "${cc%-gcc}-ar" rcs "$made/libtests.a" "$made"/tse_*.o "$made"/vdso_helpers.o
}

# Programs that tests start. What does not compile is missed by its test.
helpers() {
    local source
    for source in "$tree"/testcases/kernel/syscalls/*/*_{child,helper,errno,execve}.c; do
        "$cc" "${flags[@]}" -o "$out/$bin/$(basename "$source" .c)" "$source" "$made/lib/libltp.a" -lrt \
            2>/dev/null || true
    done
}

sources() {
    find testcases/kernel/syscalls -name '*.c' |
        awk -v list="$commands" -F/ '
            BEGIN { while ((getline line < list) > 0) { sub(/ .*/, "", line); listed[line ".c"] } }
            $NF in listed'
}

name_of() { basename "$1" .c; }

object() { # SOURCE OBJECT
    compile "$2" "$tree/$1"
}

link() { # OBJECT PROGRAM
    local libraries=("$made/libtests.a" "$made/lib/libltp.a" -lm -lrt)
    "$cc" "${flags[@]}" -Wl,--defsym,main=dqemu_moved_main -o "$2" "$1" "${libraries[@]}" &&
        "$cc" "${flags[@]}" -o "$2@thread" "$here/thread_main.c" "$1" "$made/ltp_thread.o" "${libraries[@]}"
}

line() { # NAME
    local arguments
    arguments=$(awk -v name="${1%@thread}" '$1 == name { $1 = ""; print }' "$commands")
    echo "ltp/$1 tree - 2 $seconds tests ltp $1$arguments"
}
