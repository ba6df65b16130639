#!/bin/bash
# Bring the trees up to date in place: the plain one is the source with mended.patch, the patched
# one that with the series. Only files that come out different are written, so that a build of a
# tree recompiles no more than it must.
#
#   tree.sh PLAIN PATCHED
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)

fail() { echo "qemu/tree.sh: $*" >&2; exit 1; }

[ $# = 2 ] || fail "usage: tree.sh PLAIN PATCHED"
plain=$1 patched=$2
touched=$patched/.dqemu-touched # what the series changed when it was last applied

mended=$here/patches/mended.patch
if ! cmp -s "$mended" "$plain/.dqemu-mended"; then
    if [ -e "$plain/.dqemu-mended" ]; then
        patch -d "$plain" -p1 -R -F0 --no-backup-if-mismatch -s <"$plain/.dqemu-mended" >&2 ||
            fail "$plain was altered; remove it and make again"
        rm "$plain/.dqemu-mended"
    fi
    patch -d "$plain" -p1 -F0 --no-backup-if-mismatch -s <"$mended" >&2 ||
        fail "mended.patch does not apply to QEMU $(cat "$plain/VERSION")"
    cp "$mended" "$plain/.dqemu-mended"
fi

if [ ! -e "$touched" ]; then
    rm -rf "$patched"
    cp -a --reflink=auto "$plain" "$patched"
    : >"$touched"
fi
ln -sfn "$here/glue" "$patched/linux-user/dqemu"

series=()
[ ! -e "$here/patches/series" ] ||
    mapfile -t series < <(sed -E 's/[[:space:]]*(#.*)?$//; /^$/d' "$here/patches/series")

work=$(mktemp -d "$patched/.dqemu-work.XXXXXX")
trap 'rm -rf "$work"' EXIT
for p in mended.patch "${series[@]}"; do
    sed -nE 's#^(---|\+\+\+) [ab]/([^[:space:]]+).*#\2#p' "$here/patches/$p"
done | sort -u >"$work/files"

mkdir "$work/tree"
while read -r f; do
    mkdir -p "$work/tree/$(dirname "$f")"
    [ ! -e "$plain/$f" ] || cp "$plain/$f" "$work/tree/$f"
done <"$work/files"
for p in "${series[@]}"; do
    # no fuzz: a hook in the wrong place compiles, and is wrong
    patch -d "$work/tree" -p1 -F0 --no-backup-if-mismatch -s <"$here/patches/$p" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "$p does not apply to QEMU $(cat "$plain/VERSION")"
    }
done

# update FILE FROM: FILE of the patched tree becomes FROM, or goes if there is none
update() {
    if [ ! -e "$2" ]; then
        rm -f "$patched/$1"
    elif ! cmp -s "$2" "$patched/$1"; then
        mkdir -p "$(dirname "$patched/$1")"
        cp "$2" "$patched/$1"
        echo "  patched $1" >&2
    fi
}
while read -r f; do
    update "$f" "$work/tree/$f"
done <"$work/files"
comm -13 "$work/files" "$touched" | while read -r f; do
    update "$f" "$plain/$f"
done
cp "$work/files" "$touched"
