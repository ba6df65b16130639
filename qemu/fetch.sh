#!/bin/bash
# Fetch QEMU's source, and a Meson that can build it, through apt.
#
#   fetch.sh DIR CACHE     leaves DIR/plain (the source) and DIR/meson (run in place, never
#                          installed); downloads stay in CACHE
#
#   QEMU_SRC=TREE          copy that source tree instead of fetching one
#
# The source is Debian 13's package, with Debian's patches; Meson is Debian 12's backport.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=qemu/apt.sh
. "$here/apt.sh"

fail() { echo "qemu/fetch.sh: $*" >&2; exit 1; }

[ $# = 2 ] || fail "usage: fetch.sh DIR CACHE"
dir=$(mkdir -p "$1" && cd "$1" && pwd)
cache=$(mkdir -p "$2/qemu" && cd "$2/qemu" && pwd)

# the newest of the files that match, if any
newest() { compgen -G "$1" | sort -V | tail -n 1; }

# download SUITE ARG...: apt-get there, into the cache
download() {
    local suite=$1
    shift
    echo "fetching from $suite: $*" >&2
    apt_open "$cache/$suite" "$(dpkg --print-architecture)" "$suite"
    (cd "$cache" && apt_run "$cache/$suite" update && apt_run "$cache/$suite" "$@") ||
        fail "cannot fetch from $suite; is Debian's archive reachable?"
}

fetch_source() {
    local dsc
    dsc=$(newest "$cache/qemu_10.0.*.dsc") || true
    if [ -z "$dsc" ]; then
        download trixie source --download-only qemu
        dsc=$(newest "$cache/qemu_10.0.*.dsc") || true
    fi
    [ -n "$dsc" ] || fail "the archive has $(basename "$(newest "$cache/qemu_*.dsc")" .dsc), \
which is not QEMU 10.0; set QEMU_SRC to a source tree of 10.0"
    dpkg-source --no-check -x "$dsc" "$dir/plain.new" >"$dir/unpack.log" 2>&1 || {
        cat "$dir/unpack.log" >&2
        rm -rf "$cache"/qemu_*
        fail "the source package does not unpack; it will be fetched again"
    }
    rm -rf "$dir/plain.new/.pc"
}

fetch_meson() {
    local deb
    deb=$(newest "$cache/meson_*_all.deb") || true
    if [ -z "$deb" ]; then
        download bookworm-backports download meson
        deb=$(newest "$cache/meson_*_all.deb")
    fi
    rm -rf "$dir/meson"
    dpkg-deb -x "$deb" "$dir/meson"
}

rm -rf "$dir/plain.new"
if [ -n "${QEMU_SRC:-}" ]; then
    [ -f "$QEMU_SRC/VERSION" ] || fail "QEMU_SRC=$QEMU_SRC is not a source tree of QEMU"
    mkdir "$dir/plain.new"
    tar -C "$QEMU_SRC" --exclude=./.git --exclude=./build --exclude=./roms -c . |
        tar -C "$dir/plain.new" -x
else
    fetch_source
fi
# firmware sources: two thirds of the tree, and no user-mode emulator needs them
rm -rf "$dir/plain.new/roms"
version=$(cat "$dir/plain.new/VERSION")
case $version in
10.0.*) ;;
*)
    rm -rf "$dir/plain.new"
    fail "this is QEMU $version, and the patches are for 10.0; set QEMU_SRC to a tree of 10.0"
    ;;
esac
fetch_meson
rm -rf "$dir/plain"
mv "$dir/plain.new" "$dir/plain"
echo "QEMU $version" >&2
